"""How much is measured: the sizes that the promises speak of, or small ones that show that every row runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """`runs` of each figure, each on fresh state; `seconds` of steady load; how many of everything."""

    runs: int = 3
    seconds: float = 4.0
    limit_s: float = 2.0
    servers: int = 200
    few: int = 2_000
    crowd: int = 20_000
    listed: int = 1_000
    many: int = 100_000
    hosts: int = 1_000
    providers: int = 10_000
    decisions: int = 100
    image_mib: int = 512
    quick: bool = False


FULL = Sizes()
QUICK = Sizes(
    runs=1,
    seconds=0.5,
    limit_s=0.3,
    servers=20,
    few=20,
    crowd=60,
    listed=200,
    many=2_000,
    hosts=50,
    providers=300,
    decisions=10,
    image_mib=32,
    quick=True,
)
