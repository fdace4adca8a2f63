"""Waitress, told to answer in JSON also where it refuses a request before the application."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from threading import Thread
from typing import Any, NoReturn

from flask import Flask
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from sedna_tinyms.errors import EndpointError
from sedna_tinyms.tinyms.serving.settings import Settings

__all__ = ["bind", "serve_until_told", "web_server"]

SPARE_THREADS = 4
"""Beyond those that predictions may hold, so that health and metrics always answer."""

SILENCE_LIMIT_SECONDS = 30
CONNECTION_LIMIT = 500
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
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port"
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
    server.channel_class = _Channel
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
        body = json.dumps({"status": 1, "error": reason, "err_msg": reason}).encode()
        self.status = f"{error.code} {error.reason}"
        self.content_length = len(body)
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    error_task_class = _JsonErrorTask
