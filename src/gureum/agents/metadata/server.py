"""Answers guests' questions about themselves, over one listening socket for each network.

Who asks is decided by the network that the socket belongs to and the connection's source address, which port
security ties to one port on this host; headers such as X-Forwarded-For or X-Instance-ID are never read
(CVE-2013-6419, CVE-2014-0056). An address that is no guest's gets 404.
Invariant: a guest that is slow or asks too often takes connections from itself alone.
Read next: `formats.py` for the documents, `service.py` for where the sockets come from.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from gureum.agents.hypervisor.protocol import ServerSpec
from gureum.agents.metadata import formats
from gureum.agents.metadata.http import BadRequest, Request, answer_bytes, hang_up, read_request

_log = logging.getLogger("gureum.agents.metadata")

_MAX_CONNECTIONS = 64
_MAX_PER_GUEST = 6
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


class MetadataServer:
    """One accepting thread for all networks; a short-lived thread for each connection."""

    def __init__(self, find_guest: FindGuest, passwords: Passwords) -> None:
        self._find_guest = find_guest
        self._passwords = passwords
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._listening: dict[str, socket.socket] = {}
        self._busy: Counter[tuple[str, str]] = Counter()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, "")
        self._stopped = False
        self._thread = threading.Thread(target=self._accept_forever, name="metadata", daemon=True)
        self._thread.start()

    def listen(self, network_id: str, listening: socket.socket) -> None:
        """Serve the network's guests on a listening socket; one that was there before is closed."""
        listening.setblocking(False)
        self.close(network_id)
        with self._lock:
            self._listening[network_id] = listening
            self._selector.register(listening, selectors.EVENT_READ, network_id)
        self._wake()

    def close(self, network_id: str) -> None:
        """Stop serving the network."""
        with self._lock:
            listening = self._listening.pop(network_id, None)
            if listening is not None:
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
                    self._accept(network_id)
                except OSError as error:
                    _log.warning("network %s: accept: %s", network_id, error)

    def _accept(self, network_id: str) -> None:
        with self._lock:
            listening = self._listening.get(network_id)
        if listening is None:
            return
        try:
            connection, peer = listening.accept()
        except BlockingIOError:
            return
        who = (network_id, str(peer[0]))
        with self._lock:
            allowed = self._busy[who] < _MAX_PER_GUEST and self._busy.total() < _MAX_CONNECTIONS
            if allowed:
                self._busy[who] += 1
        if not allowed:
            connection.close()
            return
        threading.Thread(target=self._serve, args=(connection, who), name="metadata-guest", daemon=True).start()

    def _serve(self, connection: socket.socket, who: tuple[str, str]) -> None:
        try:
            with connection:
                connection.sendall(self._answer(connection, who))
                hang_up(connection)
        except OSError as error:
            _log.debug("network %s, guest %s: %s", *who, error)
        except Exception:
            _log.exception("network %s, guest %s", *who)
        finally:
            with self._lock:
                self._busy[who] -= 1
                if self._busy[who] <= 0:
                    del self._busy[who]

    def _answer(self, connection: socket.socket, who: tuple[str, str]) -> bytes:
        try:
            request = read_request(connection)
        except BadRequest as refused:
            return answer_bytes(refused.status)
        if request is None:
            return b""
        spec = self._find_guest(*who)
        if spec is None:
            _log.info("network %s: %s is no guest of this host", *who)
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
