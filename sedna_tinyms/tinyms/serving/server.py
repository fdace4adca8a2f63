"""Starts a server in a process of its own, and ends it."""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from sedna_tinyms.errors import EndpointError, StorageError
from sedna_tinyms.tinyms.serving.client import Client
from sedna_tinyms.tinyms.serving.settings import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    TOKEN_VARIABLE,
    Settings,
    default_serving_path,
)

__all__ = ["Server", "answers"]

logger = logging.getLogger(__name__)

START_LIMIT_SECONDS = 300.0
"""Loading compiles every network, some seconds each."""

STOP_LIMIT_SECONDS = 15.0
LOG_LINES = 5


class Server:
    """A server of networks.

    It runs until `shutdown`, also after the program that started it has ended.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        Port; 0 takes any free one, and `port` says which after the start.
    serving_path : path
        Directory with ``servable.json`` and ``<servable>/<model>.ckpt``; by default what the
        environment variable ``TINYMS_SERVING_PATH`` names, or ``/etc/tinyms/serving/``.
    token : str, optional
        What clients must show; needed where other machines can reach `host`. By default what the
        environment variable ``SEDNA_TINYMS_SERVING_TOKEN`` holds.

    Attributes
    ----------
    log : Path or None
        The file that the running server writes to.

    Raises
    ------
    ConfigurationError
        If a parameter is out of its range, or a token is missing.
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        serving_path: str | os.PathLike[str] | None = None,
        *,
        token: str | None = None,
    ) -> None:
        path = default_serving_path() if serving_path is None else Path(serving_path)
        self.token = os.environ.get(TOKEN_VARIABLE, "") if token is None else token
        self._settings = Settings(path, host, port, self.token)
        self.host, self.port, self.serving_path = host, port, path
        self.log: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def started(self) -> bool:
        """Whether the process that this object started is running."""
        return self._process is not None and self._process.poll() is None

    def start_server(self, *options: str, timeout: float = START_LIMIT_SECONDS) -> None:
        """Start the server and return when its port answers and its networks are loaded.

        Where a server of this kind answers already, that one is left to serve.

        Parameters
        ----------
        *options : str
            Further options of ``python -m sedna_tinyms.tinyms.serving``.
        timeout : float
            Seconds to wait.

        Raises
        ------
        EndpointError
            If something else has the port, or the server ended or did not answer in time; with
            the last lines of its log.
        StorageError
            If its log cannot be written.
        """
        if self.started or self._answers_already():
            return
        reading, writing = os.pipe()
        try:
            self._process = self._spawn(writing, options)
        finally:
            os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as announcement:
            port = _read_line(announcement.fileno(), timeout)
        if not port:
            ended = port is not None
            self.shutdown()
            raise EndpointError(
                f"the server {'ended' if ended else f'did not answer in {timeout:g} seconds'}; "
                f"its log {self.log} ends with:\n{self._last_lines()}",
                code="cannot-start" if ended else "timeout",
                log=self.log,
            )
        self.port = int(port)
        logger.info(
            "process %d serves on http://%s:%d and logs to %s",
            self._process.pid,
            self.host,
            self.port,
            self.log,
        )

    def shutdown(self) -> bool:
        """End the server that this object started; return whether there was one."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return False
        process.terminate()
        try:
            process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return True

    def __enter__(self) -> Server:
        self.start_server()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()

    def _answers_already(self) -> bool:
        if self.port == 0 or not answers(self.host, self.port):
            return False
        if not Client(self.host, self.port, token=self.token).is_tinyms_server():
            raise EndpointError(
                f"something that is no TinyMS server answers on {self.host}:{self.port}; "
                "choose another port",
                code="foreign-server",
                host=self.host,
                port=self.port,
            )
        logger.warning(
            "a server answers on %s:%d already; it is used, whatever it serves, and shutdown() "
            "will not end it",
            self.host,
            self.port,
        )
        return True

    def _spawn(self, announce_to: int, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "sedna_tinyms.tinyms.serving"]
        command += ["--host", self.host, "--port", str(self.port)]
        command += ["--serving-path", str(self.serving_path.absolute())]
        command += ["--announce-to", str(announce_to), *options]
        try:
            handle, name = tempfile.mkstemp(prefix="sedna-tinyms-serving-", suffix=".log")
        except OSError as error:
            raise StorageError(
                f"the server's log cannot be written: {error}",
                code="no-space" if error.errno == errno.ENOSPC else "cannot-write",
            ) from error
        self.log = Path(name)
        with os.fdopen(handle, "wb") as log:
            # A session of its own, so that Ctrl-C in a notebook does not reach it.
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {TOKEN_VARIABLE: self.token},
                pass_fds=(announce_to,),
                start_new_session=True,
            )

    def _last_lines(self) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""
        return "\n".join(f"  {line}" for line in text.splitlines()[-LOG_LINES:])


def answers(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=2.0):
            return True
    except OSError:
        return False


def _read_line(descriptor: int, seconds: float) -> bytes | None:
    """Return what comes before a line end; empty if the writer ends, None if time runs out."""
    deadline = time.monotonic() + seconds
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return None
        part = os.read(descriptor, 16)
        if not part:
            return b""
        line += part
    return line
