"""Parts of other packages that they do not promise to keep: each use is named here, and a test says when one changes.

A use that is not in `USED` fails. Where a part has a public name, take that; where it has none, write down why it is
needed and a test of what we rely on.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import re
import signal
import uuid
from importlib import import_module
from types import SimpleNamespace

import pytest
from oslo_policy import _checks, _parser
from sqlalchemy import bindparam, column, insert, select, table
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.exc import DBAPIError
from tests.habits.source import CLONE, imports, modules

USED = {
    "oslo_policy._checks": "the public module loads oslo.config: 0.2 s of each start",
    "oslo_policy._parser": "the same",
    "uvicorn.protocols.http.httptools_impl": "bounds on heads and connections stand inside the protocol",
    "argparse._SubParsersAction": "the type has no public name",
    "logging._srcfile": "what the documentation of logging says to set",
    "_signal": "the launcher's time: `signal` makes enumerations",
    "._table": "a row of ovs does not tell its table otherwise",
    "._upgrade_revs": "alembic's documented way to run an upgrade, whose argument it is, has no public name",
    "._session": "how long a lost OVSDB connection waits has no other access",
}
LAUNCHER = CLONE / "gureum"


def private_imports() -> set[str]:
    """Modules of other packages with a part that begins with an underscore, and uvicorn's inner ones."""
    names = {name for module in modules() for name in imports(module) if not name.startswith("gureum")}
    names |= set(re.findall(r"^ *import (_\w+)", LAUNCHER.read_text(), re.MULTILINE))
    found = {name for name in names if re.search(r"(^|\.)_(?!_)", name) or name.startswith("uvicorn.protocols.")}
    return {next((known for known in USED if name == known or name.startswith(known + ".")), name) for name in found}


def private_attributes() -> set[str]:
    """What ruff lets pass because a line says so."""
    lines = [line for path in modules().values() for line in path.read_text().splitlines() if "noqa: SLF001" in line]
    code = "\n".join(line.partition("#")[0] for line in lines)
    uses = re.findall(r"([\w.]+)\.(_[a-z]\w*)", code)
    return {
        f"{owner}.{name}" if owner == "logging" else f".{name}" for owner, name in uses if owner not in ("self", "cls")
    }


def test_every_private_part_that_is_used_is_named():
    found = (
        private_imports() | private_attributes() | set(re.findall(r"argparse\._\w+", source_of("gureum.cli.__main__")))
    )
    assert found == USED.keys(), "name it in USED with a test below; take off what is not used any more"


def source_of(module: str) -> str:
    return modules()[module].read_text()


# -- oslo.policy -----------------------------------------------------------------------------------------------


def test_checks_of_policy_have_the_parts_that_are_read():
    parsed = _parser.parse_rule("(role:admin and rule:owner) or not project_id:%(project_id)s")
    assert type(parsed) is _checks.OrCheck
    both, negated = parsed.rules
    role, rule = both.rules
    assert [type(part) for part in (both, role, rule, negated, negated.rule)] == [
        *(_checks.AndCheck, _checks.RoleCheck, _checks.RuleCheck, _checks.NotCheck, _checks.GenericCheck),
    ]
    assert (role.match, rule.match, negated.rule.kind, negated.rule.match) == (
        "admin",
        "owner",
        "project_id",
        "%(project_id)s",
    )
    assert type(_parser.parse_rule("!")) is _checks.FalseCheck
    assert type(_parser.parse_rule("@")) is _checks.TrueCheck


def test_checks_of_policy_are_called_as_we_call_them():
    rules = {"owner": _parser.parse_rule("project_id:%(project_id)s")}
    check = _parser.parse_rule("role:admin and rule:owner")
    enforcer = SimpleNamespace(rules=rules)
    assert check({"project_id": "p"}, {"roles": ["admin"], "project_id": "p"}, enforcer, "any")
    assert not check({"project_id": "p"}, {"roles": ["admin"], "project_id": "q"}, enforcer, "any")


def test_policy_looks_for_checks_of_other_packages_where_we_say_that_there_are_none():
    import gureum.foundation.policy  # it empties them

    assert gureum.foundation.policy and _checks.extension_checks == {}
    assert "extension_checks" in inspect.getsource(_parser._parse_check)
    assert type(_parser.parse_rule("http://example.org/")) is _checks.GenericCheck, "no check asks another server"


# -- SQLAlchemy ------------------------------------------------------------------------------------------------

THINGS = table("things", column("id"), column("name"))


def test_compiled_statements_have_the_parts_that_prepared_ones_read():
    statement = select(THINGS.c.id).where(
        THINGS.c.id.in_(bindparam("ids", expanding=True)), THINGS.c.name == bindparam("name")
    )
    compiled = statement.compile(dialect=dialect(), column_keys=None)
    binds = {name: bind for bind, name in compiled.bind_names.items()}
    assert binds.keys() == {"ids", "name"}
    assert (binds["ids"].expanding, binds["name"].expanding, binds["name"].required) == (True, False, True)
    assert not compiled.insert_prefetch
    assert not compiled.update_prefetch
    assert not compiled.literal_execute_params
    state = compiled.construct_expanded_state({"ids": ["", ""], "name": None})
    assert state.statement.count("?") == 3
    assert state.positiontup == ["ids_1", "ids_2", "name"]
    assert state.parameter_expansion == {"ids": ["ids_1", "ids_2"]}
    assert [each.key for each in statement.exported_columns] == ["id"]


