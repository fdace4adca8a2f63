"""A LocalController that only listens: a real HTTP server on the loopback address."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from types import TracebackType
from typing import Any, NamedTuple

__all__ = ["Controller", "Posted"]


class Posted(NamedTuple):
    """One report, as it arrived."""

    path: str
    body: Any


class Controller:
    """Takes workers' reports and keeps them.

    Parameters
    ----------
    refusals : iterable of int
        Status codes to answer the first reports with; all others are answered with 200 and kept.

    Examples
    --------
    ::

        with Controller() as controller:
            start_worker(LC_SERVER=controller.url)
            path, body = controller.wait_for(1)[0]
    """

    def __init__(self, refusals: Iterable[int] = ()) -> None:
        self.reports: list[Posted] = []
        self.attempts = 0
        self._refusals = list(refusals)
        self._changed = Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Controller:
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int, seconds: float = 60.0) -> list[Posted]:
        """Wait until `count` reports are here, and return them.

        Raises
        ------
        TimeoutError
            If they did not arrive within `seconds`; the message shows those that did.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while len(self.reports) < count:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"{count} reports were expected; {self.reports} came")
            return list(self.reports)

    def _take(self, path: str, body: bytes) -> int:
        with self._changed:
            self.attempts += 1
            if self._refusals:
                return self._refusals.pop(0)
            self.reports.append(Posted(path, json.loads(body)))
            self._changed.notify_all()
            return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = take(self.path, body)
                answer = json.dumps({"Status": status, "Message": "OK"}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing: the reports are the log."""

        return Handler
