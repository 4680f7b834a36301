"""The one list of what no log, trace or command shows: the values of secret keys, and secrets known by their form.

Keys are found however they are written: JSON, JSON within JSON, a header, a query, `key=value`, Python's own notation.
It may mask too much: what it masks is for people to read. Every line passes here, those of the event loop too:
repetitions are bounded, so that no text takes long.
"""

from __future__ import annotations

import re

MASK = "***"

_KEYS = (
    r"pass(?:word|wd|phrase|code)|admin_?pass\b|secret|token|signature|(?<![a-z])sig\b|_sig\b|amz-credential|"
    r"\bcredential(?=[\"']?=)|verifier|api[_-]?key|private[_-]?key|set-cookie|\bcookie"
)
_VALUE = r"""
    (?: \[[^\]\n]{0,500}\]                               # a list
      | \\+" .*? \\+"                                    # within JSON that is text of JSON
      | b?" (?:[^"\\]|\\.)* " | b?' (?:[^'\\]|\\.)* '
      | b?["'] [^\n]*                                    # cut off before its end
      | [^\s,}&]+ )
"""
_BY_KEY = re.compile(rf"""(?ix) ( (?:{_KEYS}) [\w.-]{{0,40}} \\* ["']? \s{{0,8}} [:=] \s{{0,8}} ) {_VALUE}""")
_AUTHORIZATION = re.compile(
    r"""(?ix) ( \bauthorization \\* ["']? \s{0,8} [:=] \s{0,8} )
        ( " (?:[^"\\]|\\.)* " | ' (?:[^'\\]|\\.)* ' | [^\r\n]+ )"""
)
_PEM = re.compile(r"(?s)-----BEGIN ([A-Z0-9 ]+)-----.*?(?:-----END \1-----|\Z)")
_FERNET = re.compile(r"gAAAA[\w%=-]{16,}")
_IN_A_URL = re.compile(r"""(://[^/\s:@"']*:)(?!PASSWORD@)[^/\s"']*@""")
_IN_A_PATH = re.compile(r"(/tokens/)[^/?\s\"']+", re.IGNORECASE)
_TOKEN_LIKE = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12,}", re.IGNORECASE
)

_HINTS = (
    *("pass", "secret", "token", "sig", "credential", "authorization", "verifier", "api", "private", "cookie"),
    *("-----begin", "gaaaa", "://"),
)
"""Most lines have none of these, and looking for a word is cheap."""


def redact(text: str) -> str:
    """The text with its secrets masked."""
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    text = _PEM.sub(rf"-----BEGIN \1-----{MASK}", text)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    text = _BY_KEY.sub(rf"\1{MASK}", text)
    text = _FERNET.sub(MASK, text)
    text = _IN_A_URL.sub(rf"\1{MASK}@", text)
    return _IN_A_PATH.sub(rf"\1{MASK}", text)


def redact_unknown_path(target: str) -> str:
    """A path that leads nowhere, and its query: what looks like a token may be one, since no route says what it is."""
    return _TOKEN_LIKE.sub(MASK, target)
