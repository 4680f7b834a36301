"""What can be in the way of a control plane whose configuration an operator wrote: `doctor --config FILE`.

The database is read once; of the broker and OVN's databases it is asked whether they listen. Nothing is changed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from gureum.foundation.config import Config, ConfigError
from gureum.lab.checks import Finding, url_answers
from gureum.roles.assembly import read_config
from gureum.services.network.config import NetworkConfig

_LISTENS_WITHIN_S = 3.0
_DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}


def control_findings(file: Path) -> Iterator[Finding]:
    """Each thing that the control plane of this file stands on, but its image stores."""
    try:
        config = read_config(file)
        network = config.section(NetworkConfig)
    except ConfigError as error:
        yield Finding("config", "bad", str(error), "Correct the file.")
        return
    yield _file(file)
    yield _database(config)
    for title, url in (("bus", config.bus.url), ("OVN", network.northbound), ("OVN", network.southbound)):
        for place in url.split(";"):
            if "://" in place or place.startswith(("tcp:", "ssl:")):
                yield _listens(title, place)
    url = f"http://{_reached_at(config.api.host)}:{config.api.port}"
    health = url_answers(f"{url}/healthz")
    remedy = "Run: systemctl start gureum-api; journalctl -u gureum-api"
    yield (Finding("API", "good", f"{url} answers") if not health else Finding("API", "bad", f"{url} {health}", remedy))


def _file(file: Path) -> Finding:
    if file.stat().st_mode & 0o007:
        return Finding("config", "bad", f"everybody can read {file}, passwords are in it", f"Run: chmod o= {file}")
    return Finding("config", "good", f"{file} can be read, by nobody else")


def _database(config: Config) -> Finding:
    from gureum.foundation.db.engine import Database

    database = Database(config.database.url)
    try:
        answers = database.answers()
    finally:
        database.close()
    if answers:
        return Finding("database", "good", "it answers")
    remedy = "Is PostgreSQL running, does it listen beyond loopback, and does pg_hba.conf let this machine in?"
    return Finding("database", "bad", "it does not answer (the reason is in the lines above)", remedy)


def _listens(title: str, url: str) -> Finding:
    """`url` is of the form scheme://user:password@host:port/path, or OVSDB's tcp:host:port."""
    scheme, _, place = url.partition(":")
    try:
        parts = urlsplit(url if place.startswith("//") else f"//{place}")
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(scheme, 0)
    except ValueError as error:
        return Finding(title, "bad", f"its address makes no sense: {error}", "Correct the file.")
    try:
        socket.create_connection((host, port), timeout=_LISTENS_WITHIN_S).close()
    except OSError as error:
        said = error.strerror or str(error)
        return Finding(title, "bad", f"nothing answers at {host} port {port}: {said}", "Start it, or correct the file.")
    return Finding(title, "good", f"{host} port {port} listens")


def _reached_at(listen: str) -> str:
    if listen in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{listen}]" if ":" in listen else listen
