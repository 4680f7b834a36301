"""The state folder of one lab: where everything lies, what the lab is called, what it remembers between runs.

Pure paths and small files; nothing is started here. The lab's id comes from the folder's path, so two folders never
share a namespace, a link or a table. Everything in the folder is removable by `down --purge`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gureum.lab.refusal import Refusal

_LONGEST = 76  # unix socket addresses hold 107 bytes, and hosts/host1000/run/libvirt-like tails follow the folder
RESETTABLE = ("hosts", "port", "listen", "uplink", "inbound", "database", "bus", "services")
"""Options of `up` that can be forgotten. Whether a cloud is simulated is what it is."""
_HIDDEN_BY_HOSTS = (
    "/run",
    "/var/run",
    "/var/lib/libvirt",
    "/etc/libvirt",
    "/var/cache/libvirt",
    "/var/log/libvirt",
    "/proc",
    "/sys",
    "/dev",
)


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Absolute paths of one lab."""

    root: Path

    @property
    def lab(self) -> str:
        """`g` and six hexadecimal digits: short enough to begin the name of a link."""
        return "g" + hashlib.sha256(str(self.root).encode()).hexdigest()[:6]

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def ovn(self) -> Path:
        return self.root / "ovn"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def config(self) -> Path:
        return self.root / "gureum.toml"

    @property
    def plan(self) -> Path:
        return self.run / "plan.json"

    @property
    def status(self) -> Path:
        return self.run / "status.json"

    @property
    def bus_socket(self) -> Path:
        return self.run / "bus.sock"

    @property
    def control_ready(self) -> Path:
        return self.run / "control.ready"

    def host(self, name: str) -> Path:
        return self.root / "hosts" / name

    def pid_file(self, daemon: str) -> Path:
        return self.run / f"{daemon}.pid"

    def log(self, daemon: str) -> Path:
        return self.logs / f"{daemon}.log"

    def exists(self) -> bool:
        return (self.root / "lab.json").exists()

    def make(self) -> None:
        """Create the folders that every lab has, for their owner only."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.logs, self.images):
            folder.mkdir(mode=0o700, exist_ok=True)

    def remember(self, facts: dict[str, object]) -> None:
        write_private(self.root / "lab.json", json.dumps(facts, indent=1) + "\n")

    def remembered(self) -> dict[str, object]:
        """What the last `up` that worked decided; empty before the first."""
        return _read_facts(self.root / "lab.json")

    def attempt(self, facts: dict[str, object]) -> None:
        """Note what an `up` tries, until `end_attempt`: it is remembered when it worked."""
        write_private(self._attempt, json.dumps(facts, indent=1) + "\n")

    def end_attempt(self) -> None:
        self._attempt.unlink(missing_ok=True)

    def current(self) -> dict[str, object]:
        """What runs, or was the last to: the attempt under way, else what is remembered."""
        return _read_facts(self._attempt) or self.remembered()

    @property
    def _attempt(self) -> Path:
        return self.run / "attempt.json"

    def passwords(self) -> dict[str, str]:
        """The lab's own random passwords, made once."""
        file = self.root / "secrets.json"
        if not file.exists():
            made = {name: secrets.token_urlsafe(15) for name in ("admin", "demo")}
            write_private(file, json.dumps(made, indent=1) + "\n")
        return dict(json.loads(file.read_text()))


def _read_facts(file: Path) -> dict[str, object]:
    """A JSON object; empty where there is no file. Raises Refusal for one that cannot be read."""
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Refusal(
            f"{file} cannot be read ({error}).", "Remove the folder, or name another with --state."
        ) from error
    return found if isinstance(found, dict) else {}


def open_state(folder: str | Path) -> StateFolder:
    """The folder, made absolute; Refusal when sockets or mounts could not work there, or it is another user's."""
    root = Path(os.path.realpath(Path(folder).expanduser()))
    if len(str(root)) > _LONGEST:
        raise Refusal(
            f"The state folder's path is longer than {_LONGEST} characters, too long for unix sockets.",
            "Name a shorter one with --state.",
        )
    if any(character in str(root) for character in " \t\n\"'\\{}:,$`"):
        raise Refusal(
            f"The state folder's path has a space, quote, comma, colon, brace or dollar in it: {root}.",
            "Name a plainer one with --state.",
        )
    for hidden in _HIDDEN_BY_HOSTS:
        if str(root) == hidden or str(root).startswith(hidden + "/"):
            raise Refusal(
                f"The state folder cannot lie under {hidden}, which every host of the lab has of its own.",
                "Name another with --state.",
            )
    with suppress(FileNotFoundError, NotADirectoryError):
        try:
            (root / "lab.json").stat()
        except PermissionError:
            raise Refusal(
                f"The state folder {root} is readable by another user only.",
                "Run the command as that user (root: with sudo), or name a folder of your own with --state.",
            ) from None
    return StateFolder(root)


def require_config(file: Path) -> None:
    """Refusal when there is no control plane's configuration."""
    if not file.exists():
        raise Refusal(f"There is no {file}.", "`gureum up` makes one; of another cloud, name its own with --config.")


def write_private(file: Path, text: str) -> None:
    """Write for the owner only (mode 0600), whole or not at all."""
    fresh = file.with_name(file.name + ".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    fresh.replace(file)


@contextmanager
def only_one(state: StateFolder) -> Iterator[None]:
    """One command at a time changes a lab. The lock leaves with the process, however it ends."""
    state.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state.run / "command.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(f"Another gureum command is at work on {state.root}.", "Wait until it ends.") from None
        yield
    finally:
        os.close(descriptor)
