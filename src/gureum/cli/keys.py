"""`gureum keys rotate`: new keys for tokens or for stored secrets, while the cloud runs."""

from __future__ import annotations

import os
from pathlib import Path

from gureum.cli.tables import print_json
from gureum.lab.state import require_config


def rotate_keys(file: Path, which: str, as_json: bool = False) -> int:
    """`which` is tokens or secrets, `file` the control plane's gureum.toml."""
    require_config(file)
    from gureum.foundation.config import load
    from gureum.foundation.db.engine import Database
    from gureum.services.identity.config import AuthConfig
    from gureum.services.identity.key_rotation import rotate_secret_keys, rotate_token_keys
    from gureum.services.identity.service import SECRETS

    config = load(file)
    folder = config.path(config.section(AuthConfig).keys)
    _become_owner(folder)
    if which == "tokens":
        rotate_token_keys(folder)
        _tell(
            {"rotated": which},
            "New tokens are sealed with a new key; tokens issued before stay valid until they expire.",
            as_json,
        )
        return 0
    database = Database(config.database.url)
    try:
        count = rotate_secret_keys(database, folder.with_name(SECRETS))
    finally:
        database.close()
    _tell(
        {"rotated": which, "sealed": count},
        f"Secrets are sealed with a new key; {count} stored ones were sealed anew.",
        as_json,
    )
    return 0


def _become_owner(folder: Path) -> None:
    """Root makes the new key as the control plane's user, who could not read root's."""
    if os.geteuid() == 0 and folder.exists():
        owner = folder.stat()
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def _tell(facts: dict[str, object], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print(sentence)
