"""Drives the ASGI application in process: no socket, one call, one answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from tests.answers import check_answer


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """A client of the application with default headers, e.g. a token."""

    def __init__(self, app: Any, headers: dict[str, str] | None = None) -> None:
        self.app = app
        self.headers = headers or {}

    def with_headers(self, **headers: str) -> Client:
        return Client(self.app, {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}})

    def request(self, method: str, url: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Answer:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        sent = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if data and "content-type" not in {k.lower() for k in sent}:
            sent["content-type"] = "application/json"
        return asyncio.run(self._send(method, url, data, sent))

    def get(self, url: str, **headers: str) -> Answer:
        return self.request("GET", url, **headers)

    def post(self, url: str, body: Any = None, **headers: str) -> Answer:
        return self.request("POST", url, body, **headers)

    def put(self, url: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PUT", url, body, **headers)

    def patch(self, url: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PATCH", url, body, **headers)

    def delete(self, url: str, **headers: str) -> Answer:
        return self.request("DELETE", url, **headers)

    async def _send(self, method: str, url: str, data: bytes, headers: dict[str, str]) -> Answer:
        path, _, query = url.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
        }
        messages = [{"type": "http.request", "body": data, "more_body": False}]
        status, sent_headers, parts = 0, {}, []

        async def receive():
            if not messages:
                await asyncio.Event().wait()  # the client stays and says nothing more
            return messages.pop(0)

        async def send(message):
            nonlocal status, sent_headers
            if message["type"] == "http.response.start":
                status = message["status"]
                sent_headers = {k.decode().lower(): v.decode("latin-1") for k, v in message["headers"]}
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        answer = Answer(status, sent_headers, b"".join(parts))
        check_answer(self.app, method, url, headers, answer)
        return answer
