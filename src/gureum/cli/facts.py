"""The console of facts that `up` ends with: where the cloud is, who may enter, and how a first server is made."""

from __future__ import annotations

import shutil
import time

from gureum.cli.terminal import launcher, shown
from gureum.lab.credentials import is_loopback, public_url
from gureum.lab.launch import Up
from gureum.lab.state import StateFolder


def print_facts(done: Up, seconds: float) -> None:
    """Print for people; every line may be copied into a shell as it is."""
    print(facts_text(done, seconds))


def _moment(seconds: float) -> str:
    """In the clock of whoever reads it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def facts_text(done: Up, seconds: float) -> str:
    """The text of the console of facts."""
    state, options = done.state, done.options
    url, folder = public_url(options), shown(state.root)
    kind = "simulated" if options.simulate else "real"
    hosts = "1 host" if options.hosts == 1 else f"{options.hosts} hosts"
    verb = f"is up after {seconds:.1f} s" if done.since is None else f"runs already, since {_moment(done.since)}"
    lines = ["", f"Your cloud {verb}: {kind}, {hosts}.", ""]
    lines += [f"  {name:<12} {url}{path}" for name, path in endpoints(state)]
    if not options.simulate:
        lines.append(f"  {'public':<12} {done.facts.external_cidr}, the external network; this machine reaches it")
        if not options.uplink:
            lines.append(f"  {'':<12} (no way out of the machine; --uplink INTERFACE makes one)")
        elif options.inbound and done.facts.uplink_address:
            route = f"ip route add {done.facts.external_cidr} via {done.facts.uplink_address}"
            lines.append(f"  {'':<12} others reach it after: {route}")
        if options.uplink and done.since is None and not done.facts.dns_servers:
            lines.append(
                f"  {'':<12} (no name server of this machine is reached through {options.uplink}: guests get none)"
            )
    if not is_loopback(options):
        lines.append(
            f"  {'listening':<12} on {options.listen}: others on your network reach the API, without encryption"
        )
    lines += [
        "",
        f"  admin        . {folder}/openrc         or  --os-cloud gureum-admin",
        f"  demo         . {folder}/openrc-demo    or  --os-cloud gureum",
        f"  clouds.yaml  export OS_CLIENT_CONFIG_FILE={folder}/clouds.yaml",
        "",
        "A first server, with the stock client:",
        "",
        *(f"  {line}" for line in _first_server(folder, options.simulate)),
        "",
        f"{launcher()} status | logs | trace REQUEST_ID | down"
        + ("" if state.root.name == ".gureum" else f"   (with --state {folder})"),
    ]
    return "\n".join(lines)


def endpoints(state: StateFolder) -> list[tuple[str, str]]:
    """(type, path) of each API, as the control plane told when it became ready."""
    try:
        lines = state.control_ready.read_text().splitlines()
    except OSError:
        return []
    return [(kind, path) for kind, _, path in (line.partition(" ") for line in lines)]


def _first_server(folder: str, simulated: bool) -> list[str]:
    client = "python3 -m venv osc && osc/bin/pip install -q python-openstackclient && export PATH=$PWD/osc/bin:$PATH"
    lines = [
        *([] if shutil.which("openstack") else [client]),
        f". {folder}/openrc-demo",
        "openstack network create n && openstack subnet create --network n --subnet-range 10.0.0.0/24 s",
        "openstack router create r && openstack router add subnet r s",
        "openstack router set --external-gateway public r",
        "openstack keypair create k > k.pem && chmod 600 k.pem",
        "openstack security group rule create default --protocol tcp --dst-port 22",
        "openstack security group rule create default --protocol icmp",
        "openstack server create --image mini --flavor m1.tiny --network n --key-name k --wait one",
        "IP=$(openstack floating ip create public -f value -c floating_ip_address)",
        "openstack server add floating ip one $IP",
    ]
    return lines if simulated else [*lines, "ssh -i k.pem gureum@$IP"]  # nobody answers in a simulated server
