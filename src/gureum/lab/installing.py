"""Makes this machine run roles of a cloud of several machines: packages, a user, systemd units, the host's settings.

The launcher has made .venv with what the roles import before this runs. What a cloud is (addresses, passwords) is the
operator's own files in /etc/gureum; nothing here writes over them. Every step may be repeated.
docs/operate/many-machines.md is the way that this is a part of.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gureum.drivers.hypervisor.libvirt.host_settings import QEMU_CONF, with_settings
from gureum.lab import packages
from gureum.lab.launch import CACHE, CLONE, SOURCE, Report
from gureum.lab.refusal import Refusal

CONFIG = Path("/etc/gureum/gureum.toml")
SETTINGS = Path("/etc/gureum/agent.json")
STATE = Path("/var/lib/gureum")
HOST_STATE = Path("/var/lib/gureum-host")
USER = "gureum"
_UNITS = Path("/etc/systemd/system")
_HOST_UNITS = ("openvswitch-switch.service", "ovn-host.service", "libvirtd.socket", "libvirtd.service")


@dataclass(frozen=True, slots=True)
class Role:
    """A process as systemd runs it. `after` names the units of this machine that it stands on."""

    module: str
    title: str
    file: Path
    arguments: str
    user: str = USER
    state: Path = STATE
    after: str = ""

    @property
    def unit(self) -> str:
        return f"gureum-{self.module.replace('_', '-')}.service"


ROLES: Mapping[str, Role] = {
    "api": Role("api", "Gureum API", CONFIG, f"--config {CONFIG}"),
    "worker": Role("worker", "Gureum worker", CONFIG, f"--config {CONFIG}"),
    "all-in-one": Role("all_in_one", "Gureum API and worker", CONFIG, f"--config {CONFIG}"),
    "host": Role(
        "agent",
        "Gureum agent of this host",
        SETTINGS,
        f"--host %H --state {HOST_STATE} --settings {SETTINGS}",
        user="root",
        state=HOST_STATE,
        after="libvirtd.service openvswitch-switch.service ovn-controller.service",
    ),
}


def unit_text(role: Role, python: Path, source: Path) -> str:
    """The role's systemd unit. It ends nothing but the role's own process: guests and their wiring stay."""
    return f"""\
[Unit]
Description={role.title}
Wants=network-online.target
After=network-online.target {role.after}
ConditionPathExists={role.file}
StartLimitIntervalSec=0

[Service]
User={role.user}
UMask=0077
Environment=PYTHONPATH={source} MALLOC_ARENA_MAX=1
ExecStart={python} -m gureum.roles.{role.module} {role.arguments}
StateDirectory={role.state.name}
StateDirectoryMode=0700
KillMode=process
Restart=always
RestartSec=2
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def install_roles(names: Sequence[str], report: Report) -> list[Role]:
    """Install and enable the roles; those whose file is there are started. Refusal with the remedy."""
    if os.geteuid() != 0:
        raise Refusal("Only root installs daemons.", f"Run: sudo ./gureum install {' '.join(names)}")
    roles = [ROLES[name] for name in names]
    host = ROLES["host"] in roles
    absent = packages.missing(packages.HOST if host else packages.CONTROL)
    if absent:
        with report.step(f"installing {packages.counted(absent)}"):
            packages.install(absent, CACHE / "apt.log", services=True)
    if any(role.user == USER for role in roles):
        with report.step(f"the user {USER} and its folder {STATE}"):
            _make_user()
    CONFIG.parent.mkdir(mode=0o755, exist_ok=True)
    if host:
        with report.step("settings of libvirt, services of the host"):
            _set_up_host()
    with report.step("systemd units: " + ", ".join(role.unit for role in roles)):
        for role in roles:
            (_UNITS / role.unit).write_text(unit_text(role, CLONE / ".venv/bin/python", SOURCE))
        _compile()
        _systemctl("daemon-reload")
        _systemctl("enable", *(role.unit for role in roles))
        _systemctl("restart", *(role.unit for role in roles if role.file.exists()))
    return roles


def _make_user() -> None:
    if subprocess.run(["getent", "passwd", USER], check=False, capture_output=True).returncode:
        words = ["useradd", "--system", "--home-dir", str(STATE), "--shell", "/usr/sbin/nologin", USER]
        _run(words, "The user for the control plane could not be made")
    STATE.mkdir(mode=0o700, exist_ok=True)
    shutil.chown(STATE, USER, USER)


def _set_up_host() -> None:
    text = QEMU_CONF.read_text()
    changed = with_settings(text)
    if changed != text:
        before = QEMU_CONF.with_suffix(".conf.before-gureum")
        if not before.exists():
            before.write_text(text)
            before.chmod(0o600)
        QEMU_CONF.write_text(changed)
    _systemctl("enable", "--now", *_HOST_UNITS)
    if changed != text:
        _systemctl("restart", "libvirtd.service")


def _compile() -> None:
    """The control plane's user cannot write into the clone: modules are compiled for it once."""
    words = [str(CLONE / ".venv/bin/python"), "-m", "compileall", "-q", str(SOURCE)]
    subprocess.run(words, check=False, capture_output=True)


def _systemctl(*words: str) -> None:
    """Without a running systemd (an image that is prepared) units are enabled and nothing is started."""
    running = Path("/run/systemd/system").exists()
    if not running:
        if words[0] != "enable":
            return
        words = tuple(word for word in words if word != "--now")
    if words[0] == "restart" and len(words) == 1:
        return
    _run(["systemctl", *words], "systemd refused")


def _run(words: Sequence[str], problem: str) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"{problem}: {(done.stderr or done.stdout).strip()}.", f"Its command was: {' '.join(words)}")
