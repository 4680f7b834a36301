"""Floods on a running control plane, without engines: memory stays, and whoever else asks is answered.

Each attack is a process of its own; the other client opens a connection for each of its requests. Bounds leave room for
a machine that runs other tests beside; docs/operate/security.md has the figures of a quiet one (`pytest -s` prints them).
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.compat.judged_cloud import CLONE, SimulatedProcess, clean_environment

from gureum.foundation.http.app import LOGIN_THREADS

GROWTH_MIB = 32
HASHES_MIB = 64 + 19 * LOGIN_THREADS
MEDIAN_S = 0.15
SLOWEST_S = 4.0


class Other:
    """Somebody else: asks for the health and for the validation of a token, in turns, until it is stopped."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._stopped = threading.Event()
        self.times: list[float] = []
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_failure):
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        headers = {"X-Auth-Token": self._token, "X-Subject-Token": self._token}
        while not self._stopped.wait(0.02):
            for path in ("/healthz", "/identity/v3/auth/tokens"):
                began = time.monotonic()
                try:
                    answer = ask(self._port, "GET", path, headers=headers)[0]
                except (OSError, http.client.HTTPException) as error:
                    answer = repr(error)
                self.times.append(time.monotonic() - began)
                if answer != 200:
                    self.failures.append(f"{path}: {answer}")


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def log_in(port, method, **proof):
    identity = {"methods": [method], method: proof}
    scope = {"scope": {"project": {"name": "demo", "domain": {"id": "default"}}}} if method == "password" else {}
    status, headers, content = ask(port, "POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity, **scope}})
    assert status == 201, content
    return {k.lower(): v for k, v in headers.items()}["x-subject-token"], json.loads(content)["token"]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flooded")
    usual_hash = {"auth": {"hash_time_cost": 0, "hash_memory_kib": 19456}}
    with SimulatedProcess(folder, hosts=1, program="tests.system.few_files", more=usual_hash) as cloud:
        cloud.token, told = log_in(
            cloud.port,
            "password",
            user={"name": "demo", "domain": {"id": "default"}, "password": cloud.passwords["demo"]},
        )
        rules = [{"service": "compute", "method": "GET", "path": f"{'**a' + '*a' * 61}{n:03}"} for n in range(64)]
        body = {"application_credential": {"name": "robot", "access_rules": rules}}
        path = f"/identity/v3/users/{told['user']['id']}/application_credentials"
        status, _, content = ask(cloud.port, "POST", path, body, {"X-Auth-Token": cloud.token})
        assert status == 201, content
        credential = json.loads(content)["application_credential"]
        cloud.narrow, _ = log_in(cloud.port, "application_credential", id=credential["id"], secret=credential["secret"])
        cloud.pid = cloud._processes[0][0].pid
        yield cloud


def memory_mib(pid) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def flooded(cloud, attack, seconds, token="", growth_mib=GROWTH_MIB):
    """What the attack saw, after what it did to others was held to the bounds."""
    argv = [
        sys.executable,
        "-m",
        "tests.system.flooding",
        attack,
        str(cloud.port),
        str(seconds),
        *([token] if token else []),
    ]
    before = peak = memory_mib(cloud.pid)
    attacker = subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=CLONE, env=clean_environment(PYTHONPATH=str(CLONE)))
    try:
        with Other(cloud.port, cloud.token) as other:
            while attacker.poll() is None:
                peak = max(peak, memory_mib(cloud.pid))
                time.sleep(0.05)
        told = json.loads(attacker.stdout.read())
    finally:
        attacker.kill()
        attacker.wait()
        attacker.stdout.close()
    median, slowest = statistics.median(other.times), max(other.times)
    print(
        f"\n{attack}: memory +{peak - before:.0f} MiB; others median {median * 1000:.0f} ms, slowest {slowest * 1000:.0f} ms, "
        f"{len(other.times)} requests; attacker {told}"
    )
    assert not other.failures
    assert peak - before < growth_mib
    assert median < MEDIAN_S
    assert slowest < SLOWEST_S
    return told


@pytest.mark.parametrize("attack", ["one_header", "many_headers"])
def test_heads_without_bound(cloud, attack):
    assert set(flooded(cloud, attack, 2)["answers"]) <= {"431", ""}


def test_half_sent_heads_beyond_all_descriptors(cloud):
    """1,100 connections at 1,024 open files: those that came first make room, all others end within the time of a head."""
    told = flooded(cloud, "half_heads", 16)
    assert told["ended"] == 1100
    assert told["longest_s"] < 15


def test_large_half_sent_heads(cloud):
    flooded(cloud, "large_half_heads", 3)


def test_brackets(cloud):
    assert set(flooded(cloud, "brackets", 2)["answers"]) <= {"413", ""}
    assert set(flooded(cloud, "brackets_within_the_limit", 2)["answers"]) == {"400"}


def test_wrong_passwords(cloud):
    """Each costs a hash: 40 clients wait for each other, and nobody else for them."""
    assert set(flooded(cloud, "wrong_passwords", 4, growth_mib=HASHES_MIB)["answers"]) == {"401"}


def test_half_sent_bodies(cloud):
    flooded(cloud, "half_bodies", 3)


def test_bodies_that_never_begin(cloud):
    """1,100 of them at 1,024 open files: 512 may be waited for, the rest make room."""
    flooded(cloud, "no_bodies", 4)


def test_access_rules(cloud):
    assert set(flooded(cloud, "access_rules", 3, cloud.narrow)["answers"]) == {"401"}


def test_answers_that_nobody_reads(cloud):
    flooded(cloud, "unread_answers", 3, cloud.token)


def test_requests_sent_ahead(cloud):
    flooded(cloud, "pipelined", 2)
