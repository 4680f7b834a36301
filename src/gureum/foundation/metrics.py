"""Counters and histograms for Prometheus, in a registry of our own so that tests can have several clouds."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gureum_http_requests", "Answered requests", ["api", "method", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "gureum_http_seconds",
            "Time from request to answer",
            ["api"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
            registry=self.registry,
        )
        self.statements = Gauge("gureum_db_statements", "SQL statements of this process", registry=self.registry)
        self.commits = Gauge(
            "gureum_db_commits", "Write transactions committed by this process", registry=self.registry
        )
        self.agent_calls = Counter("gureum_agent_calls", "Calls to hosts' agents", ["method"], registry=self.registry)
        self.steps = Counter("gureum_task_steps", "Task steps run", ["lifecycle", "outcome"], registry=self.registry)

        self.answered = lru_cache(maxsize=256)(self._answered)

    def _answered(self, api: str, method: str, status: int) -> tuple[Counter, Histogram]:
        """What counts and times such an answer: finding them takes longer than using them."""
        return self.requests.labels(api, method, str(status)), self.latency.labels(api)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
