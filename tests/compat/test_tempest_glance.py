"""The Glance project's own tests of who may do what, all of them and unchanged, on a simulated cloud; scopes enforced.

Beside them Tempest's scenario of the image quotas, and the functional tests that come with python-glanceclient, which
live in an environment of Tempest's for both: those call the `glance` program.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.compat.judged_cloud import SimulatedProcess, clean_environment
from tests.compat.tempest_runner import GLANCE_CLIENT, GLANCE_PLUGIN, environment, judge
from tests.compat.test_tempest_image import CLOUD

pytestmark = pytest.mark.filterwarnings("ignore")

PACKAGES = (GLANCE_PLUGIN, *GLANCE_CLIENT)
SCOPES = {"enforce_scope": {"glance": True}, "image-feature-enabled": {"import_image": True}}
QUOTAS = ("image_size_total", "image_stage_total", "image_count_total", "image_count_uploading")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("glance") / "cloud"
    folder.mkdir()
    with SimulatedProcess(folder, hosts=0, more=CLOUD) as cloud:
        yield cloud


def test_every_test_of_the_glance_plugin(cloud, tmp_path):
    verdict = judge(
        cloud,
        tmp_path / "glance",
        r"^glance_tempest_plugin",
        guests=False,
        timeout_s=900,
        more=SCOPES,
        plugins=PACKAGES,
    )
    assert not verdict.failed, verdict.story()
    assert not verdict.skipped, verdict.skipped
    assert len(verdict.passed) >= 186, verdict.story()


def test_the_scenario_of_image_quotas(cloud, tmp_path):
    identity = cloud.connection("gureum-admin").identity
    service = next(iter(identity.services(type="image")))
    for name in QUOTAS:
        identity.create_registered_limit(
            resource_name=name, service_id=service.id, region_id="RegionOne", default_limit=100
        )
    verdict = judge(
        cloud,
        tmp_path / "quotas",
        r"^tempest\.scenario\.test_unified_limits",
        guests=False,
        timeout_s=300,
        at_once=1,
        more=SCOPES,
        plugins=PACKAGES,
    )
    assert not verdict.failed, verdict.story()
    assert len(verdict.passed) == len(QUOTAS), (verdict.skipped, verdict.passed)


def test_functional_tests_of_glanceclient(cloud, tmp_path):
    programs = environment(*PACKAGES)
    output = run_functional_tests(programs, cloud, tmp_path)
    ran = re.search(r"Ran (\d+) tests", output)
    assert ran, output[-4000:]
    assert int(ran[1]) >= 7, output[-4000:]
    assert "\nOK" in output, output[-4000:]


def test_glanceclient_shows_errors_of_the_image_api(cloud, tmp_path):
    """It takes each value of a JSON error for an object: it gets the page that it can read."""
    programs = environment(*PACKAGES)
    nowhere = "00000000-0000-0000-0000-000000000000"
    for words, expected in (
        (("image-show", nowhere), f"HTTP 404 Not Found: No image found with ID {nowhere}"),
        (("md-namespace-create", "Mine"), "HTTP 403 Forbidden: "),
        (("md-namespace-show", "Nothing::Here"), "HTTP 404 Not Found: "),
    ):
        line = f". {cloud.folder}/openrc-demo; exec {programs}/glance {' '.join(words)}"
        done = subprocess.run(
            ["bash", "-ec", line], capture_output=True, text=True, check=False, timeout=120, env=clean_environment()
        )
        assert done.returncode == 1, done.stdout + done.stderr
        assert expected in done.stderr + done.stdout
        assert "has no attribute" not in done.stderr + done.stdout


def run_functional_tests(programs: Path, cloud: SimulatedProcess, folder: Path) -> str:
    """Whatever they print. They look for a cloud `devstack-admin` with every name written out."""
    auth = {
        "auth_url": f"{cloud.url}/identity/v3", "username": "admin", "password": cloud.passwords["admin"],
        "project_name": "admin", "user_domain_id": "default", "project_domain_id": "default",
    }  # fmt: skip
    clouds = folder / "clouds.yaml"
    clouds.write_text(json.dumps({"clouds": {"devstack-admin": {"auth": auth, "region_name": "RegionOne"}}}))
    variables = clean_environment(
        OS_CLIENT_CONFIG_FILE=str(clouds), OS_GLANCECLIENT_EXEC_DIR=str(programs), OS_CLOUD="devstack-admin"
    )
    words = [str(programs / "python"), "-m", "unittest", "discover", "-v", "-t", "."]
    site = subprocess.run(
        [str(programs / "python"), "-c", "import glanceclient; print(glanceclient.__path__[0])"],
        capture_output=True, text=True, check=True, env=clean_environment(),
    ).stdout.strip()  # fmt: skip
    done = subprocess.run(
        [*words, "-s", "glanceclient/tests/functional/v2"],
        cwd=Path(site).parent, capture_output=True, text=True, check=False, timeout=300, env=variables,
    )  # fmt: skip
    return done.stdout + done.stderr
