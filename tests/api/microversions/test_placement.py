"""Placement at every microversion from 1.0 to 1.39. Source: placement API reference, "REST API version history"."""

from __future__ import annotations

import pytest
from tests.api.microversions.recording import Recorder, check
from tests.api.placement.setting import LATEST, build

VERSIONS = [(1, minor) for minor in range(40)]
AT = "/placement"
GROUP = "00000000-0000-0000-0000-0000000000a9"
HOST = "00000000-0000-0000-0000-0000000000a1"
CHILD = "00000000-0000-0000-0000-0000000000a2"
CONSUMER = "00000000-0000-0000-0000-0000000000c0"
OTHER = "00000000-0000-0000-0000-0000000000c1"


class Asked:
    """A tree of two providers with stock, traits, an aggregate and one consumer."""

    def __init__(self, world):
        self.world, self.root = world, world.root
        self.host = world.provider(
            "host", {"VCPU": 8, "MEMORY_MB": 1024}, uuid=HOST, traits=("HW_CPU_X86_VMX",), aggregates=(GROUP,)
        )
        self.child = world.provider("child", {"VGPU": 2}, uuid=CHILD, parent=self.host)
        world.hold(CONSUMER, {self.host: {"VCPU": 2}}, consumer_generation=None)
        self.names = {
            self.host: "<host>",
            self.child: "<child>",
            GROUP: "<aggregate>",
            CONSUMER: "<consumer>",
            OTHER: "<other>",
        }

    def recorder(self):
        return Recorder(VERSIONS, self.names)

    def send(self, method, path, body, version, sender="root"):
        number = f"placement {version[0]}.{version[1]}"
        return self.world.as_(sender).request(method, AT + path, body, OpenStack_API_Version=number)

    def ask(self, method, path, body=None, after=None, sender="root"):
        def sent(version):
            found = self.send(method, path, body(version) if callable(body) else body, version, sender)
            if after is not None and found.status < 400:
                after(found)
            return found

        return sent

    def generation(self, provider=None):
        return self.root.get(f"{AT}/resource_providers/{provider or self.host}", **LATEST).json()["generation"]


@pytest.fixture
def asked(database):
    return Asked(build(database))


def test_resource_providers(asked):
    told, at, one = asked.recorder(), "/resource_providers", f"/resource_providers/{asked.host}"
    told.answer("GET /resource_providers?name=child", asked.ask("GET", f"{at}?name=child"))
    told.answer("GET /resource_providers/{host}", asked.ask("GET", one))
    new = {"name": "new", "uuid": OTHER}
    gone = lambda _: asked.root.delete(f"{AT}{at}/{OTHER}", **LATEST)  # noqa: E731
    told.answer("POST /resource_providers", asked.ask("POST", at, new, gone))
    told.request(
        "POST /resource_providers, parent_provider_uuid",
        asked.ask("POST", at, {**new, "parent_provider_uuid": asked.host}, gone),
    )
    told.answer("PUT /resource_providers/{host}", asked.ask("PUT", one, {"name": "host"}))
    told.request(
        "PUT /resource_providers/{child}, another parent",
        asked.ask(
            "PUT",
            f"{at}/{asked.child}",
            {"name": "child", "parent_provider_uuid": None},
            lambda _: asked.root.put(
                f"{AT}{at}/{asked.child}", {"name": "child", "parent_provider_uuid": asked.host}, **LATEST
            ),
        ),
    )
    for query in (
        "resources=VCPU:1", f"member_of={GROUP}", f"member_of={GROUP}&member_of={GROUP}", f"member_of=!{GROUP}", f"member_of=in:{GROUP}",
        f"in_tree={asked.host}", "required=HW_CPU_X86_VMX", "required=!HW_CPU_X86_VMX", "required=in:HW_CPU_X86_VMX,HW_CPU_X86_AVX",
        "required=HW_CPU_X86_VMX&required=HW_CPU_X86_VMX", "bogus=1",
    ):  # fmt: skip
        told.request(
            f"GET /resource_providers?{query}".replace(GROUP, "{aggregate}").replace(asked.host, "{host}"),
            asked.ask("GET", f"{at}?{query}"),
        )
    check("placement/resource-providers", told.text())


def test_what_providers_have(asked):
    told, one = asked.recorder(), f"/resource_providers/{asked.host}"
    for path in ("inventories", "inventories/VCPU", "usages", "aggregates", "traits", "allocations"):
        told.answer(f"GET /resource_providers/{{host}}/{path}", asked.ask("GET", f"{one}/{path}"))
    stock = {"VCPU": {"total": 8}, "MEMORY_MB": {"total": 1024}}
    told.request(
        "PUT .../inventories, all of it reserved",
        asked.ask(
            "PUT",
            f"{one}/inventories",
            lambda _: {
                "inventories": {**stock, "MEMORY_MB": {"total": 1024, "reserved": 1024}},
                "resource_provider_generation": asked.generation(),
            },
        ),
    )
    told.request("DELETE .../inventories", asked.ask("DELETE", f"/resource_providers/{asked.child}/inventories"))
    told.request("PUT .../aggregates, a list", asked.ask("PUT", f"{one}/aggregates", [GROUP]))
    told.request(
        "PUT .../aggregates, with a generation",
        asked.ask(
            "PUT",
            f"{one}/aggregates",
            lambda _: {"aggregates": [GROUP], "resource_provider_generation": asked.generation()},
        ),
    )
    told.answer(
        "PUT .../traits",
        asked.ask("PUT", f"{one}/traits", lambda _: {"traits": ["HW_CPU_X86_VMX"], "resource_provider_generation": 0}),
    )
    check("placement/providers-belongings", told.text())


