"""No circles among modules: each can be read, tested and thrown away with only what lies below it.

Imports inside functions count, since they are how circles are hidden; those for type checkers alone do not.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest
from tests.habits.source import imports, modules


def test_no_module_imports_itself_by_way_of_others():
    known = modules()
    assert len(known) > 300
    graph = {name: {other for other in imports(name) if other in known and other != name} for name in known}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as circle:
        pytest.fail(" <- ".join(circle.args[1]))
