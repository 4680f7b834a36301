"""`up` and `down` with a stand-in control plane: start, failure, restart, adoption, and what is refused. No root needed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest

from gureum.cli.facts import facts_text
from gureum.lab import launch
from gureum.lab.checks import require_port
from gureum.lab.launch import SOURCE, bring_down, bring_up, read_status
from gureum.lab.process import read_pid_file
from gureum.lab.refusal import Refusal
from gureum.lab.state import open_state

STAND_INS = Path(__file__).parent / "standins"


class Recorder:
    """A report that remembers."""

    def __init__(self):
        self.titles = []

    @contextmanager
    def step(self, title):
        yield
        self.titles.append(title)

    def done(self, title, seconds):
        assert 0 <= seconds < 60
        self.titles.append(title)

    def waiting(self, what): ...


@pytest.fixture
def state():
    state = open_state(tempfile.mkdtemp(prefix="gureum-unit-", dir="/tmp"))
    yield state
    bring_down(state, True, Recorder())
    shutil.rmtree(state.root, ignore_errors=True)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def up(state, **asked):
    report = Recorder()
    done = bring_up(state, {"simulate": True, **asked}, report, STAND_INS)
    return done, report.titles


def eventually(what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_up_writes_what_people_need_for_their_eyes_only(state, port):
    done, titles = up(state, port=port)
    assert done.since is None
    assert titles == ["control plane"]
    for name in ("openrc", "openrc-demo", "clouds.yaml", "gureum.toml", "secrets.json"):
        assert (state.root / name).stat().st_mode & 0o777 == 0o600
    assert [str(path) for path in state.root.rglob("*") if path.lstat().st_mode & 0o077] == []


def test_up_on_a_running_cloud_says_since_when_it_runs_and_times_no_start(state, port):
    before = time.time()
    first, _ = up(state, port=port)
    again, titles = up(state)
    assert titles == []
    assert before <= again.since <= time.time()
    assert again.options.port == port
    assert "Your cloud is up after 4.0 s: simulated" in facts_text(first, 4.0)
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(again.since))
    assert f"Your cloud runs already, since {moment}: simulated" in facts_text(again, 4.0)


def test_a_simulated_cloud_has_the_image_that_up_names(state, port, tmp_path, monkeypatch):
    """Also where no guest image was ever built: the commands that `up` prints begin with it."""
    monkeypatch.setattr(launch, "CACHE", tmp_path / "cache")
    up(state, port=port)
    image = tomllib.loads(state.config.read_text())["bootstrap"]["guest_image"]
    assert Path(image).read_bytes().startswith(b"QFI\xfb")


def test_the_control_plane_is_started_again_and_the_status_says_so(state, port):
    up(state, port=port)
    before = read_pid_file(state.pid_file("control"))
    before.send(signal.SIGKILL)
    eventually(lambda: read_status(state)["daemons"]["control"]["restarts"] == 1)
    eventually(lambda: read_status(state)["daemons"]["control"]["state"] == "running")
    assert read_status(state)["daemons"]["control"]["problem"] == "it ended by signal 9"
    assert read_pid_file(state.pid_file("control")) != before


def test_a_killed_supervisor_takes_nothing_with_it_and_up_adopts(state, port):
    up(state, port=port)
    control = read_pid_file(state.pid_file("control"))
    supervisor = read_pid_file(state.pid_file("supervisor"))
    supervisor.send(signal.SIGKILL)
    supervisor.wait(5)
    assert control.alive()
    up(state)
    assert read_pid_file(state.pid_file("control")) == control
    assert bring_down(state, False, Recorder())
    assert not control.alive()


def test_down_works_without_a_supervisor(state, port):
    up(state, port=port)
    control = read_pid_file(state.pid_file("control"))
    supervisor = read_pid_file(state.pid_file("supervisor"))
    supervisor.send(signal.SIGKILL)
    supervisor.wait(5)
    assert bring_down(state, False, Recorder())
    assert not control.alive()


def test_a_control_plane_that_dies_at_once_is_said_in_its_own_words(state, port, tmp_path):
    shutil.copytree(STAND_INS, tmp_path / "src")
    (tmp_path / "src/gureum/roles/all_in_one.py").write_text("raise SystemExit('no such database')")
    with pytest.raises(Refusal, match="control plane did not start: no such database"):
        bring_up(state, {"simulate": True, "port": port}, Recorder(), tmp_path / "src")
    assert not list(state.run.glob("*.pid"))
    up(state, port=port)


def test_the_options_of_an_up_that_failed_are_not_remembered(state, port, tmp_path):
    shutil.copytree(STAND_INS, tmp_path / "src")
    (tmp_path / "src/gureum/roles/all_in_one.py").write_text("raise SystemExit('no such database')")
    failing = {"database": "postgresql://u:p@127.0.0.1:1/none", "hosts": 7, "port": port}
    with pytest.raises(Refusal):
        bring_up(state, {"simulate": True, **failing}, Recorder(), tmp_path / "src")
    assert not {"database", "hosts", "port", "simulate"} & state.remembered().keys()
    done, _ = up(state, port=port)
    assert (done.options.database, done.options.hosts) == ("", 1)
    assert state.remembered()["port"] == port
    bring_down(state, False, Recorder())
    with pytest.raises(Refusal):
        bring_up(state, failing, Recorder(), tmp_path / "src")
    done, _ = up(state)
    assert (done.options.database, done.options.hosts, done.options.port) == ("", 1, port)


def test_an_option_that_worked_is_forgotten_when_it_is_reset(state, port):
    up(state, port=port, hosts=3)
    bring_down(state, False, Recorder())
    done = bring_up(state, {}, Recorder(), STAND_INS, reset=["hosts"])
    assert (done.options.hosts, done.options.port, done.options.simulate) == (1, port, True)
    assert state.remembered()["hosts"] == 1


def test_a_port_in_use_is_said_with_its_owner(state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refusal, match=rf"Port {port} is in use by .+ \(process \d+\).+--port"):
            up(state, port=port)
    assert not state.root.exists(), "nothing is kept of a cloud that never was"


def test_an_address_that_is_not_ours_is_refused():
    with pytest.raises(Refusal, match="--listen"):
        require_port("192.0.2.77", 8774)


def test_other_options_wait_for_down(state, port):
    up(state, port=port)
    with pytest.raises(Refusal, match=r"was started with --hosts 1\. Run `gureum down`"):
        up(state, hosts=5)
    with pytest.raises(Refusal, match=r"was started without --database\."):
        up(state, database="postgresql+psycopg://u:p@h/d")


def test_a_folder_with_other_things_in_it_is_never_taken(tmp_path):
    (tmp_path / "thesis.txt").write_text("years")
    with pytest.raises(Refusal, match="is not empty"):
        up(open_state(tempfile.mkdtemp(dir="/tmp")) if len(str(tmp_path)) > 76 else open_state(tmp_path))
    assert not bring_down(open_state(tmp_path), True, Recorder())
    assert (tmp_path / "thesis.txt").exists()


def test_purge_leaves_nothing_and_down_twice_is_no_error(state, port):
    up(state, port=port)
    assert bring_down(state, True, Recorder())
    assert not state.root.exists()
    assert not bring_down(state, True, Recorder())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_up_leaves_nothing_and_can_be_run_again(state, port, tmp_path, number):
    shutil.copytree(STAND_INS, tmp_path / "src")
    (tmp_path / "src/gureum/roles/all_in_one.py").write_text("import time; time.sleep(60)")
    program = (
        # whoever runs the tests in the background has them ignore SIGINT
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from pathlib import Path; from gureum.cli.terminal import Terminal\n"
        "from gureum.cli.__main__ import listen_to_interrupts; listen_to_interrupts()\n"
        "from gureum.lab.launch import bring_up; from gureum.lab.state import open_state\n"
        f"with Terminal() as terminal:\n  bring_up(open_state({str(state.root)!r}), "
        f"{{'simulate': True, 'port': {port}}}, terminal, Path({str(tmp_path / 'src')!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    running = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
    eventually(lambda: read_pid_file(state.pid_file("control")))
    control = read_pid_file(state.pid_file("control"))
    running.send_signal(number)
    assert running.wait(20) != 0
    assert not control.alive()
    assert not list(state.run.glob("*.pid"))
    up(state)
