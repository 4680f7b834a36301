"""A file is made private without losing the locks that the process holds on it."""

from __future__ import annotations

import fcntl
import subprocess
import sys

from sqlalchemy import text

from gureum.foundation.db.engine import Database
from gureum.foundation.private import make_private

TRY_LOCK = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
COUNT = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM things').fetchone()[0])"


def test_locks_on_the_file_are_kept(tmp_path):
    path = tmp_path / "database"
    path.write_bytes(b"x")
    path.chmod(0o644)
    with path.open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        make_private(path)
        other = subprocess.run([sys.executable, "-c", TRY_LOCK, path], check=False, capture_output=True)
    assert other.returncode != 0, "another process took the lock"
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_process_that_closes_the_database_takes_nothing_of_ours(tmp_path):
    """`gureum task list` opens and closes the database beside the control plane, again and again."""
    path = tmp_path / "test.sqlite"
    database = Database(f"sqlite:///{path}")
    database.write(lambda tx: tx.execute(text("CREATE TABLE things (id INTEGER)")))
    with database.read(), database.read():  # two connections: the second one was made while the first one had locks
        for number in range(1, 4):
            database.write(lambda tx: tx.execute(text("INSERT INTO things VALUES (1)")))
            seen = subprocess.run([sys.executable, "-c", COUNT, path], check=True, capture_output=True, text=True)
            assert int(seen.stdout) == number
    database.close()
