"""What services offer each other: few functions, plain values, and nothing of how they keep them.

A facade hands out no tables, no statements and no conditions, and takes none: its types are read from the annotations,
through containers and through the fields of records. An object that a facade holds in a public attribute is a facade
too. `TOO_MANY` and `LEAKS` name what is otherwise today; the lists only
shrink.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import msgspec
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.visitors import Visitable
from tests.habits.exceptions import Exceptions
from tests.habits.source import modules, services

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared

METHODS = 12

TOO_MANY = Exceptions({})
LEAKS = Exceptions({})


def facades() -> list[ModuleType]:
    return [
        import_module(f"gureum.services.{name}.facade")
        for name in services()
        if f"gureum.services.{name}.facade" in modules()
    ]


def name_of(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def offered(module: ModuleType) -> dict[str, Any]:
    """The public names of a facade's module that are its own, and those that it passes on."""
    passed_on = getattr(module, "__all__", ())
    return {
        name: value
        for name, value in vars(module).items()
        if name in passed_on or (not name.startswith("_") and is_own(module, name, value))
    }


def is_own(module: ModuleType, name: str, value: Any) -> bool:
    if inspect.ismodule(value):
        return False
    if hasattr(value, "__module__") and (inspect.isclass(value) or inspect.isfunction(value)):
        return bool(value.__module__ == module.__name__)
    return name in assigned(module)


def assigned(module: ModuleType) -> set[str]:
    """The names that a module gives values to."""
    body = ast.parse(inspect.getsource(module)).body
    return {
        target.id
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def facade_classes() -> list[type]:
    """Every service's facade, and what it holds in public attributes."""
    waiting = [
        value
        for module in facades()
        for name, value in offered(module).items()
        if inspect.isclass(value) and name.endswith("Facade")
    ]
    found: list[type] = []
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found.append(kind)
            waiting += [held for _, held in attributes(kind)]
    return sorted(found, key=name_of)


def attributes(kind: type) -> Iterator[tuple[str, type]]:
    """The public attributes that the constructor sets, with their types."""
    if "__init__" not in vars(kind):
        return
    constructor = vars(kind)["__init__"]
    hints, names = typing.get_type_hints(constructor), constructor.__globals__
    body = ast.parse(textwrap.dedent(inspect.getsource(constructor)))
    for node in ast.walk(body):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Attribute) and not target.attr.startswith("_"):
                if isinstance(node, ast.AnnAssign):
                    yield target.attr, eval(ast.unparse(node.annotation), names)
                elif isinstance(node.value, ast.Name):
                    yield target.attr, hints[node.value.id]
                else:
                    assert isinstance(node.value, ast.Call), f"{name_of(kind)}.{target.attr}: annotate it"
                    yield target.attr, eval(ast.unparse(node.value.func), names)


def methods(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind, inspect.isroutine) if not name.startswith("_")}


def is_storage(kind: Any) -> bool:
    """Whether a type is a mapped class, or a statement or a part of one."""
    return inspect.isclass(kind) and kind is not Tx and issubclass(kind, DeclarativeBase | Visitable | Prepared)


def storage_in(hint: Any, seen: frozenset[Any] = frozenset()) -> Iterator[str]:
    """The tables and statements in a type: itself, its arguments, the fields of a record."""
    if isinstance(hint, list | tuple):  # the parameters of a Callable
        for part in hint:
            yield from storage_in(part, seen)
        return
    kind = typing.get_origin(hint) or hint
    if is_storage(kind):
        yield kind.__name__
    for part in typing.get_args(hint):
        yield from storage_in(part, seen)
    if (
        inspect.isclass(kind)
        and kind not in seen
        and (dataclasses.is_dataclass(kind) or issubclass(kind, msgspec.Struct))
    ):
        for name, field in typing.get_type_hints(kind).items():
            if not name.startswith("_"):
                yield from storage_in(field, seen | {kind})


def leaks_of(function: Any) -> list[str]:
    hints = typing.get_type_hints(function)
    return sorted({kind for hint in hints.values() for kind in storage_in(hint)})


def test_facades_are_found():
    assert {name_of(kind).split(".")[2] for kind in facade_classes()} >= {"identity", "image", "network", "placement"}


def test_facades_have_few_functions():
    many = {
        name_of(kind): f"{len(methods(kind))} functions" for kind in facade_classes() if len(methods(kind)) > METHODS
    }
    TOO_MANY.check(many, f"more than {METHODS} functions: divide the facade by who needs what, or offer less")


def test_facades_hand_out_no_tables_and_no_sql():
    found = {}
    for kind in facade_classes():
        for name, function in methods(kind).items():
            if kinds := leaks_of(function):
                found[f"{name_of(kind)}.{name}"] = ", ".join(kinds)
    for module in facades():
        for name, value in offered(module).items():
            if inspect.isfunction(value) and (kinds := leaks_of(value)):
                found[f"{module.__name__}.{name}"] = ", ".join(kinds)
            elif is_storage(value) or isinstance(value, Visitable | Prepared) or hasattr(value, "__clause_element__"):
                found[f"{module.__name__}.{name}"] = type(value).__name__
    LEAKS.check(found, "take and give plain values: what lies in tables is the service's own business")


def test_sql_is_noticed():
    """The scan sees what it is for: a mapped class in a container, a condition, a statement, a record that holds one."""
    from sqlalchemy import ColumnElement, Select

    from gureum.services.identity.projects.model import Project

    @dataclasses.dataclass
    class Holder:
        project: Project | None

    Holder.__annotations__["project"] = Project | None
    for hint in (Project, list[Project], dict[str, Project | None], ColumnElement[bool], Select[str], Holder):
        assert list(storage_in(hint)), hint
    assert list(storage_in(Tx)) == list(storage_in(dict[str, list[int]])) == []
