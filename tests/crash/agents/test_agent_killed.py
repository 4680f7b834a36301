"""The agent is killed before and after every effect of a server's life; a new one on the same folder goes on.

Each effect (a driver call, a file that gets its name, a program that runs) is a point. For every point the whole
life is lived once with a kill there: nothing may be stuck, started twice, or left behind.
"""

from __future__ import annotations

import msgspec
import pytest
from tests.contracts.agent_hosts import CountingDriver, make_image

from gureum.agents.hypervisor import disks, image_cache, server_store
from gureum.agents.hypervisor.disk_copies import DiskCopies
from gureum.agents.hypervisor.disks import DiskFolder
from gureum.agents.hypervisor.image_cache import ImageCache
from gureum.agents.hypervisor.protocol import NicSpec, ServerSpec
from gureum.agents.hypervisor.pursuit import Pursuit
from gureum.agents.hypervisor.server_store import ServerStore
from gureum.agents.metadata.service import MetadataService
from gureum.agents.metadata.wiring import LoopbackWiring
from gureum.drivers.hypervisor.fake import FakeHypervisor

CHANGES = {"define", "start", "resume", "pause", "shutdown", "power_off", "remove"}


class Killed(BaseException):
    pass


class Killer:
    """Counts the points that are passed, and kills at one of them."""

    def __init__(self, at):
        self.at = at
        self.passed = 0

    def point(self, *_):
        self.passed += 1
        if self.passed - 1 == self.at:
            raise Killed

    def around(self, function):
        def killable(*arguments, **named):
            self.point()
            answer = function(*arguments, **named)
            self.point()
            return answer

        return killable

    def at_driver_call(self, name):
        if name in CHANGES:
            self.point()


class Alone:
    """A turn that nobody else waits for."""

    def yield_if_asked(self):
        pass

    def wait_for_guest(self, _timeout_s):
        pass


class HostOfParts:
    def __init__(self, folder):
        self.folder = folder
        self.driver = CountingDriver(FakeHypervisor())
        self.wiring = LoopbackWiring()
        self.metadata = None

    def start(self):
        if self.metadata is not None:
            self.metadata.stop()
        store = ServerStore(self.folder / "servers")
        files = DiskFolder(self.folder / "instances", ImageCache(self.folder / "images"))
        self.metadata = MetadataService(store, self.wiring)
        self.metadata.reconcile()
        copies = DiskCopies(self.driver, files, lambda _server_id: False)
        self.pursuit = Pursuit(self.driver, store, files, copies, self.metadata)

    def leftovers(self):
        kept = [*(self.folder / "servers").iterdir(), *(self.folder / "instances").iterdir()]
        return [*kept, *self.driver.inner.machines(), *self.wiring.existing()]


def life_of(image):
    nic = NicSpec("p", "net", "fa:16:3e:00:00:01", metadata_port_id="m", metadata_addresses=("10.0.0.2/24",))
    spec = ServerSpec(
        "server-1", "one", 1, 64, 1, "paused", 1, image=image, nics=(nic,), config_drive=True, swap_mib=1, grace_s=5
    )
    return [
        msgspec.structs.replace(spec, **changes)
        for changes in (
            {},
            {"power": "running"},
            {"power": "running", "boot": 2},
            {"power": "running", "boot": 3, "disk": 2},
            {"power": "stopped", "boot": 3, "disk": 2},
            {"power": "running", "boot": 4, "disk": 2, "root_gib": 2},
        )
    ]


def live(host, image, killer):
    """The whole life; True when the killer struck."""
    struck = False
    for spec in [*life_of(image), None]:
        while True:
            try:
                if spec is None:
                    host.pursuit.remove("server-1")
                else:
                    host.pursuit.ensure(spec, Alone())
            except Killed:
                struck = True
                host.start()
                continue
            break
        if spec is not None:
            state = host.driver.inner.machines()["server-1"]
            effect = host.pursuit.store.effect("server-1")
            assert (state.power, effect.boot, effect.disk) == (spec.power, spec.boot, spec.disk), f"point {killer.at}"
            assert backing_is_whole(host), f"point {killer.at}"
    assert host.leftovers() == [], f"point {killer.at}"
    assert host.driver.starts["server-1"] == 4, f"point {killer.at}: a boot was lost or done twice"
    return struck


def backing_is_whole(host):
    root = host.pursuit.disks.of("server-1").root
    return root.exists() and (host.folder / "images" / "image-1.qcow2").exists() and disks.backing_file(root)


def test_a_kill_at_every_point(tmp_path, monkeypatch):
    image = make_image(tmp_path / "image.qcow2")
    originals = [
        (module, name, getattr(module, name))
        for module, name in (
            (server_store, "write_whole"),
            (server_store.shutil, "rmtree"),
            (image_cache, "write_whole"),
            (image_cache, "move_into_place"),
            (disks, "move_into_place"),
            (disks, "run_tool"),
        )
    ]
    at = 0
    while True:
        killer = Killer(at)
        host = HostOfParts(tmp_path / f"host-{at}")
        host.driver.before_call = host.driver.after_call = killer.at_driver_call
        for module, name, original in originals:
            monkeypatch.setattr(module, name, killer.around(original))
        host.start()
        try:
            struck = live(host, image, killer)
        finally:
            host.metadata.stop()
        if not struck:
            break
        at += 1
    assert at > 60, "the life has that many points; if it has fewer, something is not watched any more"


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch):
    # A kill is not a power loss: syncing would only make this slow.
    monkeypatch.setattr("os.fsync", lambda _: None)
