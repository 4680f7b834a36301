"""A RabbitMQ broker of the test's own: its own ports, node name, cookie, folders and epmd; nothing of the machine's.

It is started by hand from Debian's package and ended by the ids of the processes that were started here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the wrapper in PATH, which becomes the user rabbitmq and uses the system's folders."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Broker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.dist_port, self.epmd_port = free_port(), free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._node = f"gureum-test-{os.getpid()}@localhost"
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        config = folder / "rabbitmq.conf"
        config.write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
            "disk_free_limit.absolute = 10MB\n"
            "vm_memory_high_watermark.absolute = 512MB\n"
            "log.console = false\n"
        )
        (folder / "plugins").write_text("[].\n")
        (folder / "env.conf").write_text("")

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def start(self, within_s: float = 90.0) -> None:
        """Start, and return when the broker takes connections."""
        with (self.folder / "output").open("ab") as output:
            if self._epmd is None:
                epmd = ["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"]
                self._epmd = subprocess.Popen(epmd, stdout=output, stderr=output)
            self._server = subprocess.Popen(
                [str(SERVER)], env=self._environment(), stdout=output, stderr=output, start_new_session=True
            )
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            if self._server.poll() is not None:
                break
            time.sleep(0.1)
        text = (self.folder / "output").read_text(errors="replace")[-3000:]
        self.stop()
        raise RuntimeError(f"RabbitMQ did not start; its output:\n{text}")

    def kill(self) -> None:
        """End the broker as a power cut does."""
        if self._server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def stop(self) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None
