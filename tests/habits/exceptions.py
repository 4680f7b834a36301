"""Named exceptions of a habit: each has a reason, and goes when the habit is kept."""

from __future__ import annotations

from collections.abc import Mapping


class Exceptions:
    """`reasons` name what may break a habit, and why."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = reasons

    def check(self, found: Mapping[str, str], remedy: str) -> None:
        """Print the exceptions in use; fail for everything else that was found, and for exceptions nobody uses."""
        for name in sorted(found.keys() & self.reasons.keys()):
            print(f"exception: {name}: {found[name]} ({self.reasons[name]})")
        broken = [f"{name}: {found[name]}" for name in sorted(found.keys() - self.reasons.keys())]
        assert broken == [], f"{remedy}\n" + "\n".join(broken)
        unused = sorted(self.reasons.keys() - found.keys())
        assert unused == [], f"these exceptions are not needed any more, so take them off the list: {unused}"
