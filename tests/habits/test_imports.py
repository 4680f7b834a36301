"""Who may import whom: one rule for every pair of services, derived from the folders.

A service sees another only through its `facade`, an agent only through its `protocol`, and no engine at all, also not by
way of others: which one a cloud has is said by roles alone. The directions between the large folders are contracts in
pyproject.toml.
"""

from __future__ import annotations

from functools import cache

import pytest
from tests.habits.source import imports, modules, services

NO_ENGINES = {"gureum.drivers.image.formats"}
"""Packages beside the engines of a kind that are none."""


def service_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["gureum", "services"] and len(parts) > 2 else None


def passes(importer: str, imported_name: str) -> bool:
    """Whether a module of a service may import a name."""
    other = service_of(imported_name)
    if other is None or other == service_of(importer):
        return True
    return imported_name.split(".")[3:4] == ["facade"]


@pytest.mark.parametrize("service", services())
def test_services_see_each_other_through_facades(service):
    for name in modules():
        if service_of(name) == service:
            known = {other for other in imports(name) if module_of(other)}
            wrong = sorted(other for other in known if not passes(name, other))
            assert wrong == [], f"{name}: ask the facade of the other service"


def module_of(name: str) -> bool:
    """Whether a name is a module, or something in one, of a service."""
    return service_of(name) is not None and (name in modules() or name.rpartition(".")[0] in modules())


def test_the_rule_knows_right_from_wrong():
    inside = "gureum.services.compute.servers.api"
    assert passes(inside, "gureum.services.network.facade")
    assert passes(inside, "gureum.services.network.facade.NetworkFacade")
    assert passes(inside, "gureum.services.compute.servers.model")
    assert not passes(inside, "gureum.services.network.ports.model")
    assert not passes(inside, "gureum.services.network")
    assert service_of("gureum.services") is None


@cache
def engines() -> set[str]:
    """The concrete drivers: every package in the folder of a kind, and its fake."""
    drivers = [name for name, path in modules().items() if name.startswith("gureum.drivers.") and name.count(".") == 3]
    packages = {name for name in drivers if modules()[name].name == "__init__.py"}
    return packages - NO_ENGINES | {name for name in drivers if name.endswith(".fake")}


@pytest.mark.parametrize("service", services())
def test_services_know_no_engine(service):
    assert len(engines()) >= 6
    waiting = [(name,) for name in modules() if service_of(name) == service]
    reached = {way[0] for way in waiting}
    while waiting:
        way = waiting.pop()
        assert way[-1] not in engines(), f"the interface is enough, roles choose the engine: {' -> '.join(way)}"
        further = {name for name in imports(way[-1]) if name in modules()} - reached
        reached |= further
        waiting += [(*way, name) for name in further]


@pytest.mark.parametrize("service", services())
def test_services_know_agents_by_their_protocols(service):
    for name in modules():
        if service_of(name) == service:
            known = {other for other in imports(name) if other in modules() and other.startswith("gureum.agents.")}
            wrong = sorted(other for other in known if other.count(".") > 2 and not other.endswith(".protocol"))
            assert wrong == [], f"{name}: what agents and services share stands in the protocol"
