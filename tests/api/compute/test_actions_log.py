"""What a server's log of actions says of each action, in the reference's names."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at
from tests.cloud import SimulatedCloud

SERVERS = "/compute/v2.1/servers"


@pytest.fixture
def cloud(tmp_path):
    cloud = SimulatedCloud(tmp_path, hosts=1)
    yield cloud
    cloud.close()


def test_every_action_of_the_reference_is_logged_with_its_events(cloud):
    admin = cloud.client("admin")
    image, network = cloud.image(), cloud.network(admin)
    server_id = cloud.server(admin, imageRef=image, networks=[{"uuid": network}])
    one = f"{SERVERS}/{server_id}"
    cloud.settle()

    def act(**body):
        answer = admin.post(f"{one}/action", body)
        assert answer.status == 202, answer.content
        cloud.settle()

    act(lock=None)
    act(unlock=None)
    act(pause=None)
    act(unpause=None)
    act(**{"os-stop": None})
    act(**{"os-start": None})
    act(reboot={"type": "SOFT"})
    act(rebuild={"imageRef": image})
    act(createImage={"name": "image"})
    act(createBackup={"name": "backup", "backup_type": "daily", "rotation": 1})
    act(**{"os-resetState": {"state": "active"}})
    port = admin.post(f"{one}/os-interface", {"interfaceAttachment": {"net_id": network}}).json()
    cloud.settle()
    assert admin.delete(f"{one}/os-interface/{port['interfaceAttachment']['port_id']}").status == 202
    cloud.settle()
    assert admin.delete(one).status == 204
    cloud.settle()

    log = admin.get(f"{one}/os-instance-actions", **at("2.21")).json()["instanceActions"]
    events = {}
    for action in log:
        shown = admin.get(f"{one}/os-instance-actions/{action['request_id']}", **at("2.21")).json()["instanceAction"]
        events[action["action"]] = [(event["event"], event["result"]) for event in shown["events"]]
    names = {
        "create": ["compute__do_build_and_run_instance"],
        "lock": ["api_lock"],
        "unlock": ["api_unlock"],
        "pause": ["compute_pause_instance"],
        "unpause": ["compute_unpause_instance"],
        "stop": ["compute_stop_instance"],
        "start": ["compute_start_instance"],
        "reboot": ["compute_reboot_instance"],
        "rebuild": ["compute_rebuild_instance", "rebuild_server"],
        "createImage": ["compute_snapshot_instance"],
        "createBackup": ["compute_backup_instance"],
        "resetState": [],
        "attach_interface": ["compute_attach_interface"],
        "detach_interface": ["compute_detach_interface"],
        "delete": ["compute_terminate_instance"],
    }
    assert events == {action: [(event, "Success") for event in expected] for action, expected in names.items()}
    assert [action["action"] for action in log] == list(reversed(names))
