"""What is declared is used, what is used is declared, and the lock says which version of everything is installed."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.habits.exceptions import Exceptions
from tests.habits.source import CLONE, imports, modules, names_in

PROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
RUNTIME = [
    *PROJECT["dependencies"],
    *(one for name in ("control", "host", "real") for one in PROJECT["optional-dependencies"][name]),
]
ALL = [*RUNTIME, *PROJECT["optional-dependencies"]["test"]]

OTHER_NAMES = {"argon2": "argon2-cffi", "libvirt": "libvirt-python", "openstack": "openstacksdk", "re2": "google-re2"}
"""Modules that are not named like the package that brings them."""
UNIMPORTED = Exceptions(
    {
        "uvloop": "uvicorn imports it by the name of its event loop",
    }
)
BROUGHT = {
    "keystoneauth1": "openstacksdk and openstackclient hand out its objects",
    "cloudinit": "Debian's own package, for its own Python",
}
"""What tests import and the extra `test` does not name."""
RENEW = "run tools/lock --no-upgrade"


def package_of(module: str) -> str:
    top = module.partition(".")[0]
    return canonicalize_name(OTHER_NAMES.get(top, top))


def declared(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def third_party(names: set[str]) -> set[str]:
    ours = {*sys.stdlib_module_names, "gureum", "tests", "bench"}
    return {package_of(name) for name in names if name.partition(".")[0] not in ours}


def pins() -> dict[str, Requirement]:
    lines = (CLONE / "requirements.lock").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]
    return {canonicalize_name(one.name): one for one in found}


def version_of(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    return specifier.version


def test_every_import_is_declared():
    used = third_party({name for module in modules() for name in imports(module)})
    assert used - declared(RUNTIME) == set(), "name these packages in pyproject.toml: others may cease to bring them"


def test_every_dependency_is_imported():
    used = third_party({name for module in modules() for name in imports(module)})
    unused = dict.fromkeys(declared(RUNTIME) - used, "imported nowhere in src")
    UNIMPORTED.check(unused, "take these packages out of pyproject.toml")


def test_the_extra_of_a_whole_cloud_is_those_of_its_roles():
    extras = PROJECT["optional-dependencies"]
    assert set(extras["real"]) == {*extras["control"], *extras["host"]}


@pytest.mark.parametrize("folder", ["tests", "bench"])
def test_every_import_of_tests_is_declared(folder):
    trees = [ast.parse(path.read_text()) for path in (CLONE / folder).rglob("*.py")]
    names = {name for tree in trees for node in ast.walk(tree) for name in names_in(node)}
    local = {path.stem for path in (CLONE / folder).rglob("*.py")}
    used = third_party({name for name in names if name.partition(".")[0] not in local})
    assert used - declared(ALL) - BROUGHT.keys() == set(), "name these packages in the extra `test`"


def test_the_lock_fits_what_is_declared():
    locked = pins()
    for text in ALL:
        requirement = Requirement(text)
        pin = locked.get(canonicalize_name(requirement.name))
        assert pin is not None, f"requirements.lock lacks {text}: {RENEW}"
        assert requirement.specifier.contains(version_of(pin), prereleases=True), f"{pin} is not {text}: {RENEW}"


def test_the_lock_names_exact_versions_and_no_address():
    for pin in pins().values():
        assert [one.operator for one in pin.specifier] == ["=="], f"{pin}: {RENEW}"
    text = (CLONE / "requirements.lock").read_text()
    assert not re.search(r"://|^\s*-", text, re.MULTILINE), "an address of a package index is nobody else's"


def test_the_lock_is_whole_and_holds_nothing_else():
    """Everything that is declared leads, by what installed packages say that they need, to exactly the lock's names."""
    locked, needed, waiting = pins(), set(), [Requirement(text) for text in ALL]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in needed:
            continue
        needed.add(key)
        assert name in locked, f"requirements.lock lacks {requirement.name}: {RENEW}"
        try:
            installed = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed here: only root has the bindings of engines")
        for text in installed.requires or ():
            further = Requirement(text)
            extras = requirement.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                waiting.append(further)
    elsewhere = {name for name, pin in locked.items() if pin.marker is not None and not pin.marker.evaluate()}
    assert set(locked) - elsewhere - {name for name, _ in needed} == set(), f"nothing needs these: {RENEW}"
