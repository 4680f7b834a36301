"""OAuth 1.0 requests: their parameters and their signature. Pure. Source: RFC 5849; HMAC-SHA1 alone is offered."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

METHOD = "HMAC-SHA1"
_PARAMETER = re.compile(r'\s*([A-Za-z0-9_%.~-]+)="([^"]*)"\s*')


class Unsigned(Exception):
    """The request holds no OAuth signature of a kind that is known here."""


@dataclass(frozen=True, slots=True)
class OauthRequest:
    """`parameters` are those of the Authorization header, decoded; `others` those of the query and of a form body."""

    method: str
    parameters: Mapping[str, str]
    others: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> str:
        """Raises Unsigned when it is missing or empty."""
        value = self.parameters.get(name, "")
        if not value:
            raise Unsigned(name)
        return value

    @property
    def timestamp(self) -> int:
        text = self.parameter("oauth_timestamp")
        if not re.fullmatch(r"[0-9]{1,11}", text):
            raise Unsigned("oauth_timestamp")
        return int(text)

    def is_signed(self, urls: Iterable[str], consumer_secret: str, token_secret: str = "") -> bool:
        """Whether the signature fits at one of the forms of the request's own address."""
        if self.parameter("oauth_signature_method") != METHOD:
            return False
        key = f"{encoded(consumer_secret)}&{encoded(token_secret)}".encode()
        given = self.parameter("oauth_signature").encode()
        for url in urls:
            digest = hmac.digest(key, self._text(url).encode(), "sha1")
            if hmac.compare_digest(base64.b64encode(digest), given):
                return True
        return False

    def _text(self, url: str) -> str:
        """The signature base string (RFC 5849, section 3.4.1)."""
        own = [(name, value) for name, value in self.parameters.items() if name not in ("oauth_signature", "realm")]
        pairs = sorted((encoded(name), encoded(value)) for name, value in (*own, *self.others))
        joined = "&".join(f"{name}={value}" for name, value in pairs)
        return f"{self.method.upper()}&{encoded(plain_url(url))}&{encoded(joined)}"


def parsed(method: str, authorization: str, others: Iterable[tuple[str, str]], form: bytes = b"") -> OauthRequest:
    """Raises Unsigned for a header that is not OAuth's, or names a parameter twice."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "oauth":
        raise Unsigned("Authorization")
    found: dict[str, str] = {}
    for part in rest.split(","):
        match = _PARAMETER.fullmatch(part)
        if match is None or unquote(match[1]) in found:
            raise Unsigned("Authorization")
        found[unquote(match[1])] = unquote(match[2])
    if found.get("oauth_version", "1.0") != "1.0":
        raise Unsigned("oauth_version")
    body = parse_qsl(form.decode("utf-8", "replace"), keep_blank_values=True)
    return OauthRequest(method, found, (*others, *body))


def plain_url(url: str) -> str:
    """Scheme and host in lower case, a default port left out, no query (RFC 5849, section 3.4.1.2)."""
    parts = urlsplit(url)
    default = {"http": ":80", "https": ":443"}.get(parts.scheme.lower(), "")
    host = parts.netloc.lower()
    return f"{parts.scheme.lower()}://{host.removesuffix(default) if default else host}{parts.path}"


def encoded(text: str) -> str:
    return quote(text, safe="-._~")
