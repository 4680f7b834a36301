"""What compute does when the virtual network says that servers' ports changed."""

from __future__ import annotations

from sqlalchemy import update

from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.store import Tasks
from gureum.services.compute.servers.model import TASK_KIND, Server
from gureum.services.network.facade import AddressesChanged, PortsChanged


def on_ports_changed(tasks: Tasks, tx: Tx, event: PortsChanged) -> None:
    """Wake the servers' tasks: one that waits for its ports goes on."""
    tasks.signal(tx, TASK_KIND, event.server_ids)


def on_addresses_changed(tasks: Tasks, tx: Tx, event: AddressesChanged) -> None:
    """Addresses that the guest's metadata shows changed: the host is to hold the new documents."""
    tx.execute(update(Server).where(Server.id.in_(event.server_ids)).values(spec=Server.spec + 1))
    tasks.signal(tx, TASK_KIND, event.server_ids)
