"""The life of one connection to a RabbitMQ broker: its channels, its queues and the calls that wait on it.

It does not reconnect; `amqp.py` opens the next session. Invariants: one thread, the one that runs `run`, touches the
connection, since the client library is not safe between threads; other threads `post` what is to be done. When the
session ends, every call that waits on it fails at once, because its reply queue goes with the connection.

On the wire: a call goes to the durable quorum queue of its name, persistent, mandatory, confirmed, and with its time
as its expiry, so that none outlives its caller. The callee acknowledges after it has answered: a call whose callee
died is delivered once more if somebody serves the name in time. Since that queue outlives its servers, each serving
process also binds the names that it serves to an exclusive queue that keeps nothing and goes with the connection; a
call is sent once an empty mandatory message to the name has been confirmed, and fails when that message comes back.
Answers go to an exclusive queue of the calling process, notices through a direct exchange to one of each process.

Nothing here waits for a quorum queue but its declaration, and each has a channel of its own: the broker holds up a
channel whose queue has no leader, for as long as that lasts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from amqp import Message
from kombu.connection import Connection

from gureum.foundation.bus.envelope import Answer, Call, Failure, Notice, Outcome, Refusal, decode, encode
from gureum.foundation.bus.routes import LocalTarget, Reply, Routes

_log = logging.getLogger(__name__)

_HEARTBEAT_S = 16
_CONNECT_S = 5
_IO_S = 7.0
"""A broker that is silent for so long while an answer is due is gone. Shorter than half the heartbeat, at which it
sends one, since that would keep the wait alive."""

_NOTICES = "gureum.notices"
_SERVING = "gureum.serving"
_CALL_QUEUE = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 1,
    "x-expires": 24 * 3600 * 1000,  # the queue of a host that has been away for a day goes
}
_SERVING_QUEUE = {"x-max-length": 0}
_NOTICE_QUEUE = {"x-max-length": 10_000, "x-overflow": "drop-head"}


class Served:
    """One `serve`: compared by identity, so that one name may be served twice."""

    def __init__(self, name: str, target: LocalTarget, threads: int) -> None:
        self.name = name
        self.target = target
        self.threads = threads
        self.tag = uuid.uuid4().hex


class AmqpSession:
    """A connection, from login to loss."""

    def __init__(self, url: str, routes: Routes, origin: str) -> None:
        """Connect, trying each broker of the URL once. Raise what the client library raises."""
        self._routes = routes
        self._origin = origin
        self._commands: deque[Callable[[], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._wake_lock = threading.Lock()
        self._ended = False
        self._pending: dict[int, tuple[Reply, float]] = {}
        self._unconfirmed: dict[int, tuple[Call, Callable[[], None]]] = {}
        self._published = 0
        self._started: dict[Served, Any] = {}
        unique = uuid.uuid4().hex
        self._replies = f"gureum.reply.{unique}"
        self._notices = f"gureum.notices.{unique}"
        self._serving = f"gureum.serving.{unique}"
        connection: Any = Connection  # the library has no types
        self._kombu = connection(url, heartbeat=_HEARTBEAT_S, connect_timeout=_CONNECT_S)
        try:
            self._open(url)
        except BaseException:
            self.end("the broker was lost")
            raise

    def _open(self, url: str) -> None:
        brokers = url.count(";") + 1
        self._kombu.ensure_connection(max_retries=brokers, interval_start=0, interval_step=0)
        self._amqp = self._kombu.connection
        self._amqp.sock.settimeout(_IO_S)
        self._calls = self._kombu.channel()
        self._calls.confirm_select()
        self._calls.events["basic_ack"].add(self._confirmed)
        self._calls.events["basic_nack"].add(self._rejected)
        self._calls.events["basic_return"].add(self._returned)
        self._plain = self._kombu.channel()
        channel = self._own = self._kombu.channel()
        channel.exchange_declare(_NOTICES, "direct", durable=True, auto_delete=False)
        channel.exchange_declare(_SERVING, "direct", durable=True, auto_delete=False)
        channel.queue_declare(self._serving, exclusive=True, auto_delete=True, arguments=_SERVING_QUEUE)
        channel.queue_declare(self._replies, exclusive=True, auto_delete=True)
        channel.basic_consume(self._replies, no_ack=True, callback=self._answered)
        channel.queue_declare(self._notices, exclusive=True, auto_delete=True, arguments=_NOTICE_QUEUE)
        channel.basic_consume(self._notices, no_ack=True, callback=self._noticed)

    def post(self, command: Callable[[], None]) -> bool:
        """Have the session's thread run `command` soon. False when the session has ended."""
        with self._wake_lock:
            if self._ended:
                return False
            self._commands.append(command)
            os.eventfd_write(self._wake, 1)
            return True

    def run(self, closing: threading.Event) -> None:
        """Serve until `closing` is set (and something was posted after it); raise when the connection is lost."""
        sock = self._amqp.sock
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        beat_at = 0.0
        while not closing.is_set():
            ready = {fd for fd, _ in poll.poll(_HEARTBEAT_S * 1000 / 4)}
            # Reading comes before the commands: these read too, and might leave nothing of what poll has seen.
            if sock.fileno() in ready:
                self._amqp.blocking_read()
            if self._wake in ready:
                os.eventfd_read(self._wake)
            while self._commands:
                self._commands.popleft()()
            while hasattr(sock, "pending") and sock.pending():
                self._amqp.blocking_read()  # decrypted already: poll does not see it
            if time.monotonic() > beat_at:
                self._kombu.heartbeat_check(rate=2)
                beat_at = time.monotonic() + _HEARTBEAT_S / 4

    def end(self, why: str) -> None:
        """Close the connection and fail what waits on it. The session's thread only."""
        with self._wake_lock:
            if self._ended:
                return
            self._ended = True
            os.close(self._wake)
        with contextlib.suppress(Exception):
            self._kombu.release()
        while self._commands:
            # A call that was posted and not yet sent must end too: run it against the closed connection.
            with contextlib.suppress(Exception):
                self._commands.popleft()()
        for call_id in list(self._pending):
            self._settle(Failure(call_id, "error", why))

    # What follows runs on the session's thread alone.

    def send_call(self, call: Call, reply: Reply) -> None:
        """Send a call, unless nobody serves its name."""
        self._pending[call.id] = (reply, time.monotonic() + call.timeout_s)
        if not self._ended:
            question = Message(b"", delivery_mode=1, correlation_id=str(call.id))
            self._publish(call, question, _SERVING, call.name, then=lambda: self._send_served(call))

    def _send_served(self, call: Call) -> None:
        if call.id not in self._pending:
            return
        message = Message(
            encode(call),
            delivery_mode=2,
            reply_to=self._replies,
            correlation_id=str(call.id),
            expiration=str(max(1, int(call.timeout_s * 1000))),
        )
        self._publish(call, message, "", _queue_of(call.name), then=_nothing)

    def _publish(self, call: Call, message: Any, exchange: str, key: str, *, then: Callable[[], None]) -> None:
        self._published += 1
        self._unconfirmed[self._published] = (call, then)
        self._calls.basic_publish(message, exchange=exchange, routing_key=key, mandatory=True)

    def forget_call(self, call_id: int) -> None:
        """Drop what is kept for a call whose caller has given up."""
        self._pending.pop(call_id, None)

    def send_notice(self, topic: str, payload: bytes) -> None:
        """Send a notice to the other processes."""
        message = Message(encode(Notice(topic, payload, self._origin)), delivery_mode=1)
        self._plain.basic_publish(message, exchange=_NOTICES, routing_key=topic)

    def start(self, served: Served) -> None:
        """Consume the queue of a served name. Done already: nothing."""
        if served in self._started:
            return
        channel = self._kombu.channel()
        self._started[served] = channel
        self._consume(served, channel)
        self._own.queue_bind(self._serving, _SERVING, routing_key=served.name)

    def stop(self, served: Served) -> None:
        """Take no more calls for it. Those under way are answered, so its channel stays open."""
        channel = self._started.pop(served, None)
        if channel is None:
            return
        if all(other.name != served.name for other in self._started):
            self._own.queue_unbind(self._serving, _SERVING, routing_key=served.name)
        channel.basic_cancel(served.tag, nowait=True)

    def _consume(self, served: Served, channel: Any) -> None:
        queue = _queue_of(served.name)
        channel.basic_qos(0, served.threads, a_global=False)
        channel.queue_declare(queue, durable=True, auto_delete=False, arguments=_CALL_QUEUE)
        channel.basic_consume(
            queue,
            consumer_tag=served.tag,
            nowait=True,
            callback=partial(self._called, served),
            on_cancel=lambda _: self._cancelled(served),
        )

    def bind(self, topic: str) -> None:
        """Get the notices of a topic."""
        self._own.queue_bind(self._notices, _NOTICES, routing_key=topic)

    def unbind(self, topic: str) -> None:
        """Get them no more."""
        self._own.queue_unbind(self._notices, _NOTICES, routing_key=topic)

    def _called(self, served: Served, message: Any) -> None:
        call = _read(message)
        if isinstance(call, Call):
            served.target.deliver(call, lambda outcome: self._answer(message, outcome))
        else:
            message.channel.basic_reject(message.delivery_info["delivery_tag"], requeue=False)

    def _answer(self, message: Any, outcome: Outcome) -> None:
        """Send an answer from any thread."""
        self.post(lambda: self._send_answer(message, outcome))

    def _send_answer(self, message: Any, outcome: Outcome) -> None:
        answer = Message(encode(outcome), delivery_mode=1, correlation_id=str(outcome.id))
        self._plain.basic_publish(answer, exchange="", routing_key=message.properties["reply_to"])
        message.channel.basic_ack(message.delivery_info["delivery_tag"])

    def _answered(self, message: Any) -> None:
        outcome = _read(message)
        if isinstance(outcome, Answer | Refusal | Failure):
            self._settle(outcome)

    def _noticed(self, message: Any) -> None:
        notice = _read(message)
        if isinstance(notice, Notice) and notice.origin != self._origin:
            self._routes.notify(notice)

    def _cancelled(self, served: Served) -> None:
        """Somebody has deleted the queue: make it again."""
        channel = self._started.get(served)
        if channel is not None:
            self.post(lambda: self._consume(served, channel))

    def _confirmed(self, tag: int, multiple: bool) -> None:
        for _, then in self._take_unconfirmed(tag, multiple):
            self.post(then)  # publishing reads, too: from here it would come back to this place, ever deeper

    def _rejected(self, tag: int, multiple: bool) -> None:
        for call, _ in self._take_unconfirmed(tag, multiple):
            self._settle(Failure(call.id, "error", "the broker did not take the call"))

    def _take_unconfirmed(self, tag: int, multiple: bool) -> list[tuple[Call, Callable[[], None]]]:
        tags = [one for one in self._unconfirmed if one <= tag] if multiple else [tag]
        return [self._unconfirmed.pop(one) for one in tags if one in self._unconfirmed]

    def _returned(self, _error: Any, _exchange: str, key: str, message: Any) -> None:
        call_id = int(message.properties["correlation_id"])
        self._settle(Failure(call_id, "nobody", f"no queue takes {key}"))

    def _settle(self, outcome: Outcome) -> None:
        entry = self._pending.pop(outcome.id, None)
        if entry is not None:
            entry[0](outcome)


def _nothing() -> None:
    """What follows the confirmation of a call: its answer, by itself."""


def _queue_of(name: str) -> str:
    return f"gureum.call.{name}"


def _read(message: Any) -> object:
    body = message.body
    try:
        return decode(body if isinstance(body, bytes) else str(body).encode())
    except msgspec.MsgspecError as error:
        _log.warning("a message on the bus cannot be read: %s", error)
        return None
