"""How the addresses of a subnet and of its pools are counted."""

from __future__ import annotations

import msgspec
import pytest

from gureum.services.network.catalog.address_use import details_of


@pytest.mark.parametrize(
    ("cidr", "pools", "used", "expected"),
    [
        (
            "10.0.0.0/24",
            [("10.0.0.2", "10.0.0.9"), ("10.0.0.20", "10.0.0.20")],
            ["10.0.0.1", "10.0.0.20"],
            (254, 9, 2, 1),
        ),
        ("10.0.0.0/24", [], ["10.0.0.7"], (254, 0, 1, 0)),
        ("10.0.0.0/31", [], [], (2, 0, 0, 0)),
        ("fd00::/64", [("fd00::2", "fd00::ff")], ["fd00::10", "fd00::100"], (2**64, 254, 2, 1)),
    ],
)
def test_details(cidr, pools, used, expected):
    assert msgspec.structs.astuple(details_of(cidr, pools, used)) == expected
