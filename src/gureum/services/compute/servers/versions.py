"""Servers at older microversions, where the versions of fields (`views.py`) cannot say it.

Source: compute API reference, "REST API version history".
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET

from gureum.foundation.http.microversions import Version
from gureum.foundation.http.views import Listed
from gureum.services.compute.servers.views import (
    RebuiltServer,
    ServerView,
    ShortAddress,
    ShortRebuiltServer,
    ShortServer,
)

Short = TypeVar("Short", bound=ShortServer)


def server(view: ServerView, version: Version) -> ServerView:
    """Before 2.90 the host name is one of the attributes that administrators see."""
    if version < (2, 90) and view.host is UNSET:
        view.hostname = UNSET
    return view


def servers(views: Listed[ServerView], version: Version) -> Listed[ServerView]:
    for view in views.items if version < (2, 90) else ():
        server(view, version)
    return views


def updated(view: ServerView, version: Version) -> ServerView | ShortServer:
    """The answer to an update: all that GET shows since 2.75."""
    return _short(view, ShortServer) if version < (2, 75) else server(view, version)


def rebuilt(view: RebuiltServer, version: Version) -> RebuiltServer | ShortRebuiltServer:
    """The answer to a rebuild: the same."""
    if version < (2, 75):
        return _short(view, ShortRebuiltServer)
    server(view, version)
    return view


def _short(view: ServerView, kind: type[Short]) -> Short:
    shown = msgspec.structs.asdict(view)
    shown["addresses"] = {
        network: [ShortAddress(address.version, address.addr) for address in addresses]
        for network, addresses in view.addresses.items()
    }
    return kind(**{name: shown[name] for name in kind.__struct_fields__})
