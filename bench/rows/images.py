"""An image up and down, beside what the hashes and the loopback socket do alone."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator

from bench import limits
from bench.client import BenchError
from bench.cloud import Cloud, on_fresh_clouds
from bench.figures import Figure, best
from bench.sizes import Sizes

MIB = 1 << 20


def rows(sizes: Sizes) -> Iterator[Figure]:
    mib = sizes.image_mib
    runs = on_fresh_clouds(sizes, lambda cloud: _one_run(cloud, mib))
    hashes = limits.hashes_mib_s()
    yield Figure(
        "image-upload",
        f"image upload, {mib} MiB",
        best(up for up, _, _ in runs),
        "MiB/s",
        0.8 * hashes,
        limit=f"MD5 beside SHA-512 alone {hashes:,.0f} MiB/s",
        upstream="261 MiB/s",
    )
    sent, copied = limits.loopback_mib_s(mib, sendfile=True), limits.loopback_mib_s(mib, sendfile=False)
    yield Figure(
        "image-download-again",
        f"the same image, fetched a third time: from memory, {mib} MiB",
        best(again for _, _, again in runs),
        "MiB/s",
        0.7 * copied,
        limit=f"one in memory to a socket: read and send {copied:,.0f}, sendfile {sent:,.0f}",
        upstream="4,325 MiB/s (sendfile)",
    )
    yield Figure(
        "image-download",
        f"image download, {mib} MiB",
        best(down for _, down, _ in runs),
        "MiB/s",
        1e9 / MIB,
        limit=f"reading the file from the disk {limits.disk_mib_s(mib):,.0f}; one in memory to a socket: "
        f"sendfile {sent:,.0f}, read and send {copied:,.0f}",
        upstream="4,325 MiB/s (sendfile)",
    )


def _one_run(cloud: Cloud, mib: int) -> tuple[float, float, float]:
    """MiB/s up, down from the disk, and down once more after hosts fetched the image twice."""
    view = {"name": "large", "disk_format": "raw", "container_format": "bare"}
    path = f"/image/v2/images/{cloud.admin.call('POST', '/image/v2/images', view)['id']}/file"
    block = os.urandom(MIB)
    began = time.perf_counter()
    _upload(cloud, path, block, mib)
    uploaded = time.perf_counter()
    _download(cloud, path, mib)
    downloaded = time.perf_counter()
    _download(cloud, path, mib)
    again = time.perf_counter()
    _download(cloud, path, mib)
    return mib / (uploaded - began), mib / (downloaded - uploaded), mib / (time.perf_counter() - again)


def _upload(cloud: Cloud, path: str, block: bytes, mib: int) -> None:
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(mib * MIB)}
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)
    connection.request("PUT", path, (block for _ in range(mib)), {**cloud.admin.headers, **headers})
    answer = connection.getresponse()
    if answer.status != 204:
        raise BenchError(f"upload: {answer.status} {answer.read()!r}")
    connection.close()


def _download(cloud: Cloud, path: str, mib: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)
    connection.request("GET", path, None, cloud.admin.headers)
    answer, room, size = connection.getresponse(), bytearray(MIB), 0
    while count := answer.readinto(room):
        size += count
    if size != mib * MIB:
        raise BenchError(f"download: {answer.status}, {size} bytes")
    connection.close()
