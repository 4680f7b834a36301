"""The launcher `gureum`: what it installs, in which versions, and when again."""

from __future__ import annotations

import json
import types
from importlib.machinery import SourceFileLoader

import pytest

from gureum.lab.launch import CLONE

PROJECT = """\
[project]
dependencies = ["first>=1"]
[project.optional-dependencies]
real = ["second>=2"]
"""


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """The launcher of a clone that holds nothing but its two files; what it would install is in `.installed`."""
    module = types.ModuleType("launcher")
    loader = SourceFileLoader("launcher", str(CLONE / "gureum"))
    module.__file__ = loader.path
    exec(loader.get_code("launcher"), module.__dict__)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "requirements.lock").write_text("first==1.1\n")
    paths = {
        "CLONE": "",
        "LOCK": "requirements.lock",
        "CACHE": ".cache",
        "STAMP": ".venv/stamp",
        "PYTHON": ".venv/bin/python",
    }
    for name, path in paths.items():
        setattr(module, name, str(tmp_path / path))
    module.installed, module.sound = [], True
    module.install_for_real = module.install_wheels
    module.install_wheels = module.installed.append
    module.debian_packages = module.make_environment = lambda *_: None
    module.sound_environment = lambda: module.sound
    return module


def test_what_was_installed_is_not_installed_again(launcher, tmp_path):
    assert not launcher.stamped(set())
    launcher.install(set())
    launcher.install(set())
    assert launcher.installed == [["first>=1"]]
    assert launcher.stamped(set())
    assert not launcher.stamped({"real"})


def test_extras_stay_installed(launcher):
    launcher.install({"real"})
    launcher.install(set())
    assert launcher.installed == [["first>=1", "second>=2"]]


def test_a_renewed_lock_is_installed(launcher, tmp_path):
    launcher.install(set())
    (tmp_path / "requirements.lock").write_text("first==1.2\n")
    assert not launcher.stamped(set())
    launcher.install(set())
    assert launcher.installed == [["first>=1"]] * 2


def test_a_stamp_from_before_the_lock_installs(launcher, tmp_path):
    stamp = {"extras": [], "dependencies": {"": ["first>=1"]}, "project": PROJECT}
    (tmp_path / ".venv/stamp").write_text(json.dumps(stamp))
    assert not launcher.stamped(set())
    launcher.install(set())
    assert launcher.installed == [["first>=1"]]


def test_an_environment_whose_python_is_gone_is_filled_anew(launcher):
    launcher.install(set())
    launcher.sound = False
    launcher.install(set())
    assert launcher.installed == [["first>=1"]] * 2


def test_versions_are_those_of_the_lock(launcher, tmp_path):
    commands = []
    launcher.logged = lambda _title, words, *_: commands.append(words)
    launcher.install_for_real(["first>=1"])
    assert commands[0][-3:] == ["-c", str(tmp_path / "requirements.lock"), "first>=1"]
