"""What the server tells of its work: Prometheus metrics, and one line of JSON a request. Neither holds anything of a photograph."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["CONTENT_TYPE", "JsonLines", "Metrics", "logger", "set_up_logs"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
logger = logging.getLogger("fiducia.serve")

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "fiducia_requests", "Requests by path and status.", ("path", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "fiducia_request_seconds", "Time of a request.", ("path",), buckets=_SECONDS, registry=self.registry
        )
        self.stages = Histogram(
            "fiducia_stage_seconds",
            "Time of a photograph by stage: find (decode and detect), wait, network.",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.refused = Counter("fiducia_refused", "Requests that met a limit.", ("limit",), registry=self.registry)
        self.photographs = Counter("fiducia_photographs", "Photographs answered.", registry=self.registry)
        self.faces = Counter("fiducia_faces", "Faces answered.", registry=self.registry)
        self.batches = Histogram(
            "fiducia_batch_faces", "Faces in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 256), registry=self.registry
        )
        self.inside = Gauge("fiducia_requests_in_work", "Requests in work.", registry=self.registry)
        self.waiting = Gauge("fiducia_queue", "Photographs that wait for the network.", registry=self.registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text form."""
        return generate_latest(self.registry)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, message, and the fields of the record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        table: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **record.__dict__.get("fields", {}),
        }
        if record.exc_info:
            table["traceback"] = self.formatException(record.exc_info)
        return json.dumps(table)


def set_up_logs(level: str = "info") -> None:
    """Send the server's records, and uvicorn's warnings, to standard error as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, least in (("fiducia.serve", level.upper()), ("uvicorn", "WARNING")):
        one = logging.getLogger(name)
        one.handlers = [handler]
        one.setLevel(least)
        one.propagate = False
