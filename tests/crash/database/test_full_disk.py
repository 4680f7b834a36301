"""A disk that really is full, and a PostgreSQL that really restarts, under a control plane of their own process.

The disk is a tmpfs of 12 MiB in a mount namespace that only this test's control plane sees: it goes with the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
WITHIN_S = 40.0


class ControlPlane:
    """The all-in-one process on a configuration of its own; `prefix` is what it is started with."""

    def __init__(self, folder, *prefix, state="", database="", before=""):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        state = state or folder
        file = folder / "cloud.toml"
        url = database or f"sqlite:///{state}/cloud.sqlite"
        file.write_text(
            f'state = "{state}"\n[api]\nport = {self.port}\n[database]\nurl = "{url}"\n[image]\nfolder = "{state}/images"\n'
            '[auth]\nhash_time_cost = 1\nhash_memory_kib = 8\n[bootstrap]\nadmin_password = "admin-secret"\n'
            f'[log]\nfile = "{folder}/log"\n'
        )
        start = f"{before} exec {sys.executable} -m gureum.roles.all_in_one --config {file}"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
        self.log = folder / "log"
        self.process = subprocess.Popen([*prefix, "sh", "-ec", start], env=environment)
        until(lambda: self.get("/healthz")[0] == 200, "the control plane does not start")
        self.token = self._log_in()

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def request(self, method, path, body=None):
        headers = {"Content-Type": "application/json"}
        if token := getattr(self, "token", ""):
            headers["X-Auth-Token"] = token
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()
        except OSError:
            return 0, {}, b""

    def get(self, path):
        return self.request("GET", path)

    def _log_in(self):
        user = {"name": "admin", "domain": {"name": "Default"}, "password": "admin-secret"}
        scope = {"project": {"name": "admin", "domain": {"name": "Default"}}}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        status, headers, content = self.request("POST", "/identity/v3/auth/tokens", {"auth": auth})
        assert status == 201, content
        return headers["X-Subject-Token"]

    def make_network(self):
        return self.request("POST", "/network/v2.0/networks", {"network": {"name": "n", "description": "d" * 200}})

    def hosts_are_up(self):
        content = self.get("/compute/v2.1/os-services?binary=nova-compute")[2]
        services = json.loads(content)["services"]
        return bool(services) and all(service["state"] == "up" for service in services)


def until(holds, complaint, within_s=WITHIN_S):
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.1)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root, to mount a small disk")
def test_a_cloud_goes_on_by_itself_when_a_full_disk_has_space_again(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=12m,mode=0700 none {disk};"
    cloud = ControlPlane(tmp_path, "unshare", "-m", "--propagation", "private", state=disk, before=mount)
    inside = Path(f"/proc/{cloud.process.pid}/root{disk}")
    try:
        assert cloud.make_network()[0] == 201
        filler = inside / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as output:
            while True:
                output.write(bytes(4096))
        answers = [cloud.make_network() for _ in range(400)]
        refused = [answer for answer in answers if answer[0] != 201]
        assert refused, "the disk is not full"
        assert {status for status, _, _ in refused} == {507}, refused[0]
        assert b"no space left" in refused[0][2]
        assert str(disk).encode() not in refused[0][2]
        status, _, content = cloud.get("/healthz")
        assert status == 503
        assert b"no space left" in content
        time.sleep(9)  # longer than a host may be silent: its heartbeats cannot be written
        assert cloud.get("/network/v2.0/networks")[0] == 200, "what needs no space is read"
        filler.unlink()
        until(lambda: cloud.make_network()[0] == 201, "nothing can be written")
        until(lambda: cloud.get("/healthz")[0] == 200, "/healthz still complains")
        until(cloud.hosts_are_up, "heartbeats are not written")
        assert cloud.process.poll() is None
    finally:
        cloud.stop()


@pytest.mark.postgresql
def test_a_cloud_goes_on_by_itself_after_postgresql_restarts(tmp_path, own_postgresql):
    cloud = ControlPlane(tmp_path, database=own_postgresql.new_database())
    try:
        assert cloud.make_network()[0] == 201
        own_postgresql.pause()
        status, headers, content = cloud.make_network()
        assert status == 503, content
        assert int(headers["Retry-After"]) > 0
        assert b"cannot be reached" in content
        assert cloud.get("/healthz")[0] == 503
        own_postgresql.resume()
        assert cloud.make_network()[0] == 201
        assert cloud.get("/healthz")[0] == 200
        until(cloud.hosts_are_up, "heartbeats are not written")
        assert cloud.process.poll() is None
    finally:
        cloud.stop()
