"""Command line: `python -m gureum.lab.guest_image CACHE_DIR` builds the guest image and prints its path."""

from __future__ import annotations

import sys
from pathlib import Path

from gureum.lab.guest_image import GuestImageError, build_guest_image


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Build into the folder that arguments names; 0 done, 1 failed, 2 wrong usage."""
    if len(arguments) != 1:
        _report("usage: python -m gureum.lab.guest_image CACHE_DIR")
        return 2
    try:
        image = build_guest_image(Path(arguments[0]), _report)
    except GuestImageError as failure:
        _report(f"guest image: {failure}")
        return 1
    sys.stdout.write(f"{image}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
