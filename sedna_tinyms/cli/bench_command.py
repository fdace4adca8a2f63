"""``sedna-tinyms bench NAME``: run one of the benchmarks that come with the source."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

import sedna_tinyms
from sedna_tinyms.errors import UsageError

__all__ = ["configure", "run"]

SCRIPTS = {
    "update": ("update.py", "one round of new pictures, against full fine-tuning and the floor"),
    "stream": ("stream.py", "what is learnt and forgotten while domains, then classes, arrive"),
    "scale": ("scale.py", "seconds of a round as earlier pictures grow in number"),
    "edge": ("edge.py", "time, memory and installed size of inference, by engine"),
    "gates": ("gates.py", "which rule deploys: accuracy, harm and false alarms, by arrival"),
    "mining": ("mining.py", "accuracy gained by label, by the way hard examples are chosen"),
    "core": ("core.py", "the TinyMS core against MindSpore as it comes, and PyTorch"),
    "onednn": ("onednn_step.py", "a training step with and without oneDNN's AVX-512"),
    "swaps": ("swaps.py", "models swapped while clients predict: answers lost, mixed; what grows"),
    "soak": ("soak.py", "a job of many rounds and mishaps: what fails, and what grows"),
    "overload": ("overload.py", "the server, asked for twice what it can do"),
    "serving": ("serving_load.py", "requests a second of the server"),
}
SOURCE = Path(sedna_tinyms.__file__).parents[1] / "benchmarks"
"""Where the benchmarks lie in a clone."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [f"  {name:8} {what}" for name, (_, what) in SCRIPTS.items()]
    parser.epilog = "\n".join(
        ["benchmarks:", *names, "", "bench NAME --help tells the options of one."]
    )
    parser.add_argument("name", metavar="NAME", choices=SCRIPTS, help="the benchmark")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="its options")


def run(arguments: argparse.Namespace) -> NoReturn:
    """Become the benchmark's script, which then gets the signals that are meant for it."""
    script = _find(arguments.name)
    os.execv(sys.executable, [sys.executable, str(script), *arguments.arguments])  # noqa: S606


def _find(name: str) -> Path:
    file, _ = SCRIPTS[name]
    places = (SOURCE, Path.cwd() / "benchmarks")
    for place in places:
        if (place / file).is_file() and (place / "harness.py").is_file():
            return place / file
    looked = " and ".join(str(place) for place in places)
    raise UsageError(
        f"the benchmark {name} is not here (looked for {file} in {looked}): benchmarks come with "
        "the source, not with the installed package; clone the repository and run the command "
        "there",
        code="missing-file",
        name=name,
        places=places,
    )
