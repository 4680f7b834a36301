"""What a tenant and an administrator read when no host was chosen."""

from __future__ import annotations

import re

from gureum.services.compute.servers.rules import Choice

CHOICE = Choice(None, {"is down": ["rack1-a", "rack1-b"], "is not in availability zone z": ["rack2-a"]})


def test_tenants_read_neither_names_nor_numbers_of_hosts():
    text = CHOICE.public_reason()
    assert text == "No valid host was found. Left out: is down; is not in availability zone z."
    assert not re.search(r"\d|rack", text)


def test_administrators_read_which_host_each_constraint_removed():
    assert "is down: rack1-a, rack1-b" in CHOICE.internal_reason()
