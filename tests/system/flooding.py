"""What a hostile client does, in a process of its own: `python -m tests.system.flooding ATTACK PORT SECONDS [TOKEN]`.

Prints one JSON object: how many answers of each status came, connections that the server ended, and how long the last
of them lived.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import threading
import time
from collections import Counter

MIB = 1 << 20


class Attack:
    def __init__(self, port: int, seconds: float, token: str) -> None:
        self.address = ("127.0.0.1", port)
        self.until = time.monotonic() + seconds
        self.token = token
        self.answers: Counter[str] = Counter()
        self.ended = 0
        self.longest_s = 0.0

    def connect(self, receive_bytes: int = 0) -> socket.socket:
        connection = socket.socket()
        connection.settimeout(20)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.connect(self.address)
        return connection

    def repeat(self, clients: int, head: bytes, body: bytes = b"") -> None:
        """So many clients send this again and again, each time on a new connection."""

        def client() -> None:
            while time.monotonic() < self.until:
                with self.connect() as connection, contextlib.suppress(OSError):
                    with contextlib.suppress(OSError):
                        connection.sendall(head)
                        for start in range(0, len(body), MIB):
                            connection.sendall(body[start : start + MIB])
                    self.answers[connection.recv(16)[9:12].decode()] += 1

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def hold(self, clients: int, text: bytes, *, receive_bytes: int = 0, answered: bool = True) -> None:
        """So many connections send this and nothing more; how long until the server ends each."""
        began, selector = time.monotonic(), selectors.DefaultSelector()
        for _ in range(clients):
            connection = self.connect(receive_bytes)
            with contextlib.suppress(OSError):
                connection.sendall(text)
            selector.register(connection, selectors.EVENT_READ)
        while answered and selector.get_map() and time.monotonic() < self.until:
            for key, _ in selector.select(0.5):
                received = b""
                with contextlib.suppress(OSError):
                    received = key.fileobj.recv(65536)
                if received:
                    self.answers[received[9:12].decode("latin-1")] += 1
                    continue
                selector.unregister(key.fileobj)
                key.fileobj.close()
                self.ended += 1
                self.longest_s = time.monotonic() - began
        while not answered and time.monotonic() < self.until:
            time.sleep(0.2)

    # -- the attacks -------------------------------------------------------------------------------------------

    def one_header(self) -> None:
        self.repeat(2, b"GET / HTTP/1.1\r\nA: ", b"a" * (100 * MIB))

    def many_headers(self) -> None:
        self.repeat(2, b"GET / HTTP/1.1\r\n", b"A: %s\r\n" % (b"a" * 1000) * (247 * MIB // 1005))

    def half_heads(self) -> None:
        self.hold(1100, b"GET / HTTP/1.1\r\nHost: a\r\n")

    def large_half_heads(self) -> None:
        self.hold(700, b"GET / HTTP/1.1\r\nA: " + b"a" * 60_000)

    def brackets(self) -> None:
        self._tokens(b"[" * MIB)

    def brackets_within_the_limit(self) -> None:
        self._tokens((b"[" * 32 + b"]" * 32) * 1024)

    def _tokens(self, body: bytes, clients: int = 4) -> None:
        fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
        self.repeat(clients, f"POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n".encode(), body)

    def wrong_passwords(self) -> None:
        user = {"name": "nobody", "domain": {"id": "default"}, "password": "wrong"}
        body = json.dumps({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}).encode()
        self._tokens(body, clients=40)

    def half_bodies(self) -> None:
        head = b"POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"
        self.hold(700, head + b" " * 60_000, answered=False)

    def no_bodies(self) -> None:
        head = b"POST /identity/v3/auth/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
        self.hold(1100, head, answered=False)

    def access_rules(self) -> None:
        path = "/compute/v2.1/servers/" + "a" * 2000
        self.repeat(4, f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {self.token}\r\n\r\n".encode())

    def unread_answers(self) -> None:
        request = f"GET /placement/traits HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {self.token}\r\n\r\n".encode()
        self.hold(100, request * 5000, receive_bytes=4096, answered=False)

    def pipelined(self) -> None:
        self.repeat(4, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 20_000)


if __name__ == "__main__":
    name, port, seconds, *token = sys.argv[1:]
    attack = Attack(int(port), float(seconds), token[0] if token else "")
    getattr(attack, name)()
    print(json.dumps({"answers": attack.answers, "ended": attack.ended, "longest_s": attack.longest_s}))
