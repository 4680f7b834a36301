"""Values read into types: JSON, MessagePack, plain dictionaries. Types are prepared here, one after the other.

msgspec prepares a type when it first meets it. Two threads that do so at once, with a struct in common, end it all:
the second takes the first one's half-made description for a whole one (msgspec 0.22, a segmentation fault). So nothing
else in a process that has threads makes a typed decoder, `convert`s, or `decode`s with a type.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_turn = threading.Lock()
_json: dict[Any, msgspec.json.Decoder[Any]] = {}
_packed: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def json_decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """The decoder of JSON for a type, the same one each time."""
    found = _json.get(kind)
    if found is None:
        with _turn:
            found = _json[kind] = msgspec.json.Decoder(kind)
    return found


def packed_decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]:
    """The decoder of MessagePack for a type, the same one each time."""
    found = _packed.get(kind)
    if found is None:
        with _turn:
            found = _packed[kind] = msgspec.msgpack.Decoder(kind)
    return found


def converted(value: Any, kind: type[T]) -> T:
    """Dictionaries and lists as an instance of `kind`. Raises msgspec.ValidationError."""
    json_decoder(kind)
    return msgspec.convert(value, kind)


_WORDS: dict[str, str] = {}


def worded(pattern: str, words: str) -> str:
    """The pattern itself, of which a refusal says `words`: a long regular expression tells a person nothing."""
    _WORDS[f"matching regex {pattern!r}"] = f"of {words}"
    return pattern


def in_words(message: str) -> str:
    """A message of msgspec with the words of the pattern that it quotes."""
    if "matching regex" in message:
        for quoted, words in _WORDS.items():
            message = message.replace(quoted, words)
    return message
