"""`gureum trace`: a request's story is its own call, its task's steps and the calls to hosts, and nothing else."""

from __future__ import annotations

import logging
import re

import pytest
from tests.cloud import SimulatedCloud

from gureum.agents.hypervisor.faults import Fault
from gureum.cli.logs import trace
from gureum.foundation.log import LineFormatter


@pytest.fixture
def logs(tmp_path):
    """The folder that every line of the test goes to."""
    handler = logging.FileHandler(tmp_path / "control.log")
    handler.setFormatter(LineFormatter("control"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield tmp_path
    root.removeHandler(handler)
    root.setLevel(before)
    handler.close()


def story(logs, answer) -> list[str]:
    """What the trace of an answer's request tells, without stamps, ids of others and times."""
    records = [record for _, _, record in trace(logs, answer.headers["x-openstack-request-id"])]
    return [
        re.sub(r" took=.*| version=.*", "", " ".join(record.split(" ")[3:4] + record.split(" ")[7:]))
        for record in records
    ]


def test_the_story_of_a_stop_is_its_call_its_steps_and_its_hosts(logs, tmp_path):
    cloud = SimulatedCloud(tmp_path / "cloud", hosts=1)
    try:
        demo = cloud.client("demo")
        one = cloud.server(demo, imageRef=cloud.image())
        cloud.settle()
        at_host = f"/compute/v2.1/servers/{one}"
        stop = demo.post(f"{at_host}/action", {"os-stop": None})
        cloud.settle()
        start = demo.post(f"{at_host}/action", {"os-start": None})
        cloud.settle()
        delete = demo.delete(at_host)
        cloud.settle()
    finally:
        cloud.close()
    changed = [
        f"gureum.tasks server {one}: rest -> change try=1",
        f"gureum.tasks server {one}: change -> rest, waits for nothing: the server is at rest try=1",
        "gureum.hosts call ensure_server of host host1 answered",
    ]
    assert story(logs, stop) == [f"gureum.http POST {at_host}/action -> 202", *changed]
    assert story(logs, start) == [f"gureum.http POST {at_host}/action -> 202", *changed]
    assert story(logs, delete) == [
        f"gureum.http DELETE {at_host} -> 204",
        f"gureum.tasks server {one}: destroy -> clear_host try=1",
        f"gureum.tasks server {one}: clear_host -> release try=1",
        "gureum.hosts call remove_server of host host1 answered",
        f"gureum.tasks server {one}: release -> the end try=1",
    ]


def test_the_story_of_a_failed_create_says_which_host_lacks_what(logs, tmp_path):
    cloud = SimulatedCloud(tmp_path / "cloud", hosts=1)
    try:
        demo, admin = cloud.client("demo"), cloud.client("admin")
        huge = {"flavor": {"name": "huge", "ram": 1 << 30, "vcpus": 1, "disk": 1}}
        flavor = admin.post("/compute/v2.1/flavors", huge).json()["flavor"]["id"]
        quota = {"quota_set": {"ram": -1}}
        me = demo.get("/identity/v3/auth/tokens", X_Subject_Token=demo.headers["X-Auth-Token"]).json()["token"]
        assert admin.put(f"/compute/v2.1/os-quota-sets/{me['project']['id']}", quota).status == 200
        server = {"name": "one", "flavorRef": flavor, "networks": "none", "imageRef": cloud.image()}
        answer = demo.post("/compute/v2.1/servers", {"server": server}, OpenStack_API_Version="compute 2.79")
        cloud.settle()
        one = answer.json()["server"]["id"]
        details = admin.get(f"/compute/v2.1/servers/{one}").json()["server"]["fault"]["details"]
    finally:
        cloud.close()
    assert "host1" in details
    (placed,) = [line for line in story(logs, answer) if ": place -> failed" in line]
    assert placed == f"gureum.tasks server {one}: place -> failed: {details.removeprefix('place: ')} try=1"


def test_the_fault_of_a_build_that_failed_on_the_only_host_says_why(tmp_path):
    cloud = SimulatedCloud(tmp_path / "cloud", hosts=1)
    try:
        demo, admin = cloud.client("demo"), cloud.client("admin")
        cloud.simulated.world.faults.add("host1", Fault("fail", text="no emulator", retry=False))
        one = cloud.server(demo, imageRef=cloud.image())
        cloud.settle()
        fault = admin.get(f"/compute/v2.1/servers/{one}").json()["server"]["fault"]
        seen = demo.get(f"/compute/v2.1/servers/{one}").json()["server"]["fault"]
    finally:
        cloud.close()
    assert fault["details"].startswith("place: failed to build this server: host1; on host1: ")
    assert fault["details"].endswith("no emulator")
    assert "no emulator" not in str(seen)


def test_each_line_of_a_story_carries_the_user_and_the_project(logs, tmp_path):
    cloud = SimulatedCloud(tmp_path / "cloud", hosts=1)
    try:
        demo = cloud.client("demo")
        me = demo.get("/identity/v3/auth/tokens", X_Subject_Token=demo.headers["X-Auth-Token"]).json()["token"]
        answer = demo.post(
            "/compute/v2.1/servers",
            {"server": {"name": "one", "flavorRef": "42", "networks": "none", "imageRef": cloud.image()}},
            OpenStack_API_Version="compute 2.79",
        )
        cloud.settle()
    finally:
        cloud.close()
    records = [record for _, _, record in trace(logs, answer.headers["x-openstack-request-id"])]
    assert len(records) > 3
    assert {tuple(record.split(" ")[5:7]) for record in records} == {(me["user"]["id"], me["project"]["id"])}
