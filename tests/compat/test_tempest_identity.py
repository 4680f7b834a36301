"""All of tempest.api.identity, unchanged, with every feature switch of it on; nothing is left out."""

from __future__ import annotations

import pytest
from tests.compat.tempest_runner import judge

pytestmark = pytest.mark.filterwarnings("ignore")


def test_all_of_identity(simulated, tmp_path):
    found = judge(simulated, tmp_path / "identity", r"tempest\.api\.identity\.", guests=False, timeout_s=500)
    assert not found.failed, found.story()
    assert not found.skipped, "Tempest leaves out what it did not leave out before"
    assert len(found.passed) >= 138, found.passed
