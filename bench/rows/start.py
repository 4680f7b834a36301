"""`./gureum up --simulate`: its first token, the memory of all its processes when new and after work."""

from __future__ import annotations

from collections.abc import Iterator

from bench import limits
from bench.client import Client, once
from bench.figures import Figure, best
from bench.lab import lab
from bench.sizes import Sizes


def rows(sizes: Sizes) -> Iterator[Figure]:
    """Each run in a new folder; packages are installed."""
    runs = [_one_run(sizes) for _ in range(sizes.runs)]
    python_s, python_mib = limits.modules()
    yield Figure(
        "start-simulated",
        "up --simulate to the first token",
        best((run[0] for run in runs), least=True),
        "s",
        2,
        least=True,
        limit=f"Python with the control plane's modules alone {python_s:.2f} s",
        upstream="17.2 s",
    )
    alone = f"Python with the control plane's modules alone {python_mib:.0f} MiB"
    for key, name, at in (
        ("memory-simulated", "memory (PSS) of all processes, simulated, new", 1),
        ("memory-simulated-worked", f"the same after {sizes.servers} ports came, were listed and went", 2),
    ):
        yield Figure(key, name, best((run[at] for run in runs), least=True), "MiB", least=True, limit=alone)


def _one_run(sizes: Sizes) -> tuple[float, float, float]:
    with lab(simulate=True) as cloud:
        seconds = cloud.up()
        fresh, _ = cloud.memory_mib()
        work(cloud.client(), sizes.servers)
        worked, _ = cloud.memory_mib()
        return seconds, fresh, worked


def work(admin: Client, count: int) -> None:
    """Ports and reads in numbers: what a cloud does on a day, without a server that only engines could run."""
    network = admin.call("POST", "/network/v2.0/networks", {"network": {"name": "work"}})["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "172.21.0.0/16"}
    admin.call("POST", "/network/v2.0/subnets", {"subnet": subnet})
    project = admin.call("GET", "/identity/v3/auth/projects")["projects"][0]["id"]
    admin.call("PUT", f"/network/v2.0/quotas/{project}", {"quota": {"port": -1}})
    ports = "/network/v2.0/ports"
    once(admin.port, [admin.request("POST", ports, {"port": {"network_id": network}})] * count)
    once(admin.port, [admin.request("GET", f"{ports}?limit=100")] * count)
    once(admin.port, [admin.request("GET", "/compute/v2.1/servers/detail")] * count)
    made = admin.call("GET", f"{ports}?network_id={network}&device_owner=&fields=id")["ports"]
    once(admin.port, [admin.request("DELETE", f"{ports}/{port['id']}") for port in made])
