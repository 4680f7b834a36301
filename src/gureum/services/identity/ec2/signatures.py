"""Signatures of EC2 and S3 requests, versions 2 and 4: what was signed, when, and what the signature must be. Pure.

Sources: AWS General Reference, "Signature Version 2" and "Signature Version 4"; Amazon S3, "Signing REST requests".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

V4 = "AWS4-HMAC-SHA256"
LONGEST_PRESIGNED = timedelta(days=7)
"""A presigned S3 address says only within its signature for how long it holds; this is the most that S3 allows."""


class Unsigned(Exception):
    """The request holds no signature of a kind that is known here."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as its receiver tells it. `headers` and `params` as they came, `body_hash` of version 4."""

    signature: str
    host: str = ""
    verb: str = ""
    path: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body_hash: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a right signature would be, and from when to when it may be shown. `expected` one for each host form."""

    expected: tuple[str, ...]
    signed_at: datetime
    until: datetime | None = None

    def holds(self, signature: str) -> bool:
        return any(hmac.compare_digest(one.encode(), signature.encode()) for one in self.expected)

    def is_timely(self, now: datetime, window_s: float) -> bool:
        window = timedelta(seconds=window_s)
        return self.signed_at - window <= now <= (self.until or self.signed_at + window)


def ec2_claim(request: Signed, secret: str) -> Claim:
    """Raises Unsigned."""
    if any("\n" in text for text in (request.verb, request.host, request.path)):
        raise Unsigned
    headers = {name.lower(): value for name, value in request.headers.items()}
    hosts = tuple(dict.fromkeys((request.host, request.host.partition(":")[0])))
    if headers.get("authorization", "").startswith(V4) or request.params.get("X-Amz-Algorithm") == V4:
        return _version_4(request, headers, hosts, secret)
    if request.params.get("SignatureVersion") == "2":
        return _version_2(request, hosts, secret)
    raise Unsigned


def _version_2(request: Signed, hosts: tuple[str, ...], secret: str) -> Claim:
    algorithm = {"HmacSHA256": "sha256", "HmacSHA1": "sha1"}.get(request.params.get("SignatureMethod", ""))
    if algorithm is None:
        raise Unsigned
    query = _query(request.params, "Signature")
    expected = tuple(
        base64.b64encode(
            hmac.digest(
                secret.encode(), f"{request.verb.upper()}\n{host.lower()}\n{request.path}\n{query}".encode(), algorithm
            )
        ).decode()
        for host in hosts
    )
    if "Expires" in request.params:
        until = _iso(request.params["Expires"])
        return Claim(expected, until - timedelta(hours=1), until)
    return Claim(expected, _iso(request.params.get("Timestamp", "")))


def _query(params: Mapping[str, str], left_out: str) -> str:
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in params.items() if name != left_out)
    return "&".join(f"{name}={value}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _version_4(request: Signed, headers: Mapping[str, str], hosts: tuple[str, ...], secret: str) -> Claim:
    given = _authorization(headers["authorization"]) if "authorization" in headers else dict(request.params)
    scope = given.get("Credential", given.get("X-Amz-Credential", "")).partition("/")[2]
    names = given.get("SignedHeaders", given.get("X-Amz-SignedHeaders", "")).split(";")
    if "host" not in names:
        raise Unsigned
    moment = headers.get("x-amz-date") or request.params.get("X-Amz-Date", "")
    query = "" if request.verb.upper() == "POST" else _query(request.params, "X-Amz-Signature")
    expected = []
    for host in hosts:
        lines = "".join(f"{name}:{_header(name, headers, host)}\n" for name in names)
        canonical = "\n".join((request.verb.upper(), request.path, query, lines, ";".join(names), request.body_hash))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        expected.append(_signature_4(secret, scope, f"{V4}\n{moment}\n{scope}\n{digest}"))
    return Claim(tuple(expected), _compact(moment, scope))


def _header(name: str, headers: Mapping[str, str], host: str) -> str:
    return host if name == "host" else " ".join(headers.get(name, "").split())


def _authorization(text: str) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=([^,\s]+)", text.removeprefix(V4)))


def _signature_4(secret: str, scope: str, text: str) -> str:
    parts = scope.split("/")
    if len(parts) != 4 or parts[3] != "aws4_request":
        raise Unsigned
    key = f"AWS4{secret}".encode()
    for part in parts:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def s3_claim(token: str, secret: str) -> Claim:
    """`token` is the text that was signed, in base64. Raises Unsigned."""
    try:
        text = base64.urlsafe_b64decode(token.replace("+", "-").replace("/", "_").encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise Unsigned from error
    lines = text.split("\n")
    if lines[0] == V4:
        if len(lines) != 4 or lines[2].split("/")[2:3] != ["s3"]:
            raise Unsigned
        signed_at = _compact(lines[1], lines[2])
        return Claim((_signature_4(secret, lines[2], text),), signed_at, signed_at + LONGEST_PRESIGNED)
    signature = base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()
    return _s3_times((signature,), lines)


def _s3_times(expected: tuple[str, ...], lines: list[str]) -> Claim:
    """Version 2 for S3: the fourth line is a date, or the second since the epoch at which the address ends."""
    if len(lines) < 5:
        raise Unsigned
    if re.fullmatch(r"\d{1,11}", lines[3]):
        until = datetime.fromtimestamp(int(lines[3]), UTC).replace(tzinfo=None)
        return Claim(expected, until - LONGEST_PRESIGNED, until)
    own = [line.partition(":")[2] for line in lines if line.lower().startswith("x-amz-date:")]
    try:
        moment = parsedate_to_datetime((own or [lines[3]])[0].strip())
    except (ValueError, TypeError) as error:
        raise Unsigned from error
    return Claim(expected, moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None))


def _iso(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unsigned from error
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _compact(text: str, scope: str) -> datetime:
    """`20260131T120000Z`, of the day that the scope names."""
    try:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ")  # noqa: DTZ007 naive UTC, as everywhere here
    except ValueError as error:
        raise Unsigned from error
    if scope.partition("/")[0] != text[:8]:
        raise Unsigned
    return moment
