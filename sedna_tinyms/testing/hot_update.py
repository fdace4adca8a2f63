"""A hot update as a controller announces it, played against a real worker."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.testing.controller import Controller
from sedna_tinyms.testing.library import JOB, LIMIT_SECONDS, Library, report

__all__ = ["play_hot_update"]


def play_hot_update(
    library: Library,
    directory: Path,
    controller: Controller,
    worker: str,
    *,
    models: dict[str, str],
    seen: dict[str, str],
    suffix: str = ".ckpt",
    **variables: object,
) -> None:
    """Deploy a better and then a broken model to a worker that writes what it predicts."""
    for name, content in models.items():
        (directory / f"{name}{suffix}").write_text(content, encoding="utf-8")
    config = directory / "model_config.json"
    with library.start(
        worker,
        directory,
        **JOB | variables,
        LC_SERVER=controller.url,
        WORKER_NAME="inferworker-abc",
        MODEL_URL=directory / f"deployed{suffix}",
        MODEL_HOT_UPDATE="true",
        MODEL_HOT_UPDATE_CONFIG=config,
        MODEL_POLL_PERIOD_SECONDS=1,
    ) as process:
        _wait_until_seen(directory, seen["deployed"], process)
        _announce(config, directory / f"better{suffix}", "2026-11-20 10:07:17.8 +0000 UTC m=+41.2")
        controller.wait_for(1)
        _wait_until_seen(directory, seen["better"], process)
        _announce(config, directory / f"broken{suffix}", "2026-11-20 10:08:17.8 +0000 UTC m=+101.2")
        controller.wait_for(2)
        (directory / "seen").unlink(missing_ok=True)
        _wait_until_seen(directory, seen["better"], process)
        (directory / "stop").touch()
        process.communicate(timeout=60)
    first, second = controller.reports[:2]
    expected = report("inferworker-abc", "deploy", [])[1]
    del expected["results"]
    assert first.body == expected
    assert second.body == {**expected, "status": "failed"}


def _announce(config: Path, model: Path, version: str) -> None:
    entry = {"model_path": str(model), "model_update_time": version}
    write_json(config, {"model_config": entry})


def _wait_until_seen(directory: Path, number: str, process: subprocess.Popen[str]) -> None:
    """Wait until the worker has predicted `number`."""
    deadline = time.monotonic() + LIMIT_SECONDS
    seen = directory / "seen"
    while not seen.exists() or seen.read_text(encoding="utf-8") != number:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"the worker never predicted {number}"
        time.sleep(0.02)