def test_compiled_changes_have_the_parts_that_prepared_ones_read():
    compiled = insert(THINGS).compile(dialect=dialect(), column_keys=["id", "name"])
    assert compiled.positiontup == ["id", "name"]
    assert compiled.string.count("?") == 2
    constant = select(THINGS.c.id).where(THINGS.c.name == "one").compile(dialect=dialect())
    (bind,) = constant.bind_names
    assert (bind.required, bind.effective_value) == (False, "one")
    kind = THINGS.c.id.type.dialect_impl(dialect())
    assert callable(kind.bind_processor)
    assert callable(kind.result_processor)


def test_errors_of_the_driver_are_made_as_sqlalchemy_makes_them():
    assert list(inspect.signature(DBAPIError.instance).parameters)[:4] == [
        "statement",
        "params",
        "orig",
        "dbapi_base_err",
    ]
    assert {"hide_parameters", "dialect"} <= inspect.signature(DBAPIError.instance).parameters.keys()


def test_alembic_says_which_revisions_lead_somewhere():
    from alembic.script import ScriptDirectory

    assert list(inspect.signature(ScriptDirectory._upgrade_revs).parameters) == ["self", "destination", "current_rev"]


# -- uvicorn ---------------------------------------------------------------------------------------------------


def test_protocol_of_uvicorn_has_the_parts_that_ours_builds_on():
    from uvicorn import Config
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
    from uvicorn.server import ServerState

    config = Config(app=None, loop="none", http=HttpToolsProtocol, ws="none", lifespan="off", log_config=None)
    config.load_app = lambda: None
    config.load()
    protocol = HttpToolsProtocol(config, ServerState(), {}, _loop=SimpleNamespace())
    protocol.on_message_begin()
    assert vars(protocol).keys() >= {
        *("loop", "parser", "client", "transport", "flow", "pipeline", "cycle", "headers", "url", "server_state"),
        *("timeout_keep_alive", "expect_100_continue"),
    }
    for name, parameters in {
        "connection_made": ["transport"],
        "connection_lost": ["exc"],
        "data_received": ["data"],
        "on_message_begin": [],
        "on_header": ["name", "value"],
        "on_headers_complete": [],
        "on_body": ["body"],
        "on_message_complete": [],
        "on_response_complete": [],
        "pause_writing": [],
        "resume_writing": [],
        "_start_asgi_task": ["cycle", "app"],
    }.items():
        assert list(inspect.signature(getattr(protocol, name)).parameters) == parameters, name
    cycle = inspect.getsource(RequestResponseCycle.__init__)
    for name in (
        "body",
        "more_body",
        "message_event",
        "keep_alive",
        "disconnected",
        "response_started",
        "response_complete",
    ):
        assert f"self.{name} = " in cycle, name
    assert STATUS_LINE[431].startswith(b"HTTP/1.1 431 ")
    assert vars(ServerState()).keys() >= {"total_requests", "default_headers"}


# -- Open vSwitch's library --------------------------------------------------------------------------------------


def test_rows_of_ovs_have_their_table():
    idl = pytest.importorskip("ovs.db.idl")
    where = SimpleNamespace(name="Port_Binding", columns={"external_ids": None})
    assert idl.Row(None, where, uuid.uuid4(), {})._table is where


def test_session_of_ovs_has_a_reconnection_that_can_be_told_to_hurry():
    reconnect = pytest.importorskip("ovs.reconnect")
    assert list(inspect.signature(reconnect.Reconnect.set_backoff).parameters) == ["self", "min_backoff", "max_backoff"]
    idl = import_module("ovs.db.idl")
    assert "self._session = " in inspect.getsource(idl.Idl.__init__)
    assert "self.reconnect = " in inspect.getsource(import_module("ovs.jsonrpc").Session.__init__)
    assert isinstance(idl.Idl.IDL_S_MONITORING, int)


def test_ovs_takes_its_parser_from_where_ours_is_put():
    json = pytest.importorskip("ovs.json")
    assert "ovs.json.Parser(" in inspect.getsource(import_module("ovs.jsonrpc"))
    assert {json.PARSER_PY, json.PARSER_C} >= {json.PARSER}
    ours = import_module("gureum.drivers.network.ovn.json_parser").MessageParser
    theirs = vars(json).get("_Parser", json.Parser)
    for name in ("feed", "is_done", "finish"):
        assert callable(getattr(theirs, name))
        assert len(inspect.signature(getattr(ours, name)).parameters) == len(
            inspect.signature(getattr(theirs, name)).parameters
        )


# -- the standard library --------------------------------------------------------------------------------------------


def test_parts_of_the_standard_library_are_there():
    assert isinstance(argparse.ArgumentParser().add_subparsers(), argparse._SubParsersAction)
    assert isinstance(logging._srcfile, str | None)
    inner = import_module("_signal")
    assert inner.SIG_BLOCK == signal.SIG_BLOCK
    assert callable(inner.pthread_sigmask)
