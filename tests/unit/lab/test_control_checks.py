"""What `doctor --config` says of a control plane."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gureum.cli import keys
from gureum.lab.checks import url_answers
from gureum.lab.control_checks import control_findings


def verdicts(file):
    return {(found.subject, found.verdict) for found in control_findings(file)}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "gureum.toml"

    def write(bus: str, mode: int = 0o640):
        database = f"sqlite:///{tmp_path}/d.sqlite"
        file.write_text(f'[api]\nport = 1\n[database]\nurl = "{database}"\n[bus]\nurl = "{bus}"\n')
        file.chmod(mode)
        return file

    return write


def test_broker_that_listens_and_one_that_does_not(config):
    with socket.create_server(("127.0.0.1", 0)) as broker:
        port = broker.getsockname()[1]
        found = verdicts(config(f"amqp://gureum:secret@127.0.0.1:{port}//"))
    assert found == {("config", "good"), ("database", "good"), ("bus", "good"), ("API", "bad")}
    again = list(control_findings(config(f"amqp://gureum:secret@127.0.0.1:{port}//")))
    assert [finding.verdict for finding in again if finding.subject == "bus"] == ["bad"]
    assert "secret" not in str(again)


@pytest.mark.parametrize("place", ["tcp:127.0.0.1:{port}", "tcp:[::1]:{port}"])
def test_ovn_database_is_asked_at_its_address(config, place):
    family = socket.AF_INET6 if "[" in place else socket.AF_INET
    with socket.create_server(("::1" if "[" in place else "127.0.0.1", 0), family=family) as database:
        file = config("inprocess:")
        northbound = place.format(port=database.getsockname()[1])
        file.write_text(f'{file.read_text()}[network]\nnorthbound = "{northbound}"\n')
        assert ("OVN", "good") in verdicts(file)


def test_address_that_makes_no_sense_is_a_finding(config):
    file = config("inprocess:")
    file.write_text(f'{file.read_text()}[network]\nnorthbound = "tcp:127.0.0.1:none"\n')
    assert ("OVN", "bad") in verdicts(file)


def test_file_that_everybody_reads_is_bad(config):
    assert ("config", "bad") in verdicts(config("inprocess:", 0o644))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_root_rotates_keys_as_the_control_planes_user(capsys):
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are root's alone
        Path(place).chmod(0o755)
        folder = Path(place, "keys")
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
        file = Path(place, "gureum.toml")
        file.write_text(f'[auth]\nkeys = "{folder}"\n')
        try:
            assert keys.rotate_keys(file, "tokens") == 0
        finally:
            os.seteuid(0)
            os.setegid(0)
        assert {one.stat().st_uid for one in folder.iterdir()} == {65534}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"ok", ""),
        (503, b'{"error": {"message": "The database does not answer."}}', "answers 503: The database does not answer."),
        (503, b"<html>", "answers 503: Service Unavailable"),
        (404, b"[]", "answers 404: Not Found"),
    ],
)
def test_what_is_said_of_an_address_has_its_reason(status, body, said):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert url_answers(f"http://127.0.0.1:{server.server_port}/healthz") == said
        thread.join()
    assert url_answers(f"http://127.0.0.1:{server.server_port}/healthz") == "does not answer"
