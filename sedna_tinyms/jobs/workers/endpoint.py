"""The address that workers report to: the LocalController's HTTP endpoint, on this machine.

A worker posts ``{"name", "namespace", "ownerName", "ownerKind", "kind", "status", "results"}`` to
``/sedna/workers/<its name>/info``. A report that can be read is answered with 200 and handed on,
whoever it is from; who is known and what counts is the runner's business. What cannot be read is
answered with 400 and handed on as a `Refusal`, so that a failed round can say why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import EndpointError
from sedna_tinyms.outcomes import unpack_outcomes

__all__ = ["BODY_LIMIT", "Endpoint", "Refusal", "Report"]

BODY_LIMIT = 1 << 20
"""Bytes of one report; metrics of a thousand classes need a tenth of it."""

DEEPEST = 32
"""Levels of a report's JSON. Metrics need five; what takes hundreds can be read, but not kept."""

LONGEST_NUMBER = 20
"""Digits of a length that is looked at."""

SILENCE_LIMIT_SECONDS = 30.0
"""How long a client may keep a connection open without sending anything."""

TEXT_FIELDS = ("name", "namespace", "ownerName", "ownerKind", "kind", "status")


@dataclass(frozen=True)
class Report:
    """What a worker said about its work.

    Attributes
    ----------
    worker : str
        The worker's name.
    kind : str
        ``train``, ``eval`` or ``deploy``.
    status : str
        ``completed``, ``failed`` or ``running``.
    results : tuple of mapping
        One entry a model: ``format``, ``url`` (a host path) and ``metrics``, as sent but for the
        outcomes, which are unpacked (`sedna_tinyms.outcomes`).
    """

    worker: str
    kind: str
    status: str
    results: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A request that was no report.

    Attributes
    ----------
    worker : str
        The worker whose path it came to.
    reason : str
        What was wrong with it, in words.
    code : str
        The same for a program.
    """

    worker: str
    reason: str
    code: str


class Endpoint:
    """Listens on loopback in threads of its own, from `with` to its end.

    Parameters
    ----------
    deliver : callable
        Takes each `Report` and `Refusal`, on a thread of the endpoint, before the worker gets
        its answer.
    port : int, default 0
        The port to listen on; 0 takes any free one.

    Raises
    ------
    EndpointError
        If the port cannot be had.
    """

    def __init__(self, deliver: Callable[[Report | Refusal], object], port: int = 0) -> None:
        try:
            self._server = _Server(("127.0.0.1", port), deliver)
        except (OSError, OverflowError) as error:
            raise EndpointError(
                f"cannot listen for workers on 127.0.0.1:{port}: {error}; "
                "name another port with --port, or leave it out to take any free one",
                code="cannot-listen",
                port=port,
            ) from error
        self._thread = Thread(
            target=self._server.serve_forever, args=(0.05,), name="endpoint", daemon=True
        )

    @property
    def url(self) -> str:
        """What workers get as ``LC_SERVER``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # beyond the usual 5, a connection is tried again seconds later
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection open must not delay the end

    def __init__(
        self, address: tuple[str, int], deliver: Callable[[Report | Refusal], object]
    ) -> None:
        self.deliver = deliver
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up halfway is no event of the job."""


class _RefusedError(Exception):
    """Why a request is answered with `status`."""

    def __init__(self, reason: str, code: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(reason)
        self.code = code
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_LIMIT_SECONDS

    def do_POST(self) -> None:
        """Answer one report."""
        worker = ""
        try:
            worker = _worker_of(self.path)
            report = parse_report(worker, self._body())
        except _RefusedError as error:
            self.close_connection = True  # the body may be unread
            self.server.deliver(Refusal(worker, str(error), error.code))
            self._answer(error.status, str(error))
        else:
            self.server.deliver(report)
            self._answer(HTTPStatus.OK, "OK")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _RefusedError(
                "a report needs a Content-Length", "missing-value", HTTPStatus.LENGTH_REQUIRED
            )
        # Python makes no number of more than a few thousand digits.
        if len(length) > LONGEST_NUMBER or int(length) > BODY_LIMIT:
            raise _RefusedError(
                f"a report may have {BODY_LIMIT} bytes, this one has {length:.{LONGEST_NUMBER}}",
                "too-large",
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            )
        return self.rfile.read(int(length))

    def _answer(self, status: HTTPStatus, message: str) -> None:
        body = json.dumps({"Status": int(status), "Message": message}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Say nothing: the runner's events tell what matters."""


def _worker_of(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    match parts:
        case ["", "sedna", "workers", name, "info"] if name:
            return unquote(name)
    raise _RefusedError(
        f"no such address: {path[:200]!r}; workers report to /sedna/workers/<name>/info",
        "invalid-url",
        HTTPStatus.NOT_FOUND,
    )


def parse_report(worker: str, body: bytes) -> Report:
    """Read the body that was posted to `worker`'s path, or say what is wrong with it."""
    try:
        message = parse_json(body)
    except ValueError as error:
        raise _RefusedError(f"the body is not JSON: {error}", "not-json") from None
    if _is_deeper(message, DEEPEST):
        raise _RefusedError(f"the body is nested more than {DEEPEST} levels deep", "too-deep")
    if not isinstance(message, dict):
        what = type(message).__name__
        raise _RefusedError(f"the body is a JSON {what}, not an object", "wrong-type")
    for field in TEXT_FIELDS:
        if not isinstance(message.get(field, ""), str):
            raise _RefusedError(f"{field} is {message[field]!r:.80}, not a text", "wrong-type")
    if message.get("name") != worker:
        raise _RefusedError(
            f"the body's name {message.get('name')!r:.80} is not the path's, {worker!r:.80}",
            "conflict",
        )
    results = message.get("results") or []
    if not isinstance(results, list) or not all(isinstance(entry, dict) for entry in results):
        raise _RefusedError(f"results is {results!r:.80}, not a list of objects", "wrong-type")
    return Report(
        worker=worker,
        kind=message.get("kind", ""),
        status=message.get("status", ""),
        results=tuple(map(_unpacked, results)),
    )


def _is_deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _unpacked(entry: dict[str, Any]) -> dict[str, Any]:
    metrics = entry.get("metrics")
    return entry | {"metrics": unpack_outcomes(metrics)} if isinstance(metrics, dict) else entry
