"""Who is answered, and what a hostile guest can do to the metadata server (nothing)."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from gureum.agents.hypervisor.protocol import GuestData, ServerSpec
from gureum.agents.metadata import http
from gureum.agents.metadata.http import BadRequest, _parse
from gureum.agents.metadata.server import MetadataServer
from gureum.foundation.connections import Limit


class Passwords:
    def __init__(self):
        self.kept = {}

    def password(self, server_id):
        return self.kept.get(server_id, "")

    def save_password(self, server_id, password):
        return self.kept.setdefault(server_id, password) is password


GUESTS = {
    ("net-a", "127.0.0.2"): "one",
    ("net-a", "127.0.0.3"): "two",
    ("net-b", "127.0.0.2"): "three",
}


def find_guest(network_id, address):
    name = GUESTS.get((network_id, address))
    if name is None:
        return None
    guest = GuestData(meta_data=f'{{"name": "{name}"}}', ec2={"instance-id": name})
    return ServerSpec(name, name, 1, 64, 1, "running", 1, guest=guest)


@pytest.fixture
def server():
    server = MetadataServer(find_guest, Passwords())
    addresses = {}
    for network in ("net-a", "net-b"):
        listening = socket.create_server(("127.0.0.1", 0))
        addresses[network] = listening.getsockname()
        server.listen(network, [listening])
    server.addresses = addresses
    yield server
    server.stop()


def exchange(server, request: bytes, source="127.0.0.2", network="net-a"):
    with socket.create_connection(server.addresses[network], timeout=5, source_address=(source, 0)) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def get(server, path="/latest/meta-data/instance-id", headers="", **where):
    return exchange(server, f"GET {path} HTTP/1.1\r\nHost: 169.254.169.254\r\n{headers}\r\n".encode(), **where)


def test_a_guest_is_known_by_network_and_address(server):
    assert get(server) == (200, b"one")
    assert get(server, source="127.0.0.3") == (200, b"two")
    assert get(server, network="net-b") == (200, b"three")


def test_cve_2013_6419_forged_headers_change_nothing(server):
    forged = "X-Forwarded-For: 127.0.0.3\r\nX-Instance-ID: two\r\nX-Neutron-Network-ID: net-b\r\nX-Tenant-ID: t\r\n"
    assert get(server, headers=forged) == (200, b"one")


def test_an_unknown_address_gets_nothing(server):
    assert get(server, source="127.0.0.9")[0] == 404
    assert get(server, source="127.0.0.3", network="net-b")[0] == 404


def test_head_has_no_body_and_other_methods_are_refused(server):
    assert exchange(server, b"HEAD /latest/meta-data/instance-id HTTP/1.1\r\n\r\n") == (200, b"")
    assert exchange(server, b"PUT /latest/api/token HTTP/1.1\r\nContent-Length: 0\r\n\r\n")[0] == 405


def test_password_is_kept_once(server):
    post = b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 4\r\n\r\n"
    assert get(server, "/openstack/latest/password") == (200, b"")
    assert exchange(server, post + b"\x00\x01\x02\x03")[0] == 400
    assert exchange(server, post + b"abcd")[0] == 200
    assert exchange(server, post + b"efgh")[0] == 409
    assert get(server, "/openstack/latest/password") == (200, b"abcd")
    assert get(server, "/openstack/latest/password", source="127.0.0.3") == (200, b"")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / SPDY/9\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"GET / HTTP/1.1\r\n" + b"x" * 40_000, 431),
    ],
)
def test_bad_requests_get_a_clear_answer(server, request_bytes, status):
    assert exchange(server, request_bytes)[0] == status
    assert get(server) == (200, b"one")


def test_a_slow_guest_takes_connections_from_itself_alone(server):
    held = [
        socket.create_connection(server.addresses["net-a"], timeout=5, source_address=("127.0.0.3", 0))
        for _ in range(20)
    ]
    try:
        deadline = time.monotonic() + 5
        while held[-1].recv(1) != b"" and time.monotonic() < deadline:  # refused at once: the share is used up
            pass
        assert get(server) == (200, b"one")
    finally:
        for connection in held:
            connection.close()


def half_requests(server, held, sources, network="net-a", each=6):
    for source in sources:
        for _ in range(each):
            connection = socket.create_connection(server.addresses[network], timeout=5, source_address=(source, 0))
            held.enter_context(connection)
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET / HTTP/1.1\r\n")


def test_half_requests_of_one_network_leave_others_alone(server):
    """66 of them from 11 addresses took every place of the host: other tenants' guests were reset for 10 s."""
    with contextlib.ExitStack() as held:
        half_requests(server, held, [f"127.0.1.{n}" for n in range(1, 40)])
        assert get(server, network="net-b") == (200, b"three")
        assert get(server) == (200, b"one"), "nor do they shut out the other guests of their own network"
        assert len(server._open) <= 66


def test_half_requests_of_many_networks_leave_others_alone(server, monkeypatch):
    monkeypatch.setattr(server._open, "_limits", (Limit(20), Limit(10), Limit(6, replaces=False)))
    with contextlib.ExitStack() as held:
        half_requests(server, held, [f"127.0.1.{n}" for n in range(1, 9)])
        for source in ("127.0.0.2", "127.0.0.2", "127.0.0.2"):
            assert get(server, network="net-b", source=source) == (200, b"three")


def test_a_guest_at_its_limit_is_served_again_when_its_time_is_over(server, monkeypatch):
    monkeypatch.setattr(http.read_request, "__defaults__", (0.3,))
    with contextlib.ExitStack() as held:
        half_requests(server, held, ["127.0.0.2"])
        began = time.monotonic()
        while time.monotonic() - began < 5:
            with contextlib.suppress(OSError, IndexError):
                assert get(server) == (200, b"one")
                break
            time.sleep(0.05)
        assert time.monotonic() - began < 4
    deadline = time.monotonic() + 5
    while len(server._open) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(server._open) == 0


def test_a_request_in_single_bytes_is_read_once(server):
    request = b"POST /openstack/latest/password HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd"
    with socket.create_connection(server.addresses["net-a"], timeout=5, source_address=("127.0.0.2", 0)) as connection:
        for byte in request:
            connection.sendall(bytes([byte]))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_host_without_threads_to_spare_goes_on_later(server, monkeypatch):
    start = threading.Thread.start
    failures = [RuntimeError("can't start new thread")] * 2

    def scarce(thread):
        if thread.name == "metadata-guest" and failures:
            raise failures.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    for _ in range(2):
        with pytest.raises((OSError, IndexError)):
            get(server)
    assert get(server) == (200, b"one")


def test_a_closed_network_answers_no_more(server):
    server.close("net-a")
    with pytest.raises(OSError):
        get(server)
    assert get(server, network="net-b") == (200, b"three")


def test_absolute_targets_and_queries_are_read():
    assert _parse(b"GET http://169.254.169.254/a%20b?c=d HTTP/1.1")[:2] == ("GET", "/a b")
    with pytest.raises(BadRequest):
        _parse(b"GET")
