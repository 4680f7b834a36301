"""Every commit says why: a subject, an empty line, and a body, since the commit from which on this is the rule."""

from __future__ import annotations

import subprocess

import pytest
from tests.habits.source import CLONE

FROM = "5e584b9d209d6a0cd3391ad3a4f2d134702e55ce"
"""The last commit of before."""


def git(*words: str) -> str | None:
    """What git prints; None where it fails: an archive has no history, and a shallow clone little."""
    try:
        done = subprocess.run(["git", "-C", CLONE, *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def test_commits_have_a_body():
    if git("merge-base", "--is-ancestor", FROM, "HEAD") is None:
        pytest.skip("the history does not reach back to where the rule begins")
    history = git("log", "--no-merges", "--format=%h%x1f%s%x1f%b%x1e", f"{FROM}..HEAD") or ""
    commits = [entry.strip().split("\x1f") for entry in history.split("\x1e") if entry.strip()]
    silent = [f"{short} {subject}" for short, subject, body in commits if not body.strip()]
    assert silent == [], "say in the body why: git rebase --interactive, reword"
