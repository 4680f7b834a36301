"""The contract of a service: needs are met in order, and nothing is used that the manifest does not name."""

from __future__ import annotations

import pytest

from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.config import Config, ConfigError, Section, ServicesConfig
from gureum.foundation.db.engine import Database
from gureum.foundation.fleet.fleet import Fleet
from gureum.foundation.metrics import Metrics
from gureum.foundation.service import Building, ContractError, Mounted, Service, build_services, in_order
from gureum.foundation.tasks.store import Tasks
from gureum.roles.assembly import CATALOGUE


class A:
    pass


class B:
    pass


class Engine:
    pass


class Options(Section):
    SECTION = "a"

    colour: str = "blue"


def nothing(_room):
    return Mounted()


@pytest.fixture
def building(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/x.sqlite")
    config = Config(tables={"a": {"colour": "red"}})
    bus, metrics = InProcessBus(), Metrics()
    fleet = Fleet(database, bus, metrics)
    yield Building(config, database, Tasks(), bus, metrics, fleet, lambda interface: interface())
    database.close()


def test_services_are_built_after_those_that_they_need(building):
    order = []

    def build_a(room):
        order.append("a")
        return Mounted(A())

    def build_b(room):
        order.append("b")
        assert isinstance(room.facade(A), A)
        return Mounted(B())

    services = [Service("b", build_b, offers=B, needs=(A,)), Service("a", build_a, offers=A)]
    assert [service.name for service in in_order(services)] == ["a", "b"]
    assert list(build_services(services, building)) == order == ["a", "b"]


def test_a_need_that_nobody_offers_is_named():
    with pytest.raises(ContractError, match="the service b needs A, which no enabled service offers"):
        in_order([Service("b", nothing, needs=(A,))])


def test_a_circle_of_needs_is_named():
    services = [Service("a", nothing, offers=A, needs=(B,)), Service("b", nothing, offers=B, needs=(A,))]
    with pytest.raises(ContractError, match="in a circle: a, b"):
        in_order(services)


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda room: room.facade(A), "the facade A"),
        (lambda room: room.driver(Engine), "the driver Engine"),
        (lambda room: room.config(Options), "the options Options"),
    ],
)
def test_what_the_manifest_does_not_name_cannot_be_used(building, use, words):
    def build(room):
        use(room)
        return Mounted()

    with pytest.raises(ContractError, match=words):
        build_services([Service("a", build)], building)


def test_a_service_gets_its_options_and_engines(building):
    seen = []

    def build(room):
        seen.extend([room.config(Options).colour, type(room.driver(Engine))])
        return Mounted()

    build_services([Service("a", build, config=(Options,), drivers=(Engine,))], building)
    assert seen == ["red", Engine]


def test_a_facade_that_is_promised_has_to_come(building):
    with pytest.raises(ContractError, match="does not hand back the A"):
        build_services([Service("a", nothing, offers=A)], building)


def test_what_a_service_needs_comes_with_it():
    names = [service.name for service in CATALOGUE.enabled(ServicesConfig("none", ["network"]))]
    assert names == ["identity", "network"]


@pytest.mark.parametrize("profile", sorted(set(CATALOGUE.profiles) - {"none"}))
def test_every_package_carries_the_core(profile):
    names = {service.name for service in CATALOGUE.enabled(ServicesConfig(profile))}
    assert names >= {"identity", "placement", "image", "network", "compute"}


@pytest.mark.parametrize("section", [ServicesConfig("cor"), ServicesConfig("core", ["volums"])])
def test_an_unknown_profile_or_service_is_told_with_those_that_there_are(section):
    with pytest.raises(ConfigError, match="is none of .*core|is none of identity"):
        CATALOGUE.enabled(section)


def test_every_manifest_is_called_as_its_folder_and_offers_its_own_facade():
    for name, package in CATALOGUE.packages.items():
        service = CATALOGUE.service(name)
        assert service.offers is None or service.offers.__module__ == f"{package}.facade"
        assert all(CATALOGUE.offering(need) != name for need in service.needs)


def test_a_stop_that_fails_does_not_keep_others_from_ending(tmp_path, caplog):
    """A lease that the database does not take back, say."""
    from gureum.roles.control import build

    control, ended = build(Config(state=str(tmp_path))), []
    control._stops += [lambda: ended.append("first"), lambda: 1 / 0]
    control.stop()
    assert ended == ["first"]
    assert "does not end as it should" in caplog.text
