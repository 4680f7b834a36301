"""The sizes that keep the code readable: files, functions, parameters, drivers, options.

A budget that is exceeded is a reason to divide what grew, not to raise the number. `PARAMETER_EXCEPTIONS` names what is larger
on purpose, with the reason; an entry that is not needed any more fails, so that the list only shrinks.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from inspect import isclass

import msgspec
import pytest
from tests.habits.exceptions import Exceptions
from tests.habits.source import modules, tree

FILE_LINES, MOST_FILE_LINES = 400, 600
FUNCTION_LINES, MOST_FUNCTION_LINES = 40, 80
SHARE = 0.95
"""So many of all files and functions keep the smaller number."""
PARAMETERS = 6
DRIVER_METHODS = 12
OPTIONS = 25

PARAMETER_EXCEPTIONS = Exceptions(
    {
        "gureum.foundation.http.app:App.__init__": "made in one place, by the role; four are named only",
    }
)


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """`module:Class.function` and its tree."""

    def inside(node: ast.AST, path: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            below = f"{path}{child.name}." if named else path
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield below[:-1], child
            yield from inside(child, below)

    for name in modules():
        yield from inside(tree(name), f"{name}:")


def largest(sizes: dict[str, int], usual: int) -> str:
    """The names of what is above `usual`, largest first."""
    above = sorted(((size, name) for name, size in sizes.items() if size >= usual), reverse=True)
    return "\n".join(f"{size} {name}" for size, name in above)


def check_sizes(sizes: dict[str, int], usual: int, most: int) -> None:
    told = largest(sizes, usual)
    print(told)
    assert max(sizes.values()) <= most, f"divide what has more than {most} lines:\n{told}"
    share = sum(size < usual for size in sizes.values()) / len(sizes)
    assert share >= SHARE, f"only {share:.1%} have fewer than {usual} lines:\n{told}"


def test_files_are_short():
    check_sizes(
        {name: len(path.read_text().splitlines()) for name, path in modules().items()}, FILE_LINES, MOST_FILE_LINES
    )


def test_functions_are_short():
    sizes = {name: (node.end_lineno or 0) - node.lineno + 1 for name, node in functions()}
    assert len(sizes) > 3000
    check_sizes(sizes, FUNCTION_LINES, MOST_FUNCTION_LINES)


def test_functions_have_few_parameters():
    many = {}
    for name, node in functions():
        arguments = node.args
        named = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        count = len(named) - (named[:1] in (["self"], ["cls"]))
        if count > PARAMETERS:
            many[name] = f"{count} parameters"
    PARAMETER_EXCEPTIONS.check(many, f"more than {PARAMETERS} parameters: put them into a frozen dataclass")


def test_every_module_says_what_it_is():
    silent = [
        name for name, path in modules().items() if path.read_text().strip() and not ast.get_docstring(tree(name))
    ]
    assert silent == [], "write what the module is, what it is not, and where to read next"


def driver_interfaces() -> list[type]:
    """The protocols that engines and agents fulfil. One that only joins others has no methods of its own."""
    names = [
        name
        for name in modules()
        if (name.startswith("gureum.drivers.") and name.endswith(".interface"))
        or (name.startswith("gureum.agents.") and name.endswith(".protocol"))
    ]
    found = {thing for name in names for thing in vars(import_module(name)).values() if isclass(thing)}
    return sorted((kind for kind in found if getattr(kind, "_is_protocol", False)), key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("interface", driver_interfaces(), ids=lambda kind: kind.__name__)
def test_driver_interfaces_are_narrow(interface):
    methods = [name for name, value in vars(interface).items() if not name.startswith("_") and callable(value)]
    assert len(methods) <= DRIVER_METHODS, f"{interface.__name__} has {len(methods)}: divide it by purpose"


def configuration() -> list[type[msgspec.Struct]]:
    """The structs that the configuration files of the control plane and of agents are read into."""
    found: set[type[msgspec.Struct]] = set()
    for name in modules():
        if not name.endswith(("config", "settings", "options", "roles.agent")):
            continue
        for thing in vars(import_module(name)).values():
            if isclass(thing) and issubclass(thing, msgspec.Struct) and thing is not msgspec.Struct:
                found.add(thing)
    return sorted(found, key=lambda kind: kind.__qualname__)


@pytest.mark.parametrize("section", configuration(), ids=lambda kind: kind.__name__)
def test_sections_of_the_configuration_have_few_options(section):
    assert len(msgspec.structs.fields(section)) <= OPTIONS, "options that nobody turns go; others become a section"


def test_a_size_beyond_its_budget_fails():
    check_sizes({"a": 39, "b": 12}, 40, 80)
    with pytest.raises(AssertionError, match=r"more than 80 lines:\s+81 a"):
        check_sizes({"a": 81, **{str(number): 1 for number in range(99)}}, 40, 80)
    with pytest.raises(AssertionError, match=r"only 50.0% have fewer than 40 lines:\s+41 a"):
        check_sizes({"a": 41, "b": 12}, 40, 80)


def test_exceptions_are_named_and_needed():
    exceptions = Exceptions({"a": "a reason"})
    exceptions.check({"a": "too large"}, "divide it")
    with pytest.raises(AssertionError, match="divide it\nb: too large"):
        exceptions.check({"a": "too large", "b": "too large"}, "divide it")
    with pytest.raises(AssertionError, match="not needed any more"):
        exceptions.check({}, "divide it")
