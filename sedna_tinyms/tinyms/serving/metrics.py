"""What Prometheus may read from a server."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
PICTURES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters of one server, in a registry of its own.

    Labels come from the server (routes, servables), never from a request's text.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "tinyms_requests",
            "Requests by route and HTTP status.",
            ("route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tinyms_request_seconds",
            "From a request's arrival at its handler to its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "tinyms_batch_pictures",
            "Pictures that went through a network at once.",
            ("servable",),
            buckets=PICTURES,
            registry=self.registry,
        )
        self._loads = Counter(
            "tinyms_servable_loads",
            "Attempts to put a servable, or a new version of it, in service.",
            ("servable", "outcome"),
            registry=self.registry,
        )
        self._current = Gauge(
            "tinyms_servable_current",
            "1 if what is in service is what the files say, 0 if the new files were refused.",
            ("servable",),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "tinyms_predictions_waiting",
            "Predictions being worked on or waiting.",
            registry=self.registry,
        )

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Note an answered request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def observe_batch(self, servable: str, pictures: int) -> None:
        """Note a batch."""
        self._batches.labels(servable).observe(pictures)

    def observe_load(self, servable: str, succeeded: bool) -> None:
        """Note an attempt to put a servable in service."""
        self._loads.labels(servable, "success" if succeeded else "failure").inc()
        self._current.labels(servable).set(succeeded)

    def text(self) -> bytes:
        """Return everything in Prometheus's format."""
        return generate_latest(self.registry)
