"""Lets the agents in the hosts' namespaces reach a broker that the machine reaches: one small process for all.

In each host's network namespace it listens on the loopback and joins every connection with one to the broker, made from
the machine's own namespace. A socket belongs for ever to the namespace in which it was made, so one process can serve
all. Only for a lab with `--bus amqp://...`; the embedded bus is a unix socket and needs none of it.

Run as `python -m gureum.lab.bus_forward BROKER:PORT LOCAL_PORT PID...`. Standard library only.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

_CLONE_NEWNET = 0x40000000
_CHUNK = 1 << 16


def listen_in(namespace_file: str, port: int) -> socket.socket:
    """A listening socket on 127.0.0.1 of another network namespace; this process stays where it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(namespace_file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(libc.setns, other)
        try:
            return socket.create_server(("127.0.0.1", port))
        finally:
            _enter(libc.setns, own)
    finally:
        os.close(own)
        os.close(other)


def _enter(setns: Callable[[int, int], int], descriptor: int) -> None:
    if setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


async def forward(listeners: list[socket.socket], broker: tuple[str, int]) -> None:
    """Serve until cancelled. A broker that is away ends the connection at once: the client's own retry decides."""

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*broker)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    servers = [await asyncio.start_server(join, sock=listener) for listener in listeners]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        writer.close()


def main(broker: str, port: str, *pids: str) -> None:
    address, _, broker_port = broker.rpartition(":")
    listeners = [listen_in(f"/proc/{pid}/ns/net", int(port)) for pid in pids]
    asyncio.run(forward(listeners, (address.strip("[]"), int(broker_port))))


if __name__ == "__main__":
    main(*sys.argv[1:])
