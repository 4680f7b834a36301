"""An outside place with image data: a web server on loopback that a test fills and watches."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Place(ThreadingHTTPServer):
    """`files` by path; `moved` redirects; `short` breaks off; `asked` are the requests that came."""

    daemon_threads = True

    def __init__(self, address=("127.0.0.1", 0)):
        super().__init__(address, _Handler)
        self.files, self.moved, self.asked, self.short = {}, {}, [], set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        place = self.server
        place.asked.append((self.command, self.path, dict(self.headers)))
        if self.path in place.moved:
            self.send_response(302)
            self.send_header("Location", place.moved[self.path])
            self.end_headers()
            return
        data = place.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[: len(data) // 2] if self.path in place.short else data)

    do_HEAD = do_GET

    def log_message(self, *_words):
        pass


@contextmanager
def serving(server):
    """The place answers for the length of the block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def place():
    with serving(Place()) as server:
        yield server