def test_names(asked):
    told = asked.recorder()
    assert asked.root.put(f"{AT}/traits/CUSTOM_ONE", **LATEST).status == 201
    told.request("GET /traits?name=startswith:CUSTOM_", asked.ask("GET", "/traits?name=startswith:CUSTOM_"))
    told.request("PUT /traits/{name}, there already", asked.ask("PUT", "/traits/CUSTOM_ONE"))
    told.request("GET /resource_classes", asked.ask("GET", "/resource_classes"))
    gone = lambda _: asked.root.delete(f"{AT}/resource_classes/CUSTOM_NEW", **LATEST)  # noqa: E731
    told.request("POST /resource_classes", asked.ask("POST", "/resource_classes", {"name": "CUSTOM_NEW"}, gone))
    told.request(
        "PUT /resource_classes/{name} with a new name",
        asked.ask("PUT", "/resource_classes/CUSTOM_ONE", {"name": "CUSTOM_ONE"}),
    )
    told.request(
        "PUT /resource_classes/{name} without a body", asked.ask("PUT", "/resource_classes/CUSTOM_NEW", None, gone)
    )
    told.request("PUT /resource_classes/{name}, there already", asked.ask("PUT", "/resource_classes/VCPU"))
    check("placement/names", told.text())


def forms_of_allocations(asked):
    amounts = {asked.host: {"resources": {"VCPU": 1}}}
    listed = {"allocations": [{"resource_provider": {"uuid": asked.host}, "resources": {"VCPU": 1}}]}
    owned = {"project_id": "p", "user_id": "u"}
    return {
        "a list": listed,
        "a list with owners": {**listed, **owned},
        "by provider": {"allocations": amounts, **owned},
        "with a generation": {"allocations": amounts, **owned, "consumer_generation": None},
        "with mappings": {"allocations": amounts, **owned, "consumer_generation": None, "mappings": {"": [asked.host]}},
        "with a type": {"allocations": amounts, **owned, "consumer_generation": None, "consumer_type": "INSTANCE"},
        "nothing": {"allocations": {}, **owned, "consumer_generation": None},
    }


def test_allocations(asked):
    told = asked.recorder()
    told.answer("GET /allocations/{consumer}", asked.ask("GET", f"/allocations/{CONSUMER}"))
    told.answer("GET /allocations/{other}, who holds nothing", asked.ask("GET", f"/allocations/{OTHER}"))
    gone = lambda _: asked.root.delete(f"{AT}/allocations/{OTHER}", **LATEST)  # noqa: E731
    for what, body in forms_of_allocations(asked).items():
        told.request(f"PUT /allocations/{{other}}, {what}", asked.ask("PUT", f"/allocations/{OTHER}", body, gone))
        if "list" not in what:
            told.request(f"POST /allocations, {what}", asked.ask("POST", "/allocations", {OTHER: body}, gone))
    shape = lambda version: {"inventories": {}, "allocations": {}}  # noqa: E731
    told.request("POST /reshaper", asked.ask("POST", "/reshaper", shape, sender="nova"))
    for query in ("project_id=p1", "project_id=p1&user_id=u", "project_id=p1&consumer_type=all", "user_id=u"):
        told.answer(f"GET /usages?{query}", asked.ask("GET", f"/usages?{query}"))
    check("placement/allocations", told.text())


def test_allocation_candidates(asked):
    told, at = asked.recorder(), "/allocation_candidates"
    told.answer("GET /allocation_candidates?resources=VCPU:1", asked.ask("GET", f"{at}?resources=VCPU:1"))
    told.answer("GET /allocation_candidates?resources=VCPU:1,VGPU:1", asked.ask("GET", f"{at}?resources=VCPU:1,VGPU:1"))
    for query in (
        "limit=1", "required=HW_CPU_X86_VMX", "required=!HW_CPU_X86_VMX", "required=in:HW_CPU_X86_VMX,HW_CPU_X86_AVX",
        f"member_of={GROUP}", f"member_of={GROUP}&member_of={GROUP}", f"member_of=!{GROUP}", "resources1=VCPU:1",
        "resources1=VCPU:1&resources2=VCPU:1", "resources1=VCPU:1&resources2=VCPU:1&group_policy=none", "resources_A=VCPU:1",
        f"in_tree={asked.host}", f"in_tree1={asked.host}&resources1=VCPU:1", "root_required=HW_CPU_X86_VMX",
        "resources_A=VGPU:1&same_subtree=_A", "required_A=HW_CPU_X86_VMX&resources_B=VGPU:1&same_subtree=_A,_B&group_policy=none", "bogus=1",
    ):  # fmt: skip
        shown = query.replace(GROUP, "{aggregate}").replace(asked.host, "{host}")
        told.request(
            f"GET /allocation_candidates?resources=VCPU:1&{shown}", asked.ask("GET", f"{at}?resources=VCPU:1&{query}")
        )
    check("placement/allocation-candidates", told.text())


def test_errors(asked):
    told = asked.recorder()
    told.answer("GET /resource_providers/{none}", asked.ask("GET", f"/resource_providers/{OTHER}"))
    told.answer("GET /nothing", asked.ask("GET", "/nothing"))
    told.answer(
        "PUT /resource_providers/{host} as a member",
        lambda version: asked.world.as_("alice").put(
            f"{AT}/resource_providers/{asked.host}", {"name": "x"}, OpenStack_API_Version=f"placement 1.{version[1]}"
        ),
    )
    check("placement/errors", told.text())


def test_headers(asked):
    """Answers say when they changed, and stay out of caches, since 1.15."""
    for version in VERSIONS:
        for path in ("", f"/{asked.host}", f"/{asked.host}/inventories"):
            found = asked.send("GET", f"/resource_providers{path}", None, version)
            assert ("last-modified" in found.headers) == ("cache-control" in found.headers) == (version >= (1, 15)), (
                version
            )
