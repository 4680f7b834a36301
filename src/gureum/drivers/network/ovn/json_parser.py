"""A quick stand-in for the ovs library's JSON parser.

The library parses in pure Python, character by character, unless it was built with a C extension that packages from
PyPI lack: two thirds of the time of a large batch, measured. This one has the same three methods, finds the end of a
message with a regular expression and leaves the rest to the standard library. Not a general parser: a JSON-RPC message
is an object (RFC 7047, 4). Invariant: `feed` consumes exactly up to the end of the first message.
Read next: `replica.py`, which installs it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import ovs.json

# A brace, a whole string, or the beginning of a string whose end has not come yet.
_TOKEN = re.compile(r'[{}]|"(?:[^"\\]|\\.)*(?:"|(?P<unfinished>\\?\Z))', re.DOTALL)


class MessageParser:
    """Takes text in pieces until one object is complete."""

    def __init__(self, check_trailer: bool = False) -> None:
        self._check_trailer = check_trailer
        self._pieces: list[str] = []
        self._unfinished = ""
        self._depth = 0
        self._done = False

    def feed(self, text: str) -> int:
        """Take what belongs to the message; the number of characters taken."""
        if self._done:
            return 0
        offset = len(self._unfinished)
        text, self._unfinished = self._unfinished + text, ""
        for token in _TOKEN.finditer(text):
            if token.group("unfinished") is not None:
                self._pieces.append(text[: token.start()])
                self._unfinished = text[token.start() :]
                return len(text) - offset
            first = text[token.start()]
            if first == "{":
                self._depth += 1
            elif first == "}":
                self._depth -= 1
            if self._depth <= 0:
                self._done = True
                end = len(text) if self._check_trailer else token.end()
                self._pieces.append(text[:end])
                return end - offset
        self._pieces.append(text)
        return len(text) - offset

    def is_done(self) -> bool:
        return self._done

    def finish(self) -> Any:
        """The object, or an error's text, as the library expects."""
        try:
            return json.loads("".join([*self._pieces, self._unfinished]))
        except ValueError as error:
            return str(error)


def install() -> None:
    """Let the library use it, unless it has its C extension."""
    if ovs.json.PARSER == ovs.json.PARSER_PY:
        ovs.json.Parser = MessageParser
