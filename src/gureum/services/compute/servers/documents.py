"""A server's metadata and tags. Sources: compute API reference, "Server metadata", "Server tags (servers, tags)".

Metadata is part of what the host tells the guest, so that its changes reach the host; tags are the API's alone.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from msgspec import Meta

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, Conflict, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import operations, seen
from gureum.services.compute.servers.bodies import MOST_TAGS, Metadata, Tags
from gureum.services.compute.servers.model import Server, ServerRecord

_META = "os_compute_api:server-metadata:"
_TAGS = "os_compute_api:os-server-tags:"
READER = "rule:project_reader_or_admin"
MEMBER = "rule:project_member_or_admin"
_AT_REST = frozenset({"active", "paused", "suspended", "stopped"})

RULES = (
    Rule(_META + "index", READER, "List a server's metadata"),
    Rule(_META + "show", READER, "Show an item of a server's metadata"),
    Rule(_META + "create", MEMBER, "Add metadata to a server"),
    Rule(_META + "update_all", MEMBER, "Replace a server's metadata"),
    Rule(_META + "update", MEMBER, "Set an item of a server's metadata"),
    Rule(_META + "delete", MEMBER, "Remove an item of a server's metadata"),
    Rule(_TAGS + "index", READER, "List a server's tags"),
    Rule(_TAGS + "show", READER, "Ask whether a server has a tag"),
    Rule(_TAGS + "update", MEMBER, "Add a tag to a server"),
    Rule(_TAGS + "update_all", MEMBER, "Replace a server's tags"),
    Rule(_TAGS + "delete", MEMBER, "Remove a tag from a server"),
    Rule(_TAGS + "delete_all", MEMBER, "Remove all tags from a server"),
)


Item = Annotated[Metadata, Meta(min_length=1, max_length=1)]
"""One item of metadata."""


# -- metadata --------------------------------------------------------------------------------------------


def list_metadata(call: Call[ComputeDeps], server_id: str) -> dict[str, str]:
    return seen.find(call.tx, call.caller, server_id).meta


def show_item(call: Call[ComputeDeps], server_id: str, key: str) -> dict[str, str]:
    server = seen.find(call.tx, call.caller, server_id)
    return {key: _item(server.meta, key)}


def add_metadata(call: Call[ComputeDeps], body: Metadata, server_id: str) -> dict[str, str]:
    server = _changeable(call, server_id)
    return _set(call, server, {**server.meta, **body})


def replace_metadata(call: Call[ComputeDeps], body: Metadata, server_id: str) -> dict[str, str]:
    return _set(call, _changeable(call, server_id), dict(body))


def set_item(call: Call[ComputeDeps], body: Item, server_id: str, key: str) -> dict[str, str]:
    if key not in body:
        raise BadRequest("Request body and URI mismatch")
    if not 1 <= len(key) <= 255:
        raise BadRequest("Invalid input for field/attribute meta: a key has 1 to 255 characters.")
    server = _changeable(call, server_id)
    _set(call, server, {**server.meta, **body})
    return body


def delete_item(call: Call[ComputeDeps], server_id: str, key: str) -> None:
    server = _changeable(call, server_id)
    _item(server.meta, key)
    _set(call, server, {name: value for name, value in server.meta.items() if name != key})


def _item(metadata: dict[str, str], key: str) -> str:
    if key not in metadata:
        raise NotFound("Metadata item was not found")
    return metadata[key]


def _changeable(call: Call[ComputeDeps], server_id: str) -> Server:
    """The server, when nothing is being done to it. Raises Conflict."""
    server = operations.find_server(call.tx, call.caller, server_id)
    operations.check_unlocked(server, call.caller)
    if server.vm_state not in _AT_REST or server.task_state is not None:
        where = f"vm_state {server.vm_state}" if server.vm_state not in _AT_REST else f"task_state {server.task_state}"
        raise Conflict(f"Cannot 'update metadata' instance {server_id} while it is in {where}")
    return server


def _set(call: Call[ComputeDeps], server: Server, metadata: dict[str, str]) -> dict[str, str]:
    limit = call.deps.quotas.limits(call.tx, server.project_id, call.caller.user_id)["metadata_items"]
    if 0 <= limit < len(metadata) and len(metadata) > len(server.meta):
        raise Forbidden(f"Maximum number of metadata items exceeds {limit}")
    if metadata != server.meta:
        server.meta = metadata
        operations.refresh(call.deps, call.tx, server)
    return metadata


# -- tags ------------------------------------------------------------------------------------------------


def list_tags(call: Call[ComputeDeps], server_id: str) -> list[str]:
    return seen.find(call.tx, call.caller, server_id).tags


def show_tag(call: Call[ComputeDeps], server_id: str, tag: str) -> None:
    _check_tag(seen.find(call.tx, call.caller, server_id), tag)


def add_tag(call: Call[ComputeDeps], server_id: str, tag: str) -> Reply[None]:
    if not 1 <= len(tag) <= 60 or "," in tag:
        raise BadRequest(f"Tag {tag[:64]!r} is invalid: 1 to 60 characters without comma and slash are allowed.")
    server = _tagged(call, server_id)
    location = f"{call.base_url}/v2.1{call.project_in_path}/servers/{server_id}/tags/{quote(tag, safe='')}"
    answer: Reply[None] = Reply(status=204, headers={"Location": location})
    if tag in server.tags:
        return answer
    if len(server.tags) >= MOST_TAGS:
        raise BadRequest(f"The number of tags exceeded the per-server limit {MOST_TAGS}")
    _set_tags(server, [*server.tags, tag])
    answer.status = 201
    return answer


def replace_tags(call: Call[ComputeDeps], body: Tags, server_id: str) -> list[str]:
    server = _tagged(call, server_id)
    _set_tags(server, body)
    return server.tags


def delete_tag(call: Call[ComputeDeps], server_id: str, tag: str) -> None:
    server = _tagged(call, server_id)
    _check_tag(server, tag)
    _set_tags(server, [other for other in server.tags if other != tag])


def delete_tags(call: Call[ComputeDeps], server_id: str) -> None:
    _set_tags(_tagged(call, server_id), [])


def _check_tag(server: Server | ServerRecord, tag: str) -> None:
    """Raises NotFound for a tag that the server does not have."""
    if tag not in server.tags:
        raise NotFound(f"Server {server.id} has no tag '{tag[:64]}'")


def _tagged(call: Call[ComputeDeps], server_id: str) -> Server:
    server = operations.find_server(call.tx, call.caller, server_id)
    if server.vm_state not in _AT_REST:
        raise Conflict(f"Cannot 'update tags' instance {server_id} while it is in vm_state {server.vm_state}")
    return server


def _set_tags(server: Server, tags: list[str]) -> None:
    server.tags = sorted(set(tags))
    server.updated_at = clock.utcnow()


_META_ALL = "/v2.1/servers/{server_id}/metadata"
_META_ONE = _META_ALL + "/{key}"
_TAGS_ALL = "/v2.1/servers/{server_id}/tags"
_TAGS_ONE = _TAGS_ALL + "/{tag}"
_SINCE = (2, 26)
ROUTES = (
    Route("GET", _META_ALL, list_metadata, _META + "index", envelope="metadata"),
    Route("POST", _META_ALL, add_metadata, _META + "create", body=Metadata, envelope="metadata"),
    Route("PUT", _META_ALL, replace_metadata, _META + "update_all", body=Metadata, envelope="metadata"),
    Route("GET", _META_ONE, show_item, _META + "show", envelope="meta"),
    Route("PUT", _META_ONE, set_item, _META + "update", body=Item, envelope="meta"),
    Route("DELETE", _META_ONE, delete_item, _META + "delete", 204),
    Route("GET", _TAGS_ALL, list_tags, _TAGS + "index", envelope="tags", since=_SINCE),
    Route("PUT", _TAGS_ALL, replace_tags, _TAGS + "update_all", body=Tags, envelope="tags", since=_SINCE),
    Route("DELETE", _TAGS_ALL, delete_tags, _TAGS + "delete_all", 204, since=_SINCE),
    Route("GET", _TAGS_ONE, show_tag, _TAGS + "show", 204, since=_SINCE),
    Route("PUT", _TAGS_ONE, add_tag, _TAGS + "update", 201, since=_SINCE),
    Route("DELETE", _TAGS_ONE, delete_tag, _TAGS + "delete", 204, since=_SINCE),
)
