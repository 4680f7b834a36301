"""The limits that stand beside the figures."""

from __future__ import annotations

from bench import limits


def test_the_hash_is_the_configured_one():
    """A limit that takes no time would make every password look slow."""
    assert 0 < limits.password_hash(0.05) < 2_000
