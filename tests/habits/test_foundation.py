"""The foundation knows no service and no kind of agent, in code or in data: the next one touches nothing here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from gureum.roles.assembly import CATALOGUE

CLONE = Path(__file__).resolve().parents[2]
AGENTS = CLONE / "src/gureum/agents"
FOUNDATION = sorted((CLONE / "src/gureum/foundation").rglob("*.py"))


def names_of_services():
    """Folders, and the types and names of the service catalog."""
    entries = [CATALOGUE.service(name).catalog for name in CATALOGUE.packages]
    return {*CATALOGUE.packages, *(entry.type for entry in entries), *(entry.name for entry in entries)}


def names_of_kinds():
    """Every `AgentKind("name", ...)` of a protocol."""
    protocols = [ast.parse(file.read_text()) for file in AGENTS.rglob("protocol.py")]
    calls = [node for tree in protocols for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.args[0].value for call in calls if getattr(call.func, "id", "") == "AgentKind"}


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


def test_the_kinds_are_found():
    assert "hypervisor" in names_of_kinds()


@pytest.mark.parametrize("file", FOUNDATION, ids=lambda file: str(file.relative_to(CLONE)))
def test_no_service_and_no_kind_of_agent_is_named(file):
    names = names_of_services() | names_of_kinds()
    named = [(line, word) for line, word in words_of(ast.parse(file.read_text())) if word in names]
    assert named == [], f"{file}: move what belongs to a service into its folder, and take it from its manifest"
