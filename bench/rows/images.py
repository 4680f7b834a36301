"""An image of 512 MiB up and down, beside what the hashes and the loopback socket do alone."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator

from bench import limits
from bench.client import BenchError
from bench.cloud import Cloud
from bench.figures import Figure

MIB = 1 << 20
SIZE_MIB = 512


def rows(cloud: Cloud, runs: int) -> Iterator[Figure]:
    block = os.urandom(MIB)
    up, down = [], []
    for _ in range(runs):
        view = {"name": "large", "disk_format": "raw", "container_format": "bare"}
        image_id = cloud.admin.call("POST", "/image/v2/images", view)["id"]
        path = f"/image/v2/images/{image_id}/file"
        began = time.perf_counter()
        _upload(cloud, path, block)
        up.append(SIZE_MIB / (time.perf_counter() - began))
        began = time.perf_counter()
        _download(cloud, path)
        down.append(SIZE_MIB / (time.perf_counter() - began))
        cloud.admin.call("DELETE", f"/image/v2/images/{image_id}")
    hashes = limits.hashes_mib_s()
    limit = f"MD5 beside SHA-512 alone {hashes:,.0f} MiB/s"
    yield Figure("image upload, 512 MiB", max(up), "MiB/s", 0.8 * hashes, limit=limit)
    limit = f"file to socket: sendfile {limits.loopback_mib_s(True):,.0f}, read and send {limits.loopback_mib_s(False):,.0f}"
    note = f"copying memory {limits.copy_mib_s():,.0f} MiB/s"
    yield Figure("image download, 512 MiB", max(down), "MiB/s", 1000, limit=limit, note=note)


def _upload(cloud: Cloud, path: str, block: bytes) -> None:
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(SIZE_MIB * MIB)}
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)
    connection.request("PUT", path, (block for _ in range(SIZE_MIB)), {**cloud.admin.headers, **headers})
    answer = connection.getresponse()
    if answer.status != 204:
        raise BenchError(f"upload: {answer.status} {answer.read()!r}")
    connection.close()


def _download(cloud: Cloud, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)
    connection.request("GET", path, None, cloud.admin.headers)
    answer, room, size = connection.getresponse(), bytearray(MIB), 0
    while count := answer.readinto(room):
        size += count
    if size != SIZE_MIB * MIB:
        raise BenchError(f"download: {answer.status}, {size} bytes")
    connection.close()
