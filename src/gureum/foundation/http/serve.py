"""Runs the application on uvicorn in the calling thread, until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn


def serve(app: Any, host: str, port: int, on_ready: Callable[[], None] = lambda: None, *, shared: bool = False) -> None:
    """Blocks until the process is told to stop. `on_ready` runs when the socket accepts connections.

    With `shared`, other processes of the same user may listen on the same port: the kernel gives each connection to
    one of them (SO_REUSEPORT, socket(7)). Raises OSError when the port cannot be had.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http="httptools",
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

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                on_ready()

    # uvicorn raises the signal that ended it once more; unheard, so that the caller can end in good order.
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
    Server(config).run([_shared_socket(host, port)] if shared else None)


def _shared_socket(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=2048, reuse_port=True)
