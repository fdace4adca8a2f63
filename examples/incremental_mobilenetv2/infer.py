"""Inference worker: answers each picture that the camera drops, and keeps the hard ones.

Pictures are taken from INCOMING_URL in the order of their names; a camera writes under a name that
begins with a dot and renames, so that none is read half written. One line of JSON a picture goes
to RESULT_SAVED_URL/results.jsonl; hard examples move to HE_SAVED_URL for a person to label, at
most HE_QUOTA_BYTES of them and none twice; the others are deleted, and one that cannot be read
moves to RESULT_SAVED_URL/broken.
"""

import json
import signal
import threading
import time
from pathlib import Path
from typing import Any

from job import build_estimator, setting
from sedna.common.config import BaseConfig
from sedna.core.incremental_learning import IncrementalLearning

import sedna_tinyms  # noqa: F401 - puts ONNX among Sedna's backends
from sedna_tinyms.errors import DatasetError
from sedna_tinyms.heartbeat import beat
from sedna_tinyms.learning.hard_examples import HardExampleStore, Kept
from sedna_tinyms.learning.mining import Margin

WORTH = Margin()
"""What a label is worth: the more, the closer the two best classes are."""


def mounted(name: str) -> Path:
    """Return the directory that a setting names by its host path, where the worker sees it."""
    directory = Path(f"{BaseConfig.data_path_prefix}{setting(name)}")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def answer(job: IncrementalLearning, picture: Path, store: HardExampleStore) -> dict[str, Any]:
    """Return what the model in service says of a picture, or why it cannot; keep a hard one."""
    try:
        prediction, _, hard = job.inference(str(picture))
    except DatasetError as error:
        return {"error": str(error)}
    if hard:
        hard = store.offer(picture, WORTH.score(prediction), prediction.embedding) is Kept.KEPT
    return {
        "class": prediction.class_name,
        "score": prediction.score,
        "hard": hard,
        "version": prediction.version,
    }


def main() -> None:
    """Answer pictures until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    incoming, results = mounted("INCOMING_URL"), mounted("RESULT_SAVED_URL")
    store = HardExampleStore(mounted("HE_SAVED_URL"), int(setting("HE_QUOTA_BYTES", "1000000000")))
    (results / "broken").mkdir(exist_ok=True)
    job = IncrementalLearning(estimator=build_estimator())

    with (results / "results.jsonl").open("a", buffering=1, encoding="utf-8") as lines:
        while not stop.is_set():
            beat()
            waiting = sorted(incoming.glob("[!.]*"))
            for picture in waiting:
                beat()
                said = answer(job, picture, store)
                entry = {"picture": picture.name, "time": time.time(), **said}
                lines.write(json.dumps(entry) + "\n")
                if "error" in said:
                    picture.rename(results / "broken" / picture.name)
                elif not said["hard"]:
                    picture.unlink()
                if stop.is_set():
                    break
            if not waiting:
                stop.wait(0.1)


if __name__ == "__main__":
    main()
