"""Waitress, told to answer in JSON also where it refuses a request before the application."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, NoReturn

from flask import Flask
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ErrorTask
from waitress.utilities import Error

from sedna_tinyms.errors import EndpointError
from sedna_tinyms.tinyms.serving.guard import NEEDS_TOKEN, has_token
from sedna_tinyms.tinyms.serving.refusal import code_of_status
from sedna_tinyms.tinyms.serving.settings import Settings

__all__ = ["bind", "serve_until_told", "web_server"]

SPARE_THREADS = 4
"""Beyond those that predictions may hold, so that health and metrics always answer."""

SILENCE_LIMIT_SECONDS = 30
ARRIVAL_LIMIT_SECONDS = 30
"""For a whole request, however steadily its bytes come; and between two of a connection."""

SMALL_BODY = 64 << 10
CONNECTION_LIMIT = 500
CROWD = 400
"""Connections from which on a new one takes the place of that which sends nothing for longest."""

HEADER_LIMIT = 32 << 10
FAREWELL_SECONDS = 10.0


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that holds the address, not yet listening.

    Raises
    ------
    EndpointError
        If the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise EndpointError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port",
            code="cannot-listen",
            host=host,
            port=port,
        ) from error
    return bound


def web_server(app: Flask, settings: Settings, bound: socket.socket) -> Any:
    """Return the web server for `app`, listening on the socket; ``run()`` serves."""
    server = create_server(
        app,
        sockets=[bound],
        threads=settings.waiting_limit + SPARE_THREADS,
        connection_limit=CONNECTION_LIMIT,
        channel_timeout=SILENCE_LIMIT_SECONDS,
        max_request_body_size=settings.body_limit,
        max_request_header_size=HEADER_LIMIT,
        asyncore_use_poll=True,
        ident=None,
    )
    server.channel_class = partial(_Channel, partial(_Parser, settings.token))
    return server


def serve_until_told(server: Any) -> None:
    """Serve until SIGTERM; what was received is still answered. A second one ends at once."""

    def stop_accepting(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, end)
        wasyncore.dispatcher.close(server)  # the listening socket only
        Thread(target=end_when_answered, daemon=True).start()

    def end(_signal: int, _frame: object) -> NoReturn:
        raise SystemExit(0)

    def end_when_answered() -> None:
        deadline = time.monotonic() + FAREWELL_SECONDS
        while time.monotonic() < deadline and any(
            channel.requests or channel.total_outbufs_len
            for channel in list(server.active_channels.values())
        ):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop_accepting)
    server.run()


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Says in JSON why a request did not reach the application."""

    def execute(self) -> None:
        error = self.request.error
        reason = f"{error.reason}: {error.body}"
        said = {"status": 1, "error": reason, "err_msg": reason}
        body = json.dumps(said | {"code": code_of_status(error.code, error.reason)}).encode()
        self.status = f"{error.code} {error.reason}"
        self.content_length = len(body)
        self.response_headers.append(("Content-Type", "application/json"))
        if error.code == _UnauthorizedError.code:
            self.response_headers.append(("WWW-Authenticate", "Bearer"))
        self.set_close_on_finish()
        self.write(body)


class _UnauthorizedError(Error):  # type: ignore[misc]
    code = 401
    reason = "Unauthorized"


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses a large request without the token by its headers, before its body takes any room.

    A small one is heard to its end, because who is hung up on while sending may miss the answer.
    """

    completed: bool

    def __init__(self, token: str | None, adjustments: Any) -> None:
        super().__init__(adjustments)
        self._token = token

    def received(self, data: bytes) -> int:
        taken: int = super().received(data)
        if (
            (self.chunked or self.content_length > SMALL_BODY)
            and not self.body_bytes_received
            and not self.completed
            and not has_token(self.headers.get("AUTHORIZATION", ""), self._token)
        ):
            self.error = _UnauthorizedError(NEEDS_TOKEN)
            self.completed = True
        return taken


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection, which has so long for a request to arrive, and none to spare in a crowd."""

    error_task_class = _JsonErrorTask

    def __init__(
        self, parser: Callable[[Any], Any], server: Any, *arguments: Any, **keywords: Any
    ) -> None:
        self.parser_class = parser
        self._due = time.monotonic() + ARRIVAL_LIMIT_SECONDS
        super().__init__(server, *arguments, **keywords)
        others = list(server.active_channels.values())
        if len(others) > CROWD:
            waiting = [each for each in others if each.is_waiting and not each.will_close]
            min(waiting, key=lambda each: each._due, default=self).will_close = True

    @property
    def is_waiting(self) -> bool:
        """Whether it is the client's turn."""
        return not self.requests and not self.total_outbufs_len

    def received(self, data: bytes) -> bool:
        taken: bool = super().received(data)
        if self.request is None:  # the last one is whole
            self._due = time.monotonic() + ARRIVAL_LIMIT_SECONDS
        return taken

    def readable(self) -> bool:
        # Asked of each connection in every turn of the server's loop.
        now = time.monotonic()
        if not self.is_waiting:
            self._due = now + ARRIVAL_LIMIT_SECONDS
        elif now > self._due:
            self.will_close = True
        return bool(super().readable())
