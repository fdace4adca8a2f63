"""Ask the server for twice what it can do: who waits, for how long, and who is turned away.

    sedna-tinyms bench overload --seconds 60 --json OUT

First as many clients as the server lets wait ask again as soon as they are answered: that is its
capacity. Then requests come at twice that rate, whether or not earlier ones are answered. What is
beyond the server's queue must be answered with 503 and Retry-After at once, and what is accepted
must not wait longer from the first second to the last.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import NamedTuple

import numpy as np
from arguments import at_least_one
from harness import Benchmark, Numbers, Row, Run, main
from serving_load import ask, picture, prepare, served

SERVABLE = "small"
CONNECTIONS_PER_PLACE = 4
"""Enough that the rate is kept up: an accepted request holds its connection."""

CAPACITY_SHARE = 0.25
"""Of the seconds, for the first part."""

PATIENCE_SECONDS = 60.0


class Answer(NamedTuple):
    """What came back: when it was due, in seconds from the start, and how long it took."""

    due: float
    seconds: float
    status: int
    retry_after: str | None


@dataclass
class Load:
    """Requests to a server, from so many connections.

    Parameters
    ----------
    port : int
        The server's.
    connections : int
        How many there are.
    rate : float
        Requests a second; 0 asks again as soon as an answer is there.
    """

    port: int
    connections: int
    rate: float = 0.0

    def run(self, seconds: float) -> list[Answer]:
        """Ask for so long; return the answers, by the time at which they were due."""
        self._numbers, self._answers = count(), list[Answer]()
        self._start, self._seconds = time.perf_counter(), seconds
        threads = [threading.Thread(target=self._ask) for _ in range(self.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(self._answers)

    def _ask(self) -> None:
        body = json.dumps({"data": picture(), "servable_name": SERVABLE})
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        while (due := self._next()) < self._seconds:
            time.sleep(max(0.0, self._start + due - time.perf_counter()))
            begin = time.perf_counter()
            try:
                connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                status, retry_after = response.status, response.getheader("Retry-After")
            except (OSError, HTTPException):
                connection.close()
                status, retry_after = 0, None
            self._answers.append(Answer(due, time.perf_counter() - begin, status, retry_after))
        connection.close()

    def _next(self) -> float:
        """Return when the next request is due."""
        if self.rate:
            return next(self._numbers) / self.rate
        return time.perf_counter() - self._start


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=at_least_one, default=60, help="at twice the capacity")
    parser.add_argument("--places", type=at_least_one, default=16, help="the server's queue")


def overload(options: argparse.Namespace, run: Run) -> Numbers:
    """Measure one server's capacity, and what it does at twice that."""
    prepare(run.own, [SERVABLE])
    with served(run.own, "--waiting-limit", str(options.places)) as port:
        ask(port, SERVABLE, picture())  # compiles
        seconds = max(1.0, CAPACITY_SHARE * options.seconds)
        alone = Load(port, options.places).run(seconds)
        capacity = sum(answer.status == 200 for answer in alone) / seconds
        load = Load(port, CONNECTIONS_PER_PLACE * options.places, 2 * capacity)
        answers = load.run(options.seconds)
    half = options.seconds / 2
    refused = [answer for answer in answers if answer.status == 503]
    return {
        "capacity_per_second": capacity,
        "asked_per_second": len(answers) / options.seconds,
        "accepted": sum(answer.status == 200 for answer in answers),
        "refused": len(refused),
        "without_retry_after": sum(answer.retry_after is None for answer in refused),
        "failed": len(answers) - len(refused) - sum(answer.status == 200 for answer in answers),
        "capacity_p99_ms": percentile(alone, 99),
        "median_ms": percentile(answers, 50),
        "p99_ms": percentile(answers, 99),
        "p99_first_half_ms": percentile([a for a in answers if a.due < half], 99),
        "p99_second_half_ms": percentile([a for a in answers if a.due >= half], 99),
        "refused_p99_ms": percentile(answers, 99, status=503),
    }


def percentile(answers: list[Answer], share: float, *, status: int = 200) -> float | None:
    """Return a percentile of the milliseconds of the answers with `status`."""
    times = [1e3 * answer.seconds for answer in answers if answer.status == status]
    return float(np.percentile(times, share)) if times else None


BENCHMARK = Benchmark(
    name="overload",
    script=__file__,
    columns={
        "capacity_per_second": ".1f",
        "accepted": ",d",
        "refused": ",d",
        "failed": ",d",
        "capacity_p99_ms": ".0f",
        "p99_first_half_ms": ".0f",
        "p99_second_half_ms": ".0f",
        "refused_p99_ms": ".0f",
    },
    rows=lambda _: [Row("ours", overload, ("mindspore", "flask", "waitress"), once=True)],
    configure=configure,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
