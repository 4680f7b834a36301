"""Answers guests' questions about themselves, over listening sockets of each network, IPv4 and IPv6.

Who asks is decided by the network that the socket belongs to and the connection's source address, which port
security ties to one port on this host; headers such as X-Forwarded-For or X-Instance-ID are never read
(CVE-2013-6419, CVE-2014-0056). An address that is no guest's gets 404.
Invariant: a guest that is slow or asks too often takes connections from itself alone, the guests of a network from that
network alone: where all places are taken, whoever holds most of them gives up one that has not asked yet.
Read next: `formats.py` for the documents, `service.py` for where the sockets come from.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Protocol

from gureum.agents.hypervisor.protocol import ServerSpec
from gureum.agents.metadata import formats
from gureum.agents.metadata.http import (
    REQUEST_TIMEOUT_S,
    BadRequest,
    Request,
    answer_bytes,
    hang_up,
    read_request,
)
from gureum.foundation.connections import AT_REST, AT_WORK, SILENT, Connections, Limit

_log = logging.getLogger("gureum.agents.metadata")

_LIMITS = (Limit(512), Limit(64), Limit(6, replaces=False))
"""Of the host, of each network, of each guest. A connection is a thread."""
_PAUSE_S = 0.1
_MAX_PASSWORD_BYTES = 4096
_PASSWORD_PATHS = {f"/openstack/{version}/password" for version in (*formats.OPENSTACK_VERSIONS[1:], formats.LATEST)}

FindGuest = Callable[[str, str], ServerSpec | None]
"""(network id, source address) -> the guest that has it on this host."""


class Passwords(Protocol):
    """Where a guest's posted password is kept."""

    def password(self, server_id: str) -> str: ...

    def save_password(self, server_id: str, password: str) -> bool:
        """Keep it, once: false when there is one already."""
        ...


class _Connection:
    """An accepted connection of a guest. `rank` says whether it may make room for another one."""

    def __init__(self, socket: socket.socket, who: tuple[str, str]) -> None:
        self.socket = socket
        self.who = who
        self.rank = SILENT

    def cut(self) -> None:
        """Its thread wakes up and ends."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class MetadataServer:
    """One accepting thread for all networks; a short-lived thread for each connection."""

    def __init__(self, find_guest: FindGuest, passwords: Passwords) -> None:
        self._find_guest = find_guest
        self._passwords = passwords
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._listening: dict[str, Sequence[socket.socket]] = {}
        self._open: Connections[_Connection] = Connections(_LIMITS, lambda connection: connection.rank)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, "")
        self._stopped = False
        self._thread = threading.Thread(target=self._accept_forever, name="metadata", daemon=True)
        self._thread.start()

    def listen(self, network_id: str, sockets: Sequence[socket.socket]) -> None:
        """Serve the network's guests on listening sockets; those that were there before are closed."""
        self.close(network_id)
        with self._lock:
            self._listening[network_id] = sockets
            for listening in sockets:
                listening.setblocking(False)
                self._selector.register(listening, selectors.EVENT_READ, network_id)
        self._wake()

    def close(self, network_id: str) -> None:
        """Stop serving the network."""
        with self._lock:
            for listening in self._listening.pop(network_id, ()):
                self._selector.unregister(listening)
                listening.close()

    def networks(self) -> set[str]:
        with self._lock:
            return set(self._listening)

    def stop(self) -> None:
        """Close every socket; connections under way end by themselves."""
        self._stopped = True
        self._wake()
        self._thread.join(timeout=5)
        for network_id in self.networks():
            self.close(network_id)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"w")
        except OSError:
            _log.debug("the metadata server is already woken or closed")

    def _accept_forever(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select():
                network_id = str(key.data)
                if not network_id:
                    self._wake_read.recv(4096)
                    continue
                try:
                    self._accept(network_id, key.fileobj)
                except (OSError, RuntimeError) as error:  # no descriptor or no thread: neither comes back at once
                    _log.warning("network %s: accept: %s", network_id, error)
                    time.sleep(_PAUSE_S)

    def _accept(self, network_id: str, ready: object) -> None:
        with self._lock:
            listening = next((one for one in self._listening.get(network_id, ()) if one is ready), None)
        if listening is None:
            return
        try:
            accepted, peer = listening.accept()
        except BlockingIOError:
            return
        connection = _Connection(accepted, (network_id, str(peer[0])))
        with self._lock:
            admitted = self._open.admit(connection, connection.who, _Connection.cut)
        if not admitted:
            accepted.close()
            return
        try:
            threading.Thread(target=self._serve, args=(connection,), name="metadata-guest", daemon=True).start()
        except RuntimeError:
            self._forget(connection)
            accepted.close()
            raise

    def _serve(self, connection: _Connection) -> None:
        try:
            with connection.socket:
                answer = self._answer(connection)
                connection.socket.settimeout(REQUEST_TIMEOUT_S)
                connection.socket.sendall(answer)
                connection.rank = AT_REST
                hang_up(connection.socket)
        except OSError as error:
            _log.debug("network %s, guest %s: %s", *connection.who, error)
        except Exception:
            _log.exception("network %s, guest %s", *connection.who)
        finally:
            self._forget(connection)

    def _forget(self, connection: _Connection) -> None:
        with self._lock:
            self._open.remove(connection)

    def _answer(self, connection: _Connection) -> bytes:
        try:
            request = read_request(connection.socket)
        except BadRequest as refused:
            return answer_bytes(refused.status)
        connection.rank = AT_WORK
        if request is None:
            return b""
        spec = self._find_guest(*connection.who)
        if spec is None:
            _log.info("network %s: %s is no guest of this host", *connection.who)
            return answer_bytes(HTTPStatus.NOT_FOUND)
        if request.method == "POST" and request.path.rstrip("/") in _PASSWORD_PATHS:
            return self._keep_password(spec, request)
        if request.method not in {"GET", "HEAD"}:
            return answer_bytes(HTTPStatus.METHOD_NOT_ALLOWED)
        return self._show(spec, request)

    def _show(self, spec: ServerSpec, request: Request) -> bytes:
        document = formats.find(spec.guest, request.path, self._passwords.password(spec.server_id))
        if document is None:
            return answer_bytes(HTTPStatus.NOT_FOUND)
        return answer_bytes(HTTPStatus.OK, document.body, document.content_type, head=request.method == "HEAD")

    def _keep_password(self, spec: ServerSpec, request: Request) -> bytes:
        if len(request.body) > _MAX_PASSWORD_BYTES:
            return answer_bytes(HTTPStatus.BAD_REQUEST)
        text = request.body.decode("ascii", errors="replace").strip()
        if not text or not text.isprintable():
            return answer_bytes(HTTPStatus.BAD_REQUEST)
        kept = self._passwords.save_password(spec.server_id, text)
        return answer_bytes(HTTPStatus.OK if kept else HTTPStatus.CONFLICT)
