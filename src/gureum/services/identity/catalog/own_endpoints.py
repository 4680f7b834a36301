"""The endpoints of this cloud's own services in the catalog, kept true at each start.

A service that the cloud carries has three endpoints in the region, at the public URL. Those of a service that was
disabled (`gureum service disable`) are withdrawn: they stay, disabled, so that their ids, and what projects were
given of them, are there again when the service is. Invariant: an endpoint that an operator made or disabled is left as
it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.service import CatalogEntry
from gureum.services.identity.catalog.model import Endpoint, OwnEndpoint, Region, Service

INTERFACES = ("public", "internal", "admin")


def bring_up_to_date(tx: Tx, region: str, public_url: str, entries: Sequence[CatalogEntry], *, withdraws: bool) -> bool:
    """Make the catalog of `region` say what the cloud carries. Whether something changed.

    A process `withdraws` if it is the whole control plane: others may carry what it does not.
    """
    if tx.get(Region, region) is None:
        tx.add(Region(id=region))
        tx.flush()
    services = {row.type: row for row in tx.scalars(select(Service))}
    everywhere = tx.scalars(select(Endpoint)).all()
    endpoints = [row for row in everywhere if row.region_id == region]
    own = {row.endpoint_id: row for row in tx.scalars(select(OwnEndpoint))}
    changed = False
    for entry in entries:
        service = services.get(entry.type)
        if service is None:
            service = Service(id=ids.new_hex(), type=entry.type, name=entry.name)
            tx.add(service)
            tx.flush()
        of_service = sorted((row for row in endpoints if row.service_id == service.id), key=lambda row: row.id in own)
        present = {row.interface: row for row in of_service}  # its own, where an operator made another one
        changed |= _reappear(service, everywhere, own)
        changed |= _offer(tx, service, present, _Place(region, public_url.rstrip("/"), entry.path), own)
    if not withdraws:
        return changed
    carried = {services[entry.type].id for entry in entries if entry.type in services}
    for service in services.values():
        if service.id not in carried:
            changed |= _withdraw(service, [row for row in everywhere if row.service_id == service.id], region, own)
    return changed


class _Place(NamedTuple):
    """Where a service answers."""

    region: str
    public_url: str
    path: str


def _offer(
    tx: Tx, service: Service, present: Mapping[str, Endpoint], place: _Place, own: Mapping[str, OwnEndpoint]
) -> bool:
    """Make the endpoints that are missing, bring back those that were withdrawn, move all to the public URL."""
    changed = False
    url = place.public_url + place.path
    for interface in INTERFACES:
        row = present.get(interface)
        if row is None:
            row = Endpoint(id=ids.new_hex(), service_id=service.id, interface=interface, url=url)
            row.region_id = place.region
            tx.add(row)
            tx.flush()
            tx.add(OwnEndpoint(endpoint_id=row.id))
            changed = True
        elif row.id in own or (row.url.endswith(place.path) and not own):  # of before there were marks
            if row.id not in own:
                tx.add(OwnEndpoint(endpoint_id=row.id))
            elif own[row.id].withdrawn:
                _bring_back(row, own[row.id])
                changed = True
            changed |= row.url != url
            row.url = url
    return changed


def _withdraw(service: Service, everywhere: Sequence[Endpoint], region: str, own: Mapping[str, OwnEndpoint]) -> bool:
    """Disable the region's own endpoints of a service that is not carried; the service too when there are no others."""
    enabled = [row for row in everywhere if row.enabled]
    withdrawn = [row for row in enabled if row.region_id == region and row.id in own and not own[row.id].withdrawn]
    if not withdrawn:
        return False
    alone = service.enabled and len(withdrawn) == len(enabled)
    for row in withdrawn:
        row.enabled = False
        own[row.id].withdrawn = True
        own[row.id].with_service = alone
    if alone:
        service.enabled = False
    return True


def _reappear(service: Service, everywhere: Sequence[Endpoint], own: Mapping[str, OwnEndpoint]) -> bool:
    """Enable a service that another region's withdrawal disabled: this one carries it."""
    marks = [own[row.id] for row in everywhere if row.service_id == service.id and row.id in own]
    if service.enabled or not any(mark.with_service for mark in marks):
        return False
    service.enabled = True
    for mark in marks:
        mark.with_service = False
    return True


def _bring_back(endpoint: Endpoint, mark: OwnEndpoint) -> None:
    endpoint.enabled = True
    mark.withdrawn = False
