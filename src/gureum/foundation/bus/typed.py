"""A tiny typed layer: a protocol's methods as a table, called through `Remote` and answered by `serve_methods`.

A protocol declares each method once:

    ENSURE = Method("ensure_server", EnsureServer, ServerObserved)

and its two ends use that: `Remote(bus, name).call(ENSURE, EnsureServer(spec))` and
`serve_methods(bus, name, {ENSURE: lambda asked: agent.ensure_server(asked.spec)})`. Arguments and results are msgpack.
It negotiates no versions: a method that the callee does not know is the refusal `unknown_method`, arguments that it
cannot read are `invalid_params`, and what follows from them is the protocol's business. Next: `interface.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from gureum.foundation.bus.interface import Bus, BusError, Refused
from gureum.foundation.shapes import packed_decoder

_log = logging.getLogger(__name__)

P = TypeVar("P")
R = TypeVar("R")

UNKNOWN_METHOD = "unknown_method"
INVALID_PARAMS = "invalid_params"


@dataclass(frozen=True)
class Method(Generic[P, R]):
    """One method: its name on the wire, the Struct of its arguments, the type of its result (`type(None)` for none)."""

    name: str
    params: type[P]
    result: type[R]
    timeout_s: float = 30.0


class Nothing(msgspec.Struct, frozen=True):
    """No arguments, no content."""


@dataclass(frozen=True)
class Topic(Generic[P]):
    """One kind of notification and what it carries."""

    name: str
    content: type[P]

    def publish(self, bus: Bus, content: P) -> None:
        """Tell every subscriber."""
        bus.publish(self.name, _encode(content))

    def subscribe(self, bus: Bus, subscriber: Callable[[P], None]) -> Callable[[], None]:
        """Hand every notification to `subscriber`; one that cannot be read is logged and lost."""
        decode = packed_decoder(self.content).decode

        def read(payload: bytes) -> None:
            try:
                content = decode(payload)
            except msgspec.MsgspecError as error:
                _log.warning("a notification of %s cannot be read: %s", self.name, error)
                return
            subscriber(content)

        return bus.subscribe(self.name, read)


class Remote:
    """Whoever serves `name`. `failure` may turn a refusal into the protocol's own exception."""

    def __init__(self, bus: Bus, name: str, failure: Callable[[Refused], Exception] | None = None) -> None:
        self.name = name
        self._bus = bus
        self._failure = failure

    def call(self, method: Method[P, R], params: P, *, timeout_s: float | None = None, request_id: str = "") -> R:
        """Return the method's result. Raise `Refused` (or what `failure` makes of it) or `BusError`."""
        wait_s = method.timeout_s if timeout_s is None else timeout_s
        try:
            payload = self._bus.call(self.name, method.name, _encode(params), timeout_s=wait_s, request_id=request_id)
        except Refused as refused:
            if self._failure is None:
                raise
            raise self._failure(refused) from refused
        try:
            result: R = packed_decoder(method.result).decode(payload)
        except msgspec.MsgspecError as error:
            raise BusError(f"the answer of {self.name} to {method.name} cannot be read: {error}") from error
        return result


def serve_methods(
    bus: Bus,
    name: str,
    methods: Mapping[Method[Any, Any], Callable[[Any], Any]],
    *,
    refusal: Callable[[Exception], Refused | None] = lambda _: None,
    threads: int = 4,
) -> Callable[[], None]:
    """Answer calls to `name`: each callable takes its method's params and returns its result.

    `refusal` may turn an exception of theirs into a refusal; any other reaches the caller as a `BusError`.
    """
    table = {method.name: (packed_decoder(method.params).decode, function) for method, function in methods.items()}

    def handler(method_name: str, payload: bytes) -> bytes:
        entry = table.get(method_name)
        if entry is None:
            raise Refused(UNKNOWN_METHOD, f"{name} knows no method {method_name}")
        decode, function = entry
        try:
            params = decode(payload)
        except msgspec.MsgspecError as error:
            raise Refused(INVALID_PARAMS, f"{name} {method_name}: {error}") from error
        try:
            return _encode(function(params))
        except Refused:
            raise
        except Exception as error:
            refused = refusal(error)
            if refused is None:
                raise
            raise refused from error

    return bus.serve(name, handler, threads=threads)


_encode = msgspec.msgpack.Encoder().encode
