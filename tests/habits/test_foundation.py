"""The foundation knows no service, in code or in data: a sixth one touches nothing here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from gureum.roles.assembly import CATALOGUE

CLONE = Path(__file__).resolve().parents[2]
FOUNDATION = sorted((CLONE / "src/gureum/foundation").rglob("*.py"))


def names_of_services():
    """Folders, and the types and names of the service catalog."""
    entries = [CATALOGUE.service(name).catalog for name in CATALOGUE.packages]
    return {*CATALOGUE.packages, *(entry.type for entry in entries), *(entry.name for entry in entries)}


def words_of(tree):
    """(line, word) of every identifier and of every text that is no docstring."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            for word in re.findall(r"[a-z]+", node.value.lower()):
                yield node.lineno, word
        for name in (getattr(node, field, None) for field in ("id", "attr", "arg", "name", "asname")):
            if isinstance(name, str):
                yield getattr(node, "lineno", 0), name.lower()


@pytest.mark.parametrize("file", FOUNDATION, ids=lambda file: str(file.relative_to(CLONE)))
def test_no_service_is_named(file):
    services = names_of_services()
    named = [(line, word) for line, word in words_of(ast.parse(file.read_text())) if word in services]
    assert named == [], f"{file}: move what belongs to a service into its folder, and take it from its manifest"
