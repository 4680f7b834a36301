"""The program as the habit tests read it: every module of `src` by name, its tree, and what it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
CLONE = SOURCE.parent


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file. A package is its `__init__.py`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(modules()[name].read_text())


@cache
def imports(name: str) -> frozenset[str]:
    """The modules and the names in modules that a module imports."""
    return frozenset(imported(tree(name)))


def imported(node: ast.AST) -> Iterator[str]:
    """Every name that may be a module, imports inside functions included, those under `if TYPE_CHECKING:` not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield from names_in(child)
        yield from imported(child)


def names_in(node: ast.AST) -> Iterator[str]:
    """The modules that one statement may import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def services() -> list[str]:
    """The folders of `gureum/services`."""
    return sorted(path.parent.name for path in SOURCE.glob("gureum/services/*/__init__.py"))
