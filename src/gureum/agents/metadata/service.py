"""Keeps metadata served in exactly those networks that have a guest on this host.

It wires a network before its first guest starts and unwires it after the last one left; at start it rebuilds all
of it from the stored specs and removes what an earlier run left behind.
Invariant: a network's wiring and its sockets change under that network's lock only, after a look at the store.
Read next: `wiring.py` and `server.py`.
"""

from __future__ import annotations

import logging
import threading
from weakref import WeakValueDictionary

from gureum.agents.hypervisor.protocol import NicSpec, ServerSpec
from gureum.agents.hypervisor.server_store import ServerStore
from gureum.agents.metadata.server import MetadataServer
from gureum.agents.metadata.wiring import MetadataPort, Wiring, WiringFailed
from gureum.foundation.fleet.failure import AgentFailure

_log = logging.getLogger("gureum.agents.metadata")


class _NetworkLock:
    """A lock that is forgotten with its last user."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class MetadataService:
    """Serve metadata for this host's guests."""

    def __init__(self, store: ServerStore, wiring: Wiring) -> None:
        self._store = store
        self._wiring = wiring
        self._server = MetadataServer(store.guest, store)
        self._lock = threading.Lock()
        self._locks: WeakValueDictionary[str, _NetworkLock] = WeakValueDictionary()
        self._wired: dict[str, MetadataPort] = {}

    def ensure(self, spec: ServerSpec) -> None:
        """Serve the networks of a server that is about to run. Raises AgentFailure."""
        for port in metadata_ports(spec.nics):
            try:
                self._ensure(port)
            except (WiringFailed, OSError) as error:
                raise AgentFailure(f"metadata of network {port.network_id}: {error}") from error

    def release(self, network_ids: set[str]) -> None:
        """Stop serving those of the networks that have no guest here any more; failures are tried again later."""
        for network_id in network_ids:
            try:
                self._release(network_id)
            except WiringFailed as error:
                _log.warning("network %s: %s", network_id, error)

    def reconcile(self) -> bool:
        """Make wiring equal to the store's servers: at start, and as a safety net now and then. False: not all."""
        whole = True
        try:
            existing = self._wiring.existing()
        except WiringFailed as error:
            _log.warning("%s", error)
            return False
        for network_id in set(self._wired) - existing:
            # Somebody took it away: its sockets listen in a namespace that nobody can reach.
            self._server.close(network_id)
            self._wired.pop(network_id, None)
        for server_id in self._store.ids():
            spec = self._store.spec(server_id)
            if spec is None:
                continue
            try:
                self.ensure(spec)
            except AgentFailure as error:
                _log.warning("server %s: %s", server_id, error)
                whole = False
        self.release(existing | self._server.networks())
        return whole

    def networks(self) -> set[str]:
        """The networks that are served now."""
        return self._server.networks()

    def stop(self) -> None:
        """Close the sockets; the wiring stays for the next run."""
        self._server.stop()

    def _ensure(self, port: MetadataPort) -> None:
        held = self._lock_of(port.network_id)
        with held.lock:
            if self._wired.get(port.network_id) == port and port.network_id in self._server.networks():
                return
            self._wiring.ensure(port)
            if port.network_id not in self._server.networks():
                self._server.listen(port.network_id, self._wiring.open_sockets(port.network_id))
            self._wired[port.network_id] = port

    def _release(self, network_id: str) -> None:
        held = self._lock_of(network_id)
        with held.lock:
            if network_id in self._store.networks():
                return
            self._server.close(network_id)
            self._wiring.remove(network_id)
            self._wired.pop(network_id, None)

    def _lock_of(self, network_id: str) -> _NetworkLock:
        with self._lock:
            return self._locks.setdefault(network_id, _NetworkLock())


def metadata_ports(nics: tuple[NicSpec, ...]) -> list[MetadataPort]:
    """The metadata ports that a server's networks have."""
    return [
        MetadataPort(nic.network_id, nic.metadata_port_id, nic.metadata_mac, nic.metadata_addresses, nic.mtu)
        for nic in nics
        if nic.metadata_port_id
    ]
