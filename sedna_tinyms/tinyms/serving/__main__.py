"""The server's own process: ``python -m sedna_tinyms.tinyms.serving``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sedna_tinyms.errors import ConfigurationError, SednaTinyMSError, extra
from sedna_tinyms.tinyms.serving.settings import (
    TOKEN_VARIABLE,
    Settings,
    default_serving_path,
)

logger = logging.getLogger("sedna_tinyms.tinyms.serving")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # the metrics tell it
    try:
        serve(_settings(parsed), announce_to=parsed.announce_to)
    except SednaTinyMSError as error:
        logger.error("%s", error)
        return error.exit_code
    return 0


def serve(settings: Settings, announce_to: int | None = None) -> None:
    """Serve until the process is told to end.

    Parameters
    ----------
    settings : Settings
        What to serve, and where.
    announce_to : int, optional
        A file descriptor that gets the port as text, once it answers.

    Raises
    ------
    EndpointError
        If the address cannot be had.
    MissingExtraError
        If the web framework is not installed.
    """
    with extra("serving", "the server"):
        from sedna_tinyms.tinyms.serving.app import create_app
        from sedna_tinyms.tinyms.serving.metrics import Metrics
        from sedna_tinyms.tinyms.serving.predicting import Predictor
        from sedna_tinyms.tinyms.serving.repository import Repository
        from sedna_tinyms.tinyms.serving.runner import Runner
        from sedna_tinyms.tinyms.serving.web_server import bind, serve_until_told, web_server

    signal.signal(signal.SIGTERM, _end)
    bound = bind(settings.host, settings.port)
    metrics = Metrics()
    runner = Runner(settings.batch_limit, metrics.observe_batch)
    repository = Repository(settings.serving_path, runner, metrics.observe_load)
    runner.start()
    try:
        repository.load()
        repository.watch(settings.poll_seconds)
        predictor = Predictor(repository, runner, settings.waiting_limit, metrics)
        server = web_server(create_app(settings, predictor, metrics), settings, bound)
        port = bound.getsockname()[1]
        logger.info("serving %s on http://%s:%d", settings.serving_path, settings.host, port)
        if announce_to is not None:
            with os.fdopen(announce_to, "w") as announcement:
                announcement.write(f"{port}\n")
        serve_until_told(server)
    finally:
        repository.stop()
        runner.stop()


def _end(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sedna_tinyms.tinyms.serving",
        description="Serve networks over HTTP.",
        epilog=f"Binding to other than loopback needs a token: in {TOKEN_VARIABLE}, or in a file.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    defaults, add = Settings(default_serving_path()), parser.add_argument
    path, host, port = defaults.serving_path, defaults.host, defaults.port
    add("--serving-path", type=Path, default=path, help="directory with servable.json")
    add("--host", default=host, help="address to listen on")
    add("--port", type=int, default=port, help="port to listen on; 0 takes a free one")
    add("--token-file", type=Path, help="file that holds the token")
    origins = "let web pages of this origin use the server; may be repeated"
    add("--allow-origin", action="append", default=[], metavar="ORIGIN", help=origins)
    limits = {
        "body-limit": "bytes of one request",
        "pixel-limit": "pixels of one picture",
        "waiting-limit": "predictions under way or waiting; more are answered with 503",
        "batch-limit": "pictures that a network takes at once",
    }
    for name, what in limits.items():
        default = getattr(defaults, name.replace("-", "_"))
        add(f"--{name}", type=int, default=default, metavar="N", help=what)
    seconds = "seconds between two looks for changed files"
    add("--poll-seconds", type=float, default=defaults.poll_seconds, metavar="S", help=seconds)
    add("--announce-to", type=int, help=argparse.SUPPRESS)
    return parser


def _settings(parsed: argparse.Namespace) -> Settings:
    token = os.environ.get(TOKEN_VARIABLE, "")
    if parsed.token_file is not None:
        try:
            token = parsed.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"--token-file {parsed.token_file}: {error}",
                code="unreadable-file" if isinstance(error, OSError) else "not-utf8",
                path=parsed.token_file,
            ) from error
    return Settings(
        serving_path=parsed.serving_path,
        host=parsed.host,
        port=parsed.port,
        token=token,
        allowed_origins=tuple(parsed.allow_origin),
        body_limit=parsed.body_limit,
        pixel_limit=parsed.pixel_limit,
        waiting_limit=parsed.waiting_limit,
        batch_limit=parsed.batch_limit,
        poll_seconds=parsed.poll_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
