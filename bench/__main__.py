"""The command: measures the rows that were asked for and prints the table as it grows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.client import BenchError
from bench.cloud import Cloud, simulated_cloud
from bench.figures import Figure, line, machine, save
from bench.rows import identity, images, network, placement, servers, start


def _on_cloud(rows: Callable[[Cloud, int], Iterator[Figure]], runs: int) -> Iterator[Figure]:
    with simulated_cloud() as cloud:
        yield from rows(cloud, runs)


ROWS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "start": start.rows,
    "identity": partial(_on_cloud, identity.rows),
    "servers": partial(_on_cloud, servers.rows),
    "network": partial(_on_cloud, network.rows),
    "placement": placement.rows,
    "images": partial(_on_cloud, images.rows),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each figure; the best is shown (default 3)")
    parser.add_argument("--real", type=Path, metavar="STATE", help="also measure the real cloud of this state folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    chosen = [ROWS[name] for name in given.rows or ([] if given.real else ROWS)]
    if given.real:
        from bench.rows import real

        chosen.append(partial(real.rows, given.real))
    print(f"{machine()}; best of {given.runs}; each limit measured in this run\n", flush=True)
    figures, failed = [], False
    for rows in chosen:
        try:
            for figure in rows(given.runs):
                figures.append(figure)
                print(line(figure), flush=True)
        except BenchError as error:
            failed = True
            print(f"bench: {error}", file=sys.stderr, flush=True)
    if given.json:
        save(figures, given.json)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
