"""Runs the application on uvicorn in the calling thread, until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import uvicorn

from gureum.foundation.connections import raise_open_files
from gureum.foundation.http.edge import ConnectionLimits, Edge
from gureum.foundation.http.protocol import BoundedProtocol

KEPT_FILES = 256
"""Descriptors that connections leave to the database, the bus, image data and the log."""


def serve(
    app: Any,
    host: str,
    port: int,
    on_ready: Callable[[], None] = lambda: None,
    *,
    shared: bool = False,
    limits: ConnectionLimits | None = None,
) -> None:
    """Blocks until the process is told to stop. `on_ready` runs when the socket accepts connections.

    With `shared`, other processes of the same user may listen on the same port: the kernel gives each connection to
    one of them (SO_REUSEPORT, socket(7)). Raises OSError when the port cannot be had.
    """
    # uvicorn raises the signal that ended it once more; unheard, so that the caller can end in good order.
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
    server = Server(app, host, port, on_ready, limits or ConnectionLimits())
    server.run([_shared_socket(host, port)] if shared else None)


class Server(uvicorn.Server):
    """uvicorn with our limits. `run` blocks until `should_exit` is set."""

    def __init__(self, app: Any, host: str, port: int, on_ready: Callable[[], None], limits: ConnectionLimits) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            http=_protocol(limits),
            ws="none",
            loop="uvloop",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=True,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            backlog=2048,
        )
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


def _protocol(limits: ConnectionLimits) -> type[BoundedProtocol]:
    """The class of this server's connections. Raises ValueError for a network that is none."""
    open_files = raise_open_files()
    most = max(open_files - KEPT_FILES, open_files // 2)
    in_all = min(limits.in_all, most) if limits.in_all else most
    shared = Edge(replace(limits, in_all=in_all))

    class Protocol(BoundedProtocol):
        edge = shared

    return Protocol


def _shared_socket(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=2048, reuse_port=True)
