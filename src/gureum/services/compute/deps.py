"""The dependencies of the compute API's handlers: `call.deps` of every compute route."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from gureum.foundation.db.engine import Database
from gureum.foundation.events.outbox import Events
from gureum.foundation.quota import Quotas
from gureum.foundation.tasks.store import Tasks
from gureum.services.compute.class_quotas import ClassQuotas
from gureum.services.compute.hosts.states import HostStates
from gureum.services.compute.quotas import QUOTAS
from gureum.services.identity.facade import IdentityFacade
from gureum.services.image.facade import ImageFacade
from gureum.services.network.facade import NetworkFacade
from gureum.services.placement.facade import PlacementFacade


@dataclass(frozen=True)
class ComputeDeps:
    database: Database
    tasks: Tasks
    hosts: HostStates
    identity: IdentityFacade
    image: ImageFacade
    network: NetworkFacade
    placement: PlacementFacade
    events: Events = field(default_factory=Events)

    @cached_property
    def quotas(self) -> Quotas:
        return QUOTAS.following(self.identity.unified, families=(ClassQuotas(self.placement),))
