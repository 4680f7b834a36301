"""Tempest's smoke tests of identity, image, compute and network, unchanged, on a simulated and on a real cloud.

On the real one Tempest logs in to its guests, and the smoke scenarios run too. What is skipped is named here with the
reason, so that a test which silently stops running is a failure.
"""

from __future__ import annotations

import pytest
from tests.compat.tempest_runner import judge, verdict

pytestmark = pytest.mark.filterwarnings("ignore")

SMOKE = r"tempest\.api\.(identity|image|compute|network)\..*\bsmoke\b"
SCENARIOS = r"tempest\.scenario\.(test_server_basic_ops|test_network_basic_ops|test_server_multinode)\..*\bsmoke\b"
NOT_OFFERED = {
    "ServersTestBootFromVolume": "Volume service not enabled",
    "SubnetPoolsTestJSON": "subnet_allocation extension not enabled",
}
ON_ONE_HOST = NOT_OFFERED | {"TestServerMultinode": "Less than 2 compute nodes"}
WITHOUT_GUESTS = NOT_OFFERED | {"AttachInterfacesUnderV243Test": "Validation should be enabled"}


def check(found, expected_skips, at_least):
    assert not found.failed, found.story()
    surprises = {
        name: reason
        for name, reason in found.skipped.items()
        if not any(noun in name and text in reason for noun, text in expected_skips.items())
    }
    assert not surprises, "Tempest leaves out what it did not leave out before"
    assert len(found.passed) >= at_least, found.passed


def test_the_simulated_cloud(simulated, tmp_path):
    found = judge(simulated, tmp_path / "simulated", SMOKE, guests=False, timeout_s=400)
    check(found, WITHOUT_GUESTS, 75)


@pytest.mark.engines
def test_a_real_cloud_guests_included(real, tmp_path):
    found = judge(real, tmp_path / "real", f"{SMOKE}|{SCENARIOS}", guests=True, timeout_s=900)
    check(found, ON_ONE_HOST, 78)


LOG = """
{0} tempest.api.a.ATest.test_one [0.2s] ... ok
{1} setUpClass (tempest.api.a.BTest) [0.0s] ... FAILED
{1} setUpClass (tempest.api.a.CTest) ... SKIPPED: not enabled.
{1} tempest.api.a.ATest.test_two [1.2s] ... FAILED

 - Failed: 2
"""


def test_a_failure_in_the_log_is_seen_and_a_run_that_broke_off_too():
    found = verdict(LOG)
    assert found.failed == ["setUpClass (tempest.api.a.BTest)", "tempest.api.a.ATest.test_two"]
    assert found.skipped == {"setUpClass (tempest.api.a.CTest)": "not enabled."}
    with pytest.raises(AssertionError, match="come to an end"):
        verdict(LOG.replace(" - Failed: 2", ""))
    with pytest.raises(AssertionError, match="counts 3"):
        verdict(LOG.replace("Failed: 2", "Failed: 3"))
