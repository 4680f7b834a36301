"""A database that cannot be used when a role starts: one sentence with the remedy, no traceback, no password."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
SECRET = "not-for-every-user"


def words_of(folder, role, url):
    """All that a role says before it ends, and its exit code."""
    file = folder / "cloud.toml"
    bus = f"unix:{folder}/bus" if role != "all_in_one" else "inprocess:"
    file.write_text(f'state = "{folder}"\n[database]\nurl = "{url}"\n[bus]\nurl = "{bus}"\n')
    ended = subprocess.run(
        [sys.executable, "-m", f"gureum.roles.{role}", "--config", str(file)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr
    return ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("role", ["all_in_one", "api", "worker"])
def test_a_postgresql_that_nobody_answers_for(tmp_path, role):
    said = words_of(tmp_path, role, f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/cloud")
    assert said.startswith("The cloud's database cannot be reached at the moment.")
    assert "127.0.0.1" in said
    assert said.endswith("correct [database] url")


def test_a_kind_of_database_that_is_not_used(tmp_path):
    said = words_of(tmp_path, "all_in_one", f"mysql://u:{SECRET}@h/n")
    assert "[database] url: mysql: cannot be used here; write postgresql+psycopg://" in said


def test_a_folder_that_is_not_there(tmp_path):
    said = words_of(tmp_path, "all_in_one", f"sqlite:///{tmp_path}/nowhere/cloud.sqlite")
    assert said.startswith("The cloud's database cannot be opened.")


@pytest.mark.postgresql
def test_a_postgresql_that_knows_no_such_database(tmp_path, postgresql_server):
    url = postgresql_server.new_database().rpartition("/")[0] + "/no_such"
    said = words_of(tmp_path, "all_in_one", url)
    assert "no_such" in said
    assert said.endswith("correct [database] url")
