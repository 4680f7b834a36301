"""Images on a host: checked before anything touches them, made once, never changed, swept only when nobody uses them."""

from __future__ import annotations

import hashlib
import http.server
import os
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from gureum.agents.hypervisor.disks import backing_file
from gureum.agents.hypervisor.image_cache import ImageCache
from gureum.agents.hypervisor.protocol import ImageSource
from gureum.foundation.fleet.failure import AgentFailure

MIB = 1 << 20


def qemu_img(*arguments):
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def source_of(path, disk_format, /, image_id="image-1", **changes):
    content = path.read_bytes()
    fields = {
        "image_id": image_id,
        "disk_format": disk_format,
        "size_bytes": len(content),
        "sha512": hashlib.sha512(content).hexdigest(),
        "path": str(path),
    }
    return ImageSource(**{**fields, **changes})


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def qcow2(store):
    path = store / "a.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", path, "3M")
    return path


@pytest.fixture
def cache(tmp_path):
    return ImageCache(tmp_path / "images")


def names(tmp_path):
    return sorted(path.name for path in (tmp_path / "images").iterdir())


def test_a_file_of_the_store_is_linked_and_outlives_its_deletion(cache, qcow2, tmp_path):
    before = qcow2.stat()
    with cache.base(source_of(qcow2, "qcow2")) as base:
        assert (base.format, base.virtual_size_bytes) == ("qcow2", 3 * MIB)
        assert base.path.stat().st_ino == before.st_ino
        assert qcow2.stat().st_mtime_ns == before.st_mtime_ns
        qcow2.unlink()
        assert base.path.read_bytes()[:4] == b"QFI\xfb"
    assert names(tmp_path) == ["image-1.json", "image-1.qcow2"]


def test_the_second_use_needs_no_source(cache, qcow2, tmp_path):
    source = source_of(qcow2, "qcow2")
    with cache.base(source):
        pass
    qcow2.unlink()
    with ImageCache(tmp_path / "images").base(source) as base:
        assert base.virtual_size_bytes == 3 * MIB


@pytest.mark.parametrize(
    "change", [{"sha512": "0" * 128}, {"size_bytes": 5}, {"disk_format": "raw"}, {"disk_format": "vmdk"}]
)
def test_cve_2024_40767_an_image_that_is_not_what_it_says(cache, qcow2, tmp_path, change):
    source = source_of(qcow2, "qcow2")
    fields = {name: getattr(source, name) for name in source.__struct_fields__} | change
    with pytest.raises(AgentFailure) as caught, cache.base(ImageSource(**fields)):
        pass
    assert not caught.value.retry
    assert caught.value.public == "The image is not what it says it is."
    assert str(tmp_path) not in caught.value.public
    assert names(tmp_path) == []


def test_cve_2024_32498_backing_and_data_files_are_refused(cache, store, qcow2, tmp_path):
    lying = store / "backed.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", qcow2, lying)
    with pytest.raises(AgentFailure) as caught, cache.base(source_of(lying, "qcow2")):
        pass
    assert not caught.value.retry
    external = store / "external.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", f"data_file={store}/secret,data_file_raw=on", external, "1M")
    with pytest.raises(AgentFailure), cache.base(source_of(external, "qcow2")):
        pass
    assert names(tmp_path) == []


def test_cve_2022_47951_a_vmdk_descriptor_that_names_a_host_file(cache, store):
    lying = store / "lying.vmdk"
    lying.write_text('# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/passwd" 0\n')
    with pytest.raises(AgentFailure), cache.base(source_of(lying, "vmdk")):
        pass


def test_other_formats_are_converted_once(cache, store, tmp_path):
    raw = store / "r.raw"
    raw.write_bytes(os.urandom(MIB) + bytes(MIB))
    vdi = store / "v.vdi"
    qemu_img("convert", "-f", "raw", "-O", "vdi", raw, vdi)
    with cache.base(source_of(vdi, "vdi")) as base:
        assert (base.format, base.virtual_size_bytes) == ("qcow2", 2 * MIB)
        qemu_img("convert", "-f", "qcow2", "-O", "raw", base.path, tmp_path / "back.raw")
    assert (tmp_path / "back.raw").read_bytes() == raw.read_bytes()
    assert names(tmp_path) == ["image-1.json", "image-1.qcow2"]


def test_a_raw_image_stays_raw(cache, store):
    raw = store / "r.raw"
    raw.write_bytes(bytes(MIB))
    with cache.base(source_of(raw, "raw")) as base:
        assert (base.format, base.virtual_size_bytes) == ("raw", MIB)


