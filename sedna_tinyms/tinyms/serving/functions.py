"""The functions of TinyMS 0.1, on one server at a time."""

from __future__ import annotations

import os
from typing import Any

from sedna_tinyms.tinyms.serving.client import Client
from sedna_tinyms.tinyms.serving.server import Server, answers
from sedna_tinyms.tinyms.serving.settings import DEFAULT_HOST, DEFAULT_PORT

__all__ = ["list_servables", "predict", "server_started", "shutdown", "start_server"]

_server: Server | None = None


def start_server(
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    serving_path: str | os.PathLike[str] | None = None,
) -> None:
    """Start a server as `Server.start_server` does; the other functions then speak of it."""
    global _server
    if _server is not None and _server.started:
        if (_server.host, _server.port) == (host, port):
            return
        _server.shutdown()
    _server = Server(host, port, serving_path)
    _server.start_server()


def server_started(host: str | None = None, port: int | None = None) -> bool:
    """Whether a server answers; by default the one that was started last."""
    client = _client()
    return answers(host or client.host, client.port if port is None else port)


def list_servables() -> list[dict[str, Any]] | str:
    """Return what the server serves, or ``"Server not started"``."""
    return _client().list_servables() if server_started() else "Server not started"


def predict(
    img_path: str | os.PathLike[str],
    servable_name: str,
    dataset_name: str | None = None,
    strategy: str = "TOP1_CLASS",
) -> Any:
    """Predict for one picture file; see `Client.predict`."""
    return _client().predict(img_path, servable_name, dataset_name, strategy)


def shutdown() -> str:
    """End the server that `start_server` started, and say whether there was one."""
    global _server
    server, _server = _server, None
    ended = server is not None and server.shutdown()
    return "Server shutting down..." if ended else "No server detected"


def _client() -> Client:
    return Client(_server.host, _server.port, token=_server.token) if _server else Client()
