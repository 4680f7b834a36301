"""A protocol of agents, written once: a `typing.Protocol` class from which both ends of the bus are derived.

Each public method of the class is a call. Its arguments cross as a Struct with a field for each, or as they are where
the only one is a Struct already; a parameter that may be None may be left out, so that a peer of another version need
not send it. `@remote` says what differs from the usual. Invariant: nothing of a call is written anywhere else.
Read next: `gureum/foundation/bus/typed.py`, which carries it.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import Any, TypeVar, cast, get_type_hints

import msgspec

from gureum.foundation import log
from gureum.foundation.bus.interface import Bus, BusError, Refused
from gureum.foundation.bus.typed import UNKNOWN_METHOD, Method, Remote, serve_methods

_log = logging.getLogger("gureum.fleet")

P = TypeVar("P")
F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS = "__remote_call__"


class AgentTooOld(BusError):
    """The agent does not know the call. Callers wait for its upgrade, as for an agent that does not answer."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """`since` is the protocol's version that added the call. A `quiet` call is one of many: no line in the log."""

    timeout_s: float = 30.0
    since: int = 1
    quiet: bool = False


def remote(*, timeout_s: float = 30.0, since: int = 1, quiet: bool = False) -> Callable[[F], F]:
    """Mark a method of a protocol whose options are not the usual ones."""

    def mark(function: F) -> F:
        setattr(function, _OPTIONS, CallOptions(timeout_s, since, quiet))
        return function

    return mark


@dataclass(frozen=True, slots=True)
class AgentCall:
    """One call: how it stands on the bus, and the names of its arguments (None where a Struct is sent as it is)."""

    method: Method[Any, Any]
    options: CallOptions
    names: tuple[str, ...] | None

    def pack(self, arguments: tuple[Any, ...]) -> Any:
        return arguments[0] if self.names is None else self.method.params(*arguments)

    def unpack(self, params: Any) -> tuple[Any, ...]:
        return (params,) if self.names is None else tuple(getattr(params, name) for name in self.names)


@cache
def calls_of(protocol: Any) -> dict[str, AgentCall]:
    """Every call of a protocol, by name."""
    functions = {name: value for name, value in vars(protocol).items() if inspect.isfunction(value)}
    return {name: _call(name, function) for name, function in functions.items() if not name.startswith("_")}


def _call(name: str, function: Any) -> AgentCall:
    hints = get_type_hints(function)
    result = hints.pop("return")
    options = getattr(function, _OPTIONS, CallOptions())
    kinds = list(hints.values())
    names: tuple[str, ...] | None = tuple(hints)
    if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], msgspec.Struct):
        params, names = kinds[0], None
    else:
        fields = [(one, kind, None) if NoneType in _members(kind) else (one, kind) for one, kind in hints.items()]
        params = msgspec.defstruct(f"{name}_arguments", fields, frozen=True, omit_defaults=True)
    return AgentCall(Method(name, params, result, options.timeout_s), options, names)


def _members(kind: Any) -> tuple[Any, ...]:
    return getattr(kind, "__args__", ())


def proxy(protocol: type[P], bus: Bus, name: str, failure: Callable[[Refused], Exception]) -> P:
    """An object of the protocol whose calls go to the server of `name` on the bus. Raises what `failure` makes of a
    refusal, AgentTooOld and BusError.
    """

    def refused_as(refused: Refused) -> Exception:
        return AgentTooOld(text) if (text := too_old(protocol, refused)) else failure(refused)

    return cast("P", _proxy_type(cast("Any", protocol))(Remote(bus, name, refused_as)))


@cache
def _proxy_type(protocol: Any) -> Callable[[Remote], Any]:
    """A class with a method for each call, so that a thousand agents cost no more than their names."""

    def sender(call: AgentCall) -> Callable[..., Any]:
        def send(self: Any, *arguments: Any) -> Any:
            return self.remote.call(call.method, call.pack(arguments))

        return send

    def begin(self: Any, remote_end: Remote) -> None:
        self.remote = remote_end

    members = {name: sender(call) for name, call in calls_of(protocol).items()}
    return type(f"Remote{protocol.__name__}", (), {"__init__": begin, **members})


def serve(
    protocol: type,
    bus: Bus,
    name: str,
    agent: object,
    *,
    refusal: Callable[[Exception], Refused | None],
    threads: int,
) -> Callable[[], None]:
    """Answer the calls to `name` with `agent`'s methods until the returned function is called."""
    table = {call.method: _answerer(call, getattr(agent, method)) for method, call in calls_of(protocol).items()}
    return serve_methods(bus, name, table, refusal=refusal, threads=threads)


def _answerer(call: AgentCall, answer: Callable[..., Any]) -> Callable[[Any], Any]:
    """The implementation behind a call, with a line in the log for each."""
    if call.options.quiet:
        return lambda params: answer(*call.unpack(params))

    def told(params: Any) -> Any:
        started, end = time.perf_counter(), "failed"
        try:
            result = answer(*call.unpack(params))
            end = "done"
            return result
        finally:
            took = log.took(time.perf_counter() - started)
            _log.info("call %s%s: %s %s", call.method.name, _subject(params), end, took)

    return told


def _subject(params: Any) -> str:
    """ " of server ID" for arguments that begin with the id of something."""
    first = next((name for name in params.__struct_fields__ if name.endswith("_id")), None)
    return f" of {first.removesuffix('_id')} {getattr(params, first)}" if first else ""


def watched(protocol: type[P], agent: P, observe: Callable[[AgentCall, float, Exception | None], None]) -> P:
    """The same agent; `observe(call, seconds, error)` is called after each call, with `error` None when it answered."""

    class Watched:
        def __getattr__(self, name: str) -> Any:
            call, function = calls_of(cast("Any", protocol))[name], getattr(agent, name)

            def send(*arguments: Any) -> Any:
                started = time.perf_counter()
                try:
                    result = function(*arguments)
                except Exception as error:
                    observe(call, time.perf_counter() - started, error)
                    raise
                observe(call, time.perf_counter() - started, None)
                return result

            return send

    return cast("P", Watched())


def too_old(protocol: type, refused: Refused) -> str:
    """What an operator can do when an agent does not know a call; "" for other refusals."""
    if refused.code != UNKNOWN_METHOD:
        return ""
    name = refused.text.rpartition(" ")[2]
    call = calls_of(protocol).get(name)
    since = f", which came with version {call.options.since} of the protocol" if call else ""
    return f"the host's agent does not know the call {name}{since}: upgrade it"
