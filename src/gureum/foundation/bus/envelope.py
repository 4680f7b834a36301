"""What the transports put on a wire, and how an outcome becomes an answer or an exception.

It is not the agents' protocol: `payload` is bytes that it never reads. Invariant: every `Call` gets exactly one of
`Answer`, `Refusal` or `Failure`, under the call's own id. Frames are msgpack arrays led by a number, so that a field
may be added at the end, with a default, and the older end ignores it. Next: `routes.py`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gureum.foundation.bus.interface import BusError, CallTimeout, NobodyServes, Refused

MAX_PAYLOAD_BYTES = 16 << 20
"""The same on every transport, so that what works on one machine works on many."""

MAX_FRAME_BYTES = MAX_PAYLOAD_BYTES + (64 << 10)

FailureKind = Literal["nobody", "timeout", "error"]


class Call(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """`timeout_s` is relative, so that two machines need not agree on the time."""

    id: int
    name: str
    method: str
    payload: bytes
    timeout_s: float
    request_id: str


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """The handler's own answer."""

    id: int
    payload: bytes


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """The handler raised `Refused`."""

    id: int
    code: str
    text: str
    detail: bytes


class Failure(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """The call reached nobody, or whoever took it could not answer."""

    id: int
    kind: FailureKind
    text: str


class Notice(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """A notification. `origin` names the publishing process, which has told its own subscribers already."""

    topic: str
    payload: bytes
    origin: str = ""


class Register(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A peer serves these names and wants these topics. Answered, so that the peer knows when it holds."""

    id: int
    names: tuple[str, ...]
    topics: tuple[str, ...]


class Unregister(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The opposite of `Register`, answered too: from then on no call of the name comes."""

    id: int
    names: tuple[str, ...]
    topics: tuple[str, ...]


Outcome = Answer | Refusal | Failure
Frame = Call | Answer | Refusal | Failure | Notice | Register | Unregister

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)

encode = _encoder.encode


def decode(data: bytes | memoryview) -> Frame:
    """Raise `msgspec.MsgspecError` for anything that is not a frame."""
    return _decoder.decode(data)


def with_id(outcome: Outcome, call_id: int) -> Outcome:
    """Return the same outcome under another call's id."""
    if isinstance(outcome, Answer):
        return Answer(call_id, outcome.payload)
    if isinstance(outcome, Refusal):
        return Refusal(call_id, outcome.code, outcome.text, outcome.detail)
    return Failure(call_id, outcome.kind, outcome.text)


def result_of(outcome: Outcome) -> bytes:
    """Return an answer's payload, or raise `Refused`, `NobodyServes`, `CallTimeout` or `BusError`."""
    if isinstance(outcome, Answer):
        return outcome.payload
    if isinstance(outcome, Refusal):
        raise Refused(outcome.code, outcome.text, outcome.detail)
    if outcome.kind == "nobody":
        raise NobodyServes(outcome.text)
    if outcome.kind == "timeout":
        raise CallTimeout(outcome.text)
    raise BusError(outcome.text)


def check_size(payload: bytes) -> None:
    """Raise `BusError` for a payload that no transport carries."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BusError(f"a payload of {len(payload)} bytes is larger than the bus carries ({MAX_PAYLOAD_BYTES})")
