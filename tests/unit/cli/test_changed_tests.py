"""What `gureum test --changed` chooses for a change."""

from __future__ import annotations

import subprocess

import pytest

from gureum.cli.changed_tests import SMOKE, changed_files, paths_for
from gureum.cli.terminal import CLONE
from gureum.lab.refusal import Refusal

NEEDS = {"identity": [], "image": ["identity"], "compute": ["identity", "image"]}


def chosen(*files):
    return [path for path in paths_for(files, NEEDS) if path not in SMOKE]


def test_a_service_brings_its_own_tests():
    assert chosen("src/gureum/services/image/images/api.py") == [
        "tests/api/image",
        "tests/unit/image",
        "tests/api/test_policy_matrix.py",
    ]


def test_a_facade_brings_those_who_ask_it():
    assert "tests/api/compute" in chosen("src/gureum/services/image/facade.py")
    assert "tests/api/identity" not in chosen("src/gureum/services/image/facade.py")


def test_a_lifecycle_brings_the_crash_suite():
    assert "tests/crash" in chosen("src/gureum/services/compute/servers/lifecycle.py")


def test_a_changed_test_is_run_and_a_changed_fixture_its_folder():
    assert chosen("tests/api/image/test_cache.py") == ["tests/api/image/test_cache.py"]
    assert chosen("tests/api/image/conftest.py") == ["tests/api/image"]


def test_what_a_folder_holds_is_not_named_twice():
    assert chosen("tests/api/image/test_cache.py", "tests/api/image/conftest.py") == ["tests/api/image"]


def test_documents_bring_the_smoke_alone():
    assert chosen("README.md") == []
    assert set(paths_for(["README.md"], NEEDS)) == set(SMOKE)


def test_every_path_that_may_be_chosen_exists():
    files = [
        *(f"src/gureum/{folder}/x.py" for folder in ("agents", "drivers", "lab", "cli", "roles")),
        *(f"src/gureum/foundation/{room}/x.py" for room in ("db", "tasks", "http", "policy", "bus")),
    ]
    assert [path for path in paths_for(files, NEEDS) if not (CLONE / path).exists()] == []


@pytest.fixture
def clone(tmp_path):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "kept").write_text("1")
    git("add", "-A")
    git("commit", "-qm", "first")
    (tmp_path / "committed").write_text("1")
    git("add", "-A")
    git("commit", "-qm", "second")
    (tmp_path / "new").write_text("1")
    (tmp_path / "kept").write_text("2")
    return tmp_path


def test_what_is_committed_changed_and_new_counts(clone):
    assert changed_files(clone) == ["committed", "kept", "new"]
    assert changed_files(clone, "HEAD") == ["kept", "new"]


def test_an_unknown_commit_is_told(clone):
    with pytest.raises(Refusal, match="Git knows no nothing"):
        changed_files(clone, "nothing")
