"""Measures what Gureum promises about speed and memory, each figure beside a limit measured in the same run.

Every run starts a cloud of its own in a folder of its own and ends it; nothing that ran before is touched.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from bench.client import BenchError
from bench.document import fill_file
from bench.figures import Row, header, line, load, load_average, machine, save, summary
from bench.sizes import FULL, QUICK, Sizes

ROWS = {
    "start": "`up --simulate` to the first token; memory, new and after work",
    "identity": "tokens: validated, from an application credential, from a password",
    "reads": "GET of a server, pages of servers, the page with 100,000 servers",
    "servers": "200 servers with a port to ACTIVE, and deleted",
    "growth": "a server among 20,000 at 1,000 hosts against one among 2,000; idle and memory (one run, 6 minutes)",
    "work": "counted statements, commits, agent calls and HTTP requests of one server",
    "placement": "the placement decision among 1,000 simulated hosts",
    "network": "ports created",
    "images": "an image of 512 MiB, up and down",
    "lists": "lists of 1,000 projects and images; 100,000 users",
    "providers": "allocation candidates among 10,000 providers",
    "postgresql": "PostgreSQL and RabbitMQ, one API process and one worker, and four of each",
    "real": "the real cloud: first token, memory, POST to SSH (root and engines)",
}
DOCUMENT = Path(__file__).resolve().parents[1] / "docs/operate/performance.md"


def rows_of(name: str) -> Callable[[Sizes], Iterator[Row]]:
    """The function that measures a group of rows; its module is imported when it is needed."""
    found: Callable[[Sizes], Iterator[Row]] = import_module(f"bench.rows.{name}").rows
    return found


def _options() -> argparse.ArgumentParser:
    told = "\n".join(f"  {name:<10} {what}" for name, what in ROWS.items())
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description=__doc__,
        epilog=f"rows:\n{told}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="what to measure (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, one run: shows that rows run, says no figure"
    )
    parser.add_argument("--runs", type=int, metavar="N", help=f"runs of each figure, the best counts ({FULL.runs})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--document",
        type=Path,
        metavar="FILE",
        help=f"measure nothing: fill the table of {DOCUMENT.name} from that JSON",
    )
    return parser


def main() -> int:
    parser = _options()
    given = parser.parse_args()
    if unknown := set(given.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    if given.document:
        conditions, rows = load(given.document)
        if conditions["quick"]:
            parser.error("these are quick's figures, of small sizes: measure without --quick first")
        fill_file(DOCUMENT, rows, conditions)
        return 0
    sizes = QUICK if given.quick else FULL
    if given.runs:
        sizes = replace(sizes, runs=given.runs)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `with` ends what it started
    conditions = {"runs": sizes.runs, "load": load_average(), "quick": sizes.quick}
    print(f"{machine()}; best of {sizes.runs}; {conditions['load']}")
    if sizes.quick:
        print("quick: small sizes, to see that rows run; these are no figures to quote")
    print(f"\n{header()}", flush=True)
    measured, failed = measure(given.rows or list(ROWS), sizes)
    print(f"\n{summary(measured)}")
    if given.json:
        save(measured, given.json, conditions)
    return int(failed)


def measure(names: list[str], sizes: Sizes) -> tuple[list[Row], bool]:
    """Every row as it is measured, printed; whether any could not be."""
    measured: list[Row] = []
    failed = False
    for name in names:
        try:
            for row in rows_of(name)(sizes):
                measured.append(row)
                print(line(row), flush=True)
        except BenchError as error:
            failed = True
            print(f"bench: {name}: {error}", file=sys.stderr, flush=True)
    return measured, failed


if __name__ == "__main__":
    sys.exit(main())
