"""The documents that a guest may ask for, by path, in the OpenStack and the EC2 layout.

Pure: from a `GuestData` and a path to an answer. Sources: nova's user guide on metadata, cloud-init's data source
reference, and the EC2 instance metadata of version 2009-04-04.
Invariant: a path decides only which document of this one guest is shown, never whose.
Read next: `server.py` (over HTTP) and `config_drive.py` (the same documents on a disk).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from gureum.agents.hypervisor.protocol import GuestData

LATEST = "latest"
OPENSTACK_VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
)
EC2_VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
)

# Each document and the first version of the layout that has it.
_SINCE = {
    "meta_data.json": "2012-08-10",
    "user_data": "2012-08-10",
    "password": "2013-04-04",
    "vendor_data.json": "2013-10-17",
    "network_data.json": "2015-10-15",
    "vendor_data2.json": "2016-10-06",
}

Tree = dict[str, "str | Tree"]

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
BYTES = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Document:
    """A body and its content type."""

    body: bytes
    content_type: str = TEXT


def user_data(guest: GuestData) -> bytes | None:
    """What the owner gave at creation, decoded; None when nothing was given."""
    if not guest.user_data:
        return None
    try:
        return base64.b64decode(guest.user_data)
    except binascii.Error:
        return guest.user_data.encode()


def openstack_document(guest: GuestData, version: str, name: str) -> Document | None:
    """A document of /openstack/<version>/; None when that version does not have it. The password is not among them."""
    if version != LATEST and version < _SINCE.get(name, "9"):
        return None
    if name == "user_data":
        data = user_data(guest)
        return None if data is None else Document(data, BYTES)
    if name == "vendor_data2.json":
        return Document(f'{{"static": {guest.vendor_data or "{}"}}}'.encode(), JSON)
    texts = {
        "meta_data.json": guest.meta_data,
        "network_data.json": guest.network_data,
        "vendor_data.json": guest.vendor_data,
    }
    return Document((texts[name] or "{}").encode(), JSON) if name in texts else None


def openstack_names(guest: GuestData, version: str) -> list[str]:
    """What /openstack/<version> lists."""
    return [
        name
        for name, since in _SINCE.items()
        if (version == LATEST or version >= since) and (name != "user_data" or guest.user_data)
    ]


def injected_file(guest: GuestData, name: str) -> Document | None:
    """A file of /openstack/content/."""
    text = guest.content.get(name)
    if text is None:
        return None
    try:
        return Document(base64.b64decode(text), BYTES)
    except binascii.Error:
        return None


def ec2_tree(guest: GuestData) -> Tree:
    """The EC2 meta-data paths as a tree; "_name" in a folder is how its parent lists it."""
    tree: Tree = {}
    for path, text in guest.ec2.items():
        *folders, leaf = path.strip("/").split("/")
        if path.endswith("/") or not leaf:
            continue
        node = tree
        for folder in folders:
            child = node.get(folder)
            if not isinstance(child, dict):
                child = node[folder] = {}
            node = child
        node[leaf] = text
    keys = tree.get("public-keys")
    if isinstance(keys, dict):
        for index, name in enumerate(_key_names(guest)):
            key = keys.get(str(index))
            if isinstance(key, dict):
                key["_name"] = f"{index}={name}"
    return tree


def find(guest: GuestData, path: str, password: str = "") -> Document | None:
    """The answer to GET `path`; None for 404. Empty components and a trailing slash do not matter."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts or "." in parts:
        return None
    if parts and parts[0] == "openstack":
        return _find_openstack(guest, parts[1:], password)
    if parts and parts[0] == "ec2":
        parts = parts[1:]
    return _find_ec2(guest, parts)


def _find_openstack(guest: GuestData, parts: list[str], password: str) -> Document | None:
    if not parts:
        return _listing([*OPENSTACK_VERSIONS, LATEST])
    version, *names = parts
    if version == "content":
        return injected_file(guest, names[0]) if len(names) == 1 else None
    if version != LATEST and version not in OPENSTACK_VERSIONS:
        return None
    if not names:
        return _listing(openstack_names(guest, version))
    if names == ["password"] and "password" in openstack_names(guest, version):
        return Document(password.encode())
    return openstack_document(guest, version, names[0]) if len(names) == 1 else None


def _find_ec2(guest: GuestData, parts: list[str]) -> Document | None:
    if not parts:
        return _listing([*EC2_VERSIONS, LATEST])
    version, *names = parts
    if version != LATEST and version not in EC2_VERSIONS:
        return None
    data = user_data(guest)
    if not names:
        return _listing(["meta-data/", *(["user-data"] if data is not None else [])])
    if names == ["user-data"]:
        return None if data is None else Document(data, BYTES)
    if names[0] != "meta-data":
        return None
    return _ec2_node(guest, names[1:])


def _ec2_node(guest: GuestData, names: list[str]) -> Document | None:
    listing = guest.ec2.get("/".join(names) + "/")
    if listing is not None:
        return Document(listing.encode())
    node: str | Tree = ec2_tree(guest)
    for name in names:
        if not isinstance(node, dict) or name not in node or name == "_name":
            return None
        node = node[name]
    if isinstance(node, str):
        return Document(node.encode())
    return _listing([_entry(name, child) for name, child in sorted(node.items()) if name != "_name"])


def _entry(name: str, child: str | Tree) -> str:
    if isinstance(child, dict):
        own = child.get("_name")
        return own if isinstance(own, str) else f"{name}/"
    return name


def _key_names(guest: GuestData) -> list[str]:
    try:
        document: Any = json.loads(guest.meta_data)
    except ValueError:
        return []
    keys = document.get("public_keys") if isinstance(document, dict) else None
    return list(keys) if isinstance(keys, dict) else []


def _listing(names: list[str]) -> Document:
    return Document("\n".join(names).encode())
