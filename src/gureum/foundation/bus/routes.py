"""Who serves which name and who wants which topic, as one process sees it; and how a local handler is run.

It is no transport: it moves a `Call` to a target and the outcome to a function. Invariant: `deliver` never blocks and
calls `reply` exactly once, from any thread. Several targets of one name share its calls in turn. The tables are
replaced, never changed, so that a call takes no lock. Next: `in_process.py`, `unix_socket.py`, `amqp.py`.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from gureum.foundation.bus.envelope import MAX_PAYLOAD_BYTES, Answer, Call, Failure, Notice, Outcome, Refusal
from gureum.foundation.bus.interface import CallTimeout, Handler, Refused, Subscriber
from gureum.foundation.bus.workers import Lane, Workers
from gureum.foundation.log import request_id as current_request_id

_log = logging.getLogger(__name__)

Reply = Callable[[Outcome], None]

_CALLS_WAITING = 4096
_NOTICES_WAITING = 1024


class Target(Protocol):
    """Somebody who answers calls to a name: a handler here, or a peer that has one."""

    def deliver(self, call: Call, reply: Reply) -> None: ...


class Listener(Protocol):
    """Somebody who wants a topic: a subscriber here, or a peer that has one."""

    def notify(self, notice: Notice) -> None: ...


class LocalTarget:
    """A handler of this process, run on at most `threads` worker threads at once."""

    def __init__(self, workers: Workers, handler: Handler, threads: int) -> None:
        self._lane = Lane(workers, width=threads, room=_CALLS_WAITING)
        self._handler = handler

    def deliver(self, call: Call, reply: Reply) -> None:
        """Queue the call; a call whose time is over before it starts is not made."""
        deadline = time.monotonic() + call.timeout_s

        def job() -> None:
            if time.monotonic() > deadline:
                reply(Failure(call.id, "timeout", f"{call.name} {call.method}: its time ran out before it started"))
            else:
                reply(run_handler(self._handler, call))

        if not self._lane.submit(job):
            reply(Failure(call.id, "error", f"{call.name} takes no more calls: too many wait, or it is closing"))


def run_handler(handler: Handler, call: Call) -> Outcome:
    """Run a handler under the caller's request id; any exception becomes an outcome."""
    token = current_request_id.set(call.request_id or "-")
    try:
        payload = handler(call.method, call.payload)
    except Refused as refused:
        return Refusal(call.id, refused.code, refused.text, refused.detail)
    except Exception as error:
        _log.exception("the handler of %s failed at %s", call.name, call.method)
        return Failure(call.id, "error", f"{call.name} failed at {call.method}: {type(error).__name__}: {error}")
    finally:
        current_request_id.reset(token)
    if len(payload) > MAX_PAYLOAD_BYTES:
        return Failure(call.id, "error", f"{call.name} {call.method}: an answer of {len(payload)} bytes is too large")
    return Answer(call.id, payload)


class LocalListener:
    """A subscriber of this process: notices reach it in order, one at a time; those beyond its room are lost."""

    def __init__(self, workers: Workers, subscriber: Subscriber) -> None:
        self._lane = Lane(workers, width=1, room=_NOTICES_WAITING)
        self._subscriber = subscriber

    def notify(self, notice: Notice) -> None:
        """Queue the notice."""
        payload = notice.payload
        if not self._lane.submit(lambda: self._subscriber(payload)):
            _log.debug("a notice of %s was lost: its subscriber is slow or closing", notice.topic)


class Routes:
    """The two tables. All methods are safe from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._targets: dict[str, tuple[Target, ...]] = {}
        self._listeners: dict[str, tuple[Listener, ...]] = {}
        self._turn = itertools.count()

    def add_target(self, name: str, target: Target) -> bool:
        """Return True for the first target of the name."""
        with self._lock:
            before = self._targets.get(name, ())
            self._targets[name] = (*(one for one in before if one is not target), target)
            return not before

    def remove_target(self, name: str, target: Target) -> bool:
        """Return True when the last target of the name has gone with this one."""
        with self._lock:
            before = self._targets.get(name, ())
            after = tuple(one for one in before if one is not target)
            if after:
                self._targets[name] = after
            else:
                self._targets.pop(name, None)
            return bool(before) and not after

    def add_listener(self, topic: str, listener: Listener) -> bool:
        """Return True for the first listener of the topic."""
        with self._lock:
            before = self._listeners.get(topic, ())
            self._listeners[topic] = (*(one for one in before if one is not listener), listener)
            return not before

    def remove_listener(self, topic: str, listener: Listener) -> bool:
        """Return True when the last listener of the topic has gone with this one."""
        with self._lock:
            before = self._listeners.get(topic, ())
            after = tuple(one for one in before if one is not listener)
            if after:
                self._listeners[topic] = after
            else:
                self._listeners.pop(topic, None)
            return bool(before) and not after

    def names(self) -> tuple[str, ...]:
        """Every name that has a target."""
        with self._lock:
            return tuple(self._targets)

    def topics(self) -> tuple[str, ...]:
        """Every topic that has a listener."""
        with self._lock:
            return tuple(self._listeners)

    def route(self, call: Call, reply: Reply) -> None:
        """Hand the call to the next of its name's targets, or fail it."""
        targets = self._targets.get(call.name)
        if targets is None:
            reply(Failure(call.id, "nobody", f"nobody serves {call.name}"))
        elif len(targets) == 1:
            targets[0].deliver(call, reply)
        else:
            targets[next(self._turn) % len(targets)].deliver(call, reply)

    def notify(self, notice: Notice, *, sender: Listener | None = None) -> None:
        """Tell every listener of the topic but the one that brought the notice."""
        for listener in self._listeners.get(notice.topic, ()):
            if listener is not sender:
                listener.notify(notice)


class Waiter:
    """Where the calling thread waits for its outcome. `put` is the call's `Reply`."""

    __slots__ = ("_done", "_outcome")

    def __init__(self) -> None:
        self._done = threading.Lock()
        self._done.acquire()
        self._outcome: Outcome | None = None

    def put(self, outcome: Outcome) -> None:
        """Set the outcome and wake the caller. The first one counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._done.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait for any outcome; False when the time is over."""
        return self._done.acquire(timeout=max(0.0, timeout_s))

    def take(self, call: Call) -> Outcome:
        """Wait for the outcome; raise `CallTimeout` after the call's time."""
        if not self.wait(call.timeout_s) or self._outcome is None:
            raise CallTimeout(f"{call.name} did not answer {call.method} within {call.timeout_s:g} s")
        return self._outcome
