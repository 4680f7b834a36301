"""What other services may know of compute: its events. None calls it."""

from __future__ import annotations

from gureum.services.compute.events import ServerCreated, ServerDeleted, ServerStarted, ServerStopped

__all__ = ["ServerCreated", "ServerDeleted", "ServerStarted", "ServerStopped"]
