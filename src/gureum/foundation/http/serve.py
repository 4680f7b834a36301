"""Runs the application on uvicorn in the calling thread, until SIGTERM or SIGINT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvicorn


def serve(app: Any, host: str, port: int, on_ready: Callable[[], None] = lambda: None) -> None:
    """Blocks until the process is told to stop. `on_ready` runs when the socket accepts connections."""
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

    Server(config).run()
