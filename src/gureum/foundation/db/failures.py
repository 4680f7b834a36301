"""Failures of the database itself, as answers: no space, read-only, unreachable, overloaded, slow.

Not here: what a statement did wrong (a broken constraint, a serialization failure, a mistake of ours); those pass
unchanged. The invariant: a caller learns the cause in a sentence, operators find the driver's own words in `internal`,
and neither text has a parameter, a path of the caller's or a password in it.
Codes: https://sqlite.org/rescode.html and PostgreSQL's documentation, appendix A.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from gureum.foundation.errors import Unavailable

LEAST_FREE_BYTES = 1 << 20
"""An embedded database that fails on a disk with less than this has no space, whatever code it names."""
_RETRY_AFTER = {"Retry-After": "2"}
_SERIALIZATION = {"40001", "40P01"}


class DatabaseFailure(Unavailable):
    """The database could not do it; nothing was written. The same may work when the cause is gone."""

    default = "The cloud's database does not work at the moment. Try again later."


class DatabaseFull(DatabaseFailure):
    status = 507
    title = "Insufficient Storage"
    default = "There is no space left for the cloud's database. An administrator has to free some."


class OutcomeUnknown(DatabaseFailure):
    """The connection was lost while a transaction was being committed: only the database knows whether it was.

    It invites nobody to try again (no Retry-After): a program that does so by itself would do it twice.
    """

    default = (
        "The connection to the cloud's database was lost while the change was saved. "
        "It may have been made: look before you send the request again."
    )


_READ_ONLY = "The cloud's database is read-only at the moment. Try again later."
_BROKEN_DISK = "The cloud's database cannot be read or written: its disk reports an error."
_DAMAGED = "The cloud's database is damaged. An administrator has to restore it."
_UNREACHABLE = "The cloud's database cannot be reached at the moment. Try again later."
_NO_CONNECTION = "The cloud's database takes no more connections at the moment. Try again later."
_TOO_SLOW = "The cloud's database took too long. Try again later."
_NO_MEMORY = "The cloud's database has no memory left. Try again later."

# Primary result codes of SQLite: what each means.
_FULL = 13
_SQLITE = {
    5: "The cloud's database is in use by another program. Try again later.",
    7: _NO_MEMORY,
    8: _READ_ONLY,
    10: _BROKEN_DISK,
    11: _DAMAGED,
    14: "The cloud's database cannot be opened.",
    26: _DAMAGED,
}
_MAY_BE_FULL = {10, 14}

# SQLSTATEs, or their classes of two letters.
_NO_SPACE = "53100"
_SQLSTATES = {
    "53300": _NO_CONNECTION,
    "53200": _NO_MEMORY,
    "57014": _TOO_SLOW,
    "55P03": _TOO_SLOW,
    "25006": _READ_ONLY,
    "25P03": _TOO_SLOW,
    "25P04": _TOO_SLOW,
    "08": _UNREACHABLE,
    "53": DatabaseFailure.default,
    "57": _UNREACHABLE,
    "58": _BROKEN_DISK,
    "XX": _DAMAGED,
}


def failure_of(error: SQLAlchemyError, folder: Path | None = None) -> DatabaseFailure | None:
    """What to answer when the database itself failed; None when it did not. `folder` holds an embedded database."""
    if isinstance(error, PoolTimeoutError):
        return _failure(_NO_CONNECTION, "all connections of this process are in use")
    if not isinstance(error, DBAPIError) or error.orig is None or server_decided(error):
        return None
    words = in_words(error)
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return _of_sqlite(int(code) & 0xFF, words, folder)
    state = getattr(error.orig, "sqlstate", None)
    if state == _NO_SPACE:
        return DatabaseFull(internal=words)
    if state:
        text = _SQLSTATES.get(state) or _SQLSTATES.get(state[:2])
    else:  # the driver's own word: it has no connection, or lost it
        text = _UNREACHABLE if error.connection_invalidated or type(error.orig).__name__ == "OperationalError" else None
    return None if text is None else _failure(text, words)


def _of_sqlite(code: int, words: str, folder: Path | None) -> DatabaseFailure | None:
    if code == _FULL or (code in _MAY_BE_FULL and folder is not None and is_full(folder)):
        return DatabaseFull(internal=words)
    text = _SQLITE.get(code)
    return None if text is None else _failure(text, words)


def _failure(text: str, words: str) -> DatabaseFailure:
    return DatabaseFailure(text, internal=words, headers=dict(_RETRY_AFTER))


def is_full(folder: Path) -> bool:
    """Whether an embedded database in this folder has no space to write in."""
    try:
        return shutil.disk_usage(folder).free < LEAST_FREE_BYTES
    except OSError:
        return False


def in_words(error: DBAPIError) -> str:
    """The driver's own words on one line, with the code that tells more; neither the statement nor its parameters."""
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    words = " ".join(str(error.orig).split())
    return f"{words} ({code})" if code else words


def server_decided(error: DBAPIError) -> bool:
    """Whether the database refused a statement or ended the transaction: its connection is as good as before."""
    return isinstance(error, IntegrityError) or is_busy(error)


def was_refused(error: DBAPIError) -> bool:
    """Whether PostgreSQL answered a COMMIT with an error: then it did not commit. A connection that ended, or that it
    says it is ending, leaves that open.
    """
    state = getattr(error.orig, "sqlstate", None)
    return server_decided(error) or (state is not None and not state.startswith(("08", "57P")))


def is_busy(error: DBAPIError) -> bool:
    """Whether others write the same: PostgreSQL asks for a repetition, or SQLite waited too long for its turn."""
    return getattr(error.orig, "sqlstate", None) in _SERIALIZATION or "database is locked" in str(error.orig)


def is_connection_lost(error: DBAPIError) -> bool:
    """Whether the connection broke: nobody heard what the database said last."""
    return error.connection_invalidated and not server_decided(error)
