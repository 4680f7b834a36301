"""`gureum keys rotate`: new keys for tokens or for stored secrets, while the cloud runs."""

from __future__ import annotations

from gureum.lab.refusal import Refusal
from gureum.lab.state import StateFolder


def rotate_keys(state: StateFolder, which: str) -> int:
    """`which` is tokens or secrets."""
    if not state.config.exists():
        raise Refusal(f"There is no cloud in {state.root}.", "`gureum up` starts one.")
    from gureum.foundation.config import load
    from gureum.foundation.db.engine import Database
    from gureum.services.identity.key_rotation import rotate_secret_keys, rotate_token_keys
    from gureum.services.identity.service import SECRETS

    config = load(state.config)
    folder = config.path(config.auth.keys)
    if which == "tokens":
        rotate_token_keys(folder)
        print("A new key seals tokens; those of before stay good until they end.")
        return 0
    database = Database(config.database.url)
    try:
        count = rotate_secret_keys(database, folder.with_name(SECRETS))
    finally:
        database.close()
    print(f"A new key seals secrets; {count} were sealed anew.")
    return 0
