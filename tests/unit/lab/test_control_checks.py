"""What `doctor --config` says of a control plane."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from gureum.cli import keys
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
