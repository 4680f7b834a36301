"""OVN's centre: the northbound and southbound databases and the translator between them, on unix sockets.

The databases are kept between runs. Read ovn-northd(8) and ovsdb-server(1).
"""

from __future__ import annotations

from pathlib import Path

from gureum.lab.daemon import Daemon, Ready

_LOGGING = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
_SCHEMAS = "/usr/share/ovn"


def northbound(folder: Path) -> str:
    return f"unix:{folder}/nb.sock"


def southbound(folder: Path) -> str:
    return f"unix:{folder}/sb.sock"


def central(folder: Path) -> tuple[Daemon, ...]:
    """The three daemons; `folder` holds databases and sockets."""
    northd = Daemon(
        name="ovn-northd",
        title="OVN northd",
        argv=(
            "ovn-northd",
            f"--ovnnb-db={northbound(folder)}",
            f"--ovnsb-db={southbound(folder)}",
            f"--unixctl={folder}/northd.ctl",
            *_LOGGING,
        ),
        ready=Ready("socket", f"{folder}/northd.ctl"),
        after=f"ovn-nbctl --db={northbound(folder)} --timeout=20 init",
        depends=("ovn-nb", "ovn-sb"),
    )
    return _database(folder, "nb", "northbound"), _database(folder, "sb", "southbound"), northd


def _database(folder: Path, short: str, title: str) -> Daemon:
    file = folder / f"{short}.db"
    return Daemon(
        name=f"ovn-{short}",
        title=f"OVN {title} database",
        argv=(
            "ovsdb-server",
            str(file),
            f"--remote=punix:{folder}/{short}.sock",
            f"--unixctl={folder}/{short}.ctl",
            *_LOGGING,
        ),
        before=f"mkdir -p {folder}; [ -s {file} ] || ovsdb-tool create {file} {_SCHEMAS}/ovn-{short}.ovsschema",
        ready=Ready("socket", f"{folder}/{short}.sock"),
    )