def test_a_missing_source_may_come_back(cache, qcow2):
    source = source_of(qcow2, "qcow2")
    qcow2.unlink()
    with pytest.raises(AgentFailure) as caught, cache.base(source):
        pass
    assert caught.value.retry


def test_an_id_is_never_a_path(cache, qcow2):
    with pytest.raises(AgentFailure) as caught, cache.base(source_of(qcow2, "qcow2", image_id="../../etc/x")):
        pass
    assert not caught.value.retry


def test_only_the_store_is_read_by_path(qcow2, store, tmp_path):
    fenced = ImageCache(tmp_path / "fenced", store=store)
    with fenced.base(source_of(qcow2, "qcow2")) as base:
        assert base.format == "qcow2"
    outside = tmp_path / "outside.qcow2"
    outside.write_bytes(qcow2.read_bytes())
    (store / "link.qcow2").symlink_to(outside)
    for path in (outside, store / "link.qcow2", store / ".." / "outside.qcow2"):
        with pytest.raises(AgentFailure) as caught, fenced.base(source_of(path, "qcow2", image_id="image-2")):
            pass
        assert not caught.value.retry


def test_what_a_kill_left_is_made_anew(cache, qcow2, tmp_path):
    (tmp_path / "images" / "image-1.qcow2").write_bytes(b"half")
    (tmp_path / "images" / "image-1.source.part").write_bytes(b"half")
    with ImageCache(tmp_path / "images").base(source_of(qcow2, "qcow2")) as base:
        assert base.path.read_bytes() == qcow2.read_bytes()
    assert names(tmp_path) == ["image-1.json", "image-1.qcow2"]


def test_a_long_fetch_can_be_stopped(cache, qcow2, tmp_path):
    def cancelled():
        raise InterruptedError

    with pytest.raises(InterruptedError), cache.base(source_of(qcow2, "qcow2"), cancelled):
        pass
    assert names(tmp_path) == []


def test_the_sweep_keeps_what_is_in_use_pinned_or_fresh(cache, qcow2, tmp_path):
    for image_id in ("used", "pinned", "idle"):
        with cache.base(source_of(qcow2, "qcow2", image_id=image_id)):
            pass
    overlay = tmp_path / "overlay"
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", tmp_path / "images" / "used.qcow2", overlay)
    in_use = {Path(backing_file(overlay)).name}
    assert cache.sweep(in_use, unused_s=3600) == []
    later = overlay.stat().st_mtime + 7200
    with cache.base(source_of(qcow2, "qcow2", image_id="pinned")):
        assert cache.sweep(in_use, unused_s=3600, now=later) == ["idle"]
    assert names(tmp_path) == ["pinned.json", "pinned.qcow2", "used.json", "used.qcow2"]
    assert qcow2.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"QFI\xfb", b"QFI\xfb" + struct.pack(">IQI", 3, 0, 0), b"QFI\xfb" + struct.pack(">IQI", 3, 1 << 40, 99999)],
)
def test_a_disk_without_a_base_names_none(tmp_path, content):
    path = tmp_path / "disk"
    path.write_bytes(content)
    assert backing_file(path) == ""


@pytest.fixture
def web(qcow2):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/gone"):
                self.send_error(404)
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(qcow2.read_bytes())

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_image_comes_over_http(cache, qcow2, web):
    with cache.base(source_of(qcow2, "qcow2", path="", url=f"{web}/image?signature=s")) as base:
        assert base.path.read_bytes() == qcow2.read_bytes()


def test_more_bytes_than_promised_are_not_taken(cache, qcow2, web, tmp_path):
    with (
        pytest.raises(AgentFailure) as caught,
        cache.base(source_of(qcow2, "qcow2", path="", url=web + "/i", size_bytes=100)),
    ):
        pass
    assert not caught.value.retry
    assert names(tmp_path) == []


def test_a_url_that_is_gone_never_comes_and_its_signature_is_not_told(cache, qcow2, web):
    with (
        pytest.raises(AgentFailure) as caught,
        cache.base(source_of(qcow2, "qcow2", path="", url=web + "/gone?sig=secret")),
    ):
        pass
    assert not caught.value.retry
    assert "secret" not in str(caught.value)
    with (
        pytest.raises(AgentFailure) as caught,
        cache.base(source_of(qcow2, "qcow2", path="", url="http://127.0.0.1:9/x")),
    ):
        pass
    assert caught.value.retry
    with pytest.raises(AgentFailure), cache.base(source_of(qcow2, "qcow2", path="", url="file:///etc/passwd")):
        pass
