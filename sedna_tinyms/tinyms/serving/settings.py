"""What a server is told at its start, checked before anything is opened."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sedna_tinyms.errors import ConfigurationError, Problems

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_SERVING_PATH",
    "SHORTEST_TOKEN",
    "TOKEN_VARIABLE",
    "Settings",
    "default_serving_path",
    "is_loopback",
]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000
DEFAULT_SERVING_PATH = "/etc/tinyms/serving/"
SERVING_PATH_VARIABLE = "TINYMS_SERVING_PATH"
"""Where servables lie if a program does not say it."""

TOKEN_VARIABLE = "SEDNA_TINYMS_SERVING_TOKEN"  # noqa: S105 - the variable's name
"""The token's way into the server's process; a command line would show it to every user."""

SHORTEST_TOKEN = 16


def default_serving_path() -> Path:
    """Return the directory of servables for a program that names none."""
    return Path(os.environ.get(SERVING_PATH_VARIABLE) or DEFAULT_SERVING_PATH)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Settings:
    """What a server is told at its start.

    Attributes
    ----------
    serving_path : Path
        Directory with ``servable.json`` and ``<servable>/<model>.ckpt``.
    host, port
        Where to listen; port 0 takes any free one.
    token : str
        What clients must send as ``Authorization: Bearer <token>``; none needed if empty.
    allowed_origins : tuple of str
        Web pages of other servers that may call this one, such as ``https://example.org``.
    body_limit : int
        Bytes of one request.
    pixel_limit : int
        Pixels of one picture.
    waiting_limit : int
        Predictions being worked on or waiting; a further one is answered with 503.
    batch_limit : int
        Pictures that a network takes at once.
    poll_seconds : float
        How often to look for changed files.

    Raises
    ------
    ConfigurationError
        With everything that is out of its range.
    """

    serving_path: Path = field(default_factory=default_serving_path)
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str = ""
    allowed_origins: tuple[str, ...] = ()
    body_limit: int = 16 << 20
    pixel_limit: int = 30_000_000
    waiting_limit: int = 64
    batch_limit: int = 16
    poll_seconds: float = 1.0

    def __post_init__(self) -> None:
        problems = Problems()
        if not 0 <= self.port <= 65535:
            problems.add(
                f"port is {self.port}; it must lie between 0 and 65535",
                code="out-of-range",
                name="port",
                value=self.port,
            )
        if self.token and (len(self.token) < SHORTEST_TOKEN or not self.token.isascii()):
            problems.add(
                f"the token must have at least {SHORTEST_TOKEN} characters, all of ASCII",
                code="invalid-value",
                name="token",
            )
        if not self.token and not is_loopback(self.host):
            problems.add(
                f"host is {self.host!r}, which other machines can reach: that needs a token "
                f"(in the environment as {TOKEN_VARIABLE}, or from --token-file)",
                code="missing-token",
                name="host",
                value=self.host,
            )
        for origin in self.allowed_origins:
            parts = urlsplit(origin)
            if origin != f"{parts.scheme}://{parts.netloc}" or not parts.netloc:
                problems.add(
                    f"{origin!r} is no origin; one looks like https://example.org, without a path",
                    code="invalid-url",
                    name="allowed_origins",
                    value=origin,
                )
        for name in ("body_limit", "pixel_limit", "waiting_limit", "batch_limit"):
            if getattr(self, name) < 1:
                problems.add(
                    f"{name} is {getattr(self, name)}; it must be at least 1",
                    code="out-of-range",
                    name=name,
                    value=getattr(self, name),
                )
        if not 0 < self.poll_seconds < float("inf"):
            problems.add(
                f"poll_seconds is {self.poll_seconds}; it must be above 0",
                code="out-of-range",
                name="poll_seconds",
                value=self.poll_seconds,
            )
        problems.raise_as(ConfigurationError, "the server cannot be started")
