"""The stock command line client on a simulated cloud: README's "A first server" word for word, and what people ask next.

`tests/system/test_first_server.py` runs the same transcript on a real cloud, ssh included.
"""

from __future__ import annotations

import json
import re
import shlex
import time

import pytest
from tests.compat.judged_cloud import CLONE

pytestmark = pytest.mark.filterwarnings("ignore")

SETTLED = {"stop": "SHUTOFF", "start": "ACTIVE", "reboot": "ACTIVE"}


def transcript():
    """The commands under README's "A first server", comments and the lines for the shell alone left out."""
    section = (CLONE / "README.md").read_text().partition("## A first server")[2].partition("\n## ")[0]
    lines = [line.partition("#")[0].strip() for line in section.splitlines() if line.startswith("    ")]
    commands = [part.strip() for line in lines for part in line.split(";")]
    return [command for command in commands if command.startswith(("openstack ", "IP="))]


def fields(said):
    """A table of the client, Field | Value, as a dictionary."""
    rows = re.findall(r"^\| (\S+) +\| (.*?) *\|$", said, re.MULTILINE)
    return dict(rows)


def settled(cloud, status):
    """Wait until the server has the status and nothing is being done to it."""
    deadline = time.monotonic() + 30
    while True:
        shown = cloud.openstack("server", "show", "one", "-f", "json")
        if shown["status"] == status and shown["OS-EXT-STS:task_state"] is None:
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.2)


@pytest.fixture(scope="module")
def said(simulated):
    """What each command of the transcript printed, up to the first that ends the server's quiet life."""
    found = {"IP": ""}
    for command in transcript():
        if command.startswith("IP="):
            found["IP"] = simulated.shell(f"{command}; echo $IP").strip()
            continue
        found[command] = simulated.shell(f"IP={found['IP']}; {command}")
        verb = shlex.split(command)[2]
        if command.startswith("openstack server ") and verb in SETTLED:
            settled(simulated, SETTLED[verb])
        if command.startswith("openstack server add floating ip"):
            found["server"] = simulated.openstack("server", "show", "one", "-f", "json")
    return found


def test_every_command_of_the_readme_ran(said):
    verbs = [command for command in said if command.startswith("openstack server ")]
    assert [shlex.split(verb)[2] for verb in verbs] == ["create", "add", "stop", "start", "reboot", "delete"]


def test_the_network_and_its_subnet(said):
    network = fields(said["openstack network create n"])
    assert (network["name"], network["status"], network["router:external"]) == ("n", "ACTIVE", "Internal")
    subnet = fields(said["openstack subnet create --network n --subnet-range 10.0.0.0/24 s"])
    assert (subnet["cidr"], subnet["gateway_ip"], subnet["enable_dhcp"]) == ("10.0.0.0/24", "10.0.0.1", "True")
    assert subnet["network_id"] == network["id"]
    assert fields(said["openstack router create r"])["status"] == "ACTIVE"


def test_the_key_is_a_private_key_for_the_owner_alone(simulated, said):
    file = simulated.folder / "k.pem"
    assert file.read_text().startswith("-----BEGIN")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "ssh-keygen" in simulated.shell("ssh-keygen -l -f k.pem && echo ssh-keygen")


def test_the_server_is_active_with_its_key_network_and_image(said):
    server = fields(next(text for command, text in said.items() if command.startswith("openstack server create")))
    assert (server["status"], server["name"], server["key_name"]) == ("ACTIVE", "one", "k")
    assert re.fullmatch(r"n=10\.0\.0\.\d+", server["addresses"])
    assert server["image"].startswith("mini (")
    assert "name='m1.tiny'" in server["flavor"]


def test_the_floating_ip_shows_among_the_servers_addresses(said):
    assert said["IP"] in said["server"]["addresses"]["n"]
    assert said["IP"].startswith("198.18.0.")


def test_the_console_log_is_the_servers(said):
    assert said["openstack console log show one"].strip()


def test_the_deleted_server_is_gone_and_its_address_free(simulated, said):
    deadline = time.monotonic() + 30
    while simulated.openstack("server", "list", "-f", "json"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [ip["Port"] for ip in simulated.openstack("floating", "ip", "list", "-f", "json")] == [None]


FOR_MEMBERS = (
    ("image list", "mini"),
    ("flavor list", "m1.tiny"),
    ("network list", "public"),
    ("security group list", "default"),
    ("security group rule list default", "tcp"),
    ("router list", "r"),
    ("keypair list", "k"),
    ("quota show", "instances"),
    ("limits show --absolute", "total_cores"),
    ("availability zone list", "nova"),
    ("extension list --network -c Alias", "router"),
    ("versions show", "placement"),
    ("token issue", "project_id"),
    ("catalog list", "keystone"),
    ("application credential create a", "Secret"),
    ("server group create --policy anti-affinity g", "anti-affinity"),
)
FOR_ADMINISTRATORS = (
    ("hypervisor list", "QEMU"),
    ("hypervisor stats show", "vcpus"),
    ("compute service list", "nova-compute"),
    ("network agent list", "OVN"),
    ("project list", "demo"),
    ("user list", "demo"),
    ("role list", "reader"),
    ("role assignment list --names", "admin@Default"),
    ("endpoint list", "/compute/v2.1"),
    ("server list --all-projects --long", "[]"),
    ("aggregate create --zone z a", "availability_zone"),
    ("usage list", "["),
    ("domain show default", "Default"),
    ("credential create --type note demo words", "words"),
    ("policy create rules.json", "application/json"),
)


def session(cloud, file, commands):
    """What each command prints: the client reads them all in one process, as a person types them at its prompt."""
    said = cloud.shell(  # at the end of its input the client leaves with 1
        f". {cloud.folder}/{file}; openstack 2>&1 <<'END' || true\n"
        + "\n".join(f"{c} -f json" for c in commands)
        + "\nEND"
    )
    decoder, found, at = json.JSONDecoder(), [], 0
    while start := re.compile(r"^[\[{]", re.MULTILINE).search(said, at):
        document, at = decoder.raw_decode(said, start.start())
        found.append(json.dumps(document))
    assert len(found) == len(commands), said
    return found


@pytest.mark.parametrize(("file", "asked"), [("openrc-demo", FOR_MEMBERS), ("openrc", FOR_ADMINISTRATORS)])
def test_what_people_ask(simulated, said, file, asked):
    (simulated.folder / "rules.json").write_text("{}")
    answers = session(simulated, file, [command for command, _ in asked])
    for (command, expected), answer in zip(asked, answers, strict=True):
        assert expected in answer, command


def test_an_own_image_comes_back_as_it_went(simulated):
    """README's last words: `openstack image create --file my.qcow2 ... mine`."""
    words = "openstack image create --file mini.qcow2 --disk-format qcow2 --container-format bare mine -f json"
    assert '"status": "active"' in simulated.shell(words)
    simulated.shell(
        "openstack image save --file back.qcow2 mine; cmp mini.qcow2 back.qcow2; openstack image delete mine"
    )
