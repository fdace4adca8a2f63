"""Lay out everything that the job needs below a root directory.

``prepare.py --root DIR`` draws the demo's pictures. ``prepare.py --root DIR --images FOLDER`` takes
real ones: ``FOLDER/<class>/*``, ``FOLDER/{train,val,test}/<class>/*``, or a table
``FOLDER/labels.csv`` with the columns file, class and optionally domain and split. Below the root::

    job.yaml                          the job, with the classes and settings of these pictures
    data/workshop/samples.txt         what is there when the job starts: the first domain
    data/workshop/pictures/
    models/{initial,deploy}/          the model to start from, and to serve until there is a better
    arrivals/2-<domain>.txt ...       lines for samples.txt, one later domain each
    held_out/<domain>/<class>/        pictures that no round sees: what the report measures with
    stock/, truth.csv                 (drawn) what the camera will see, and what it really is
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from folders import Picture, read_pictures
from parts import CLASS_NAMES, height_field
from scenes import CANVAS, DAY, NIGHT, Condition, photograph

from sedna_tinyms.artifact.files import write_json, write_text
from sedna_tinyms.errors import SednaTinyMSError, StorageError, did_you_mean

HERE = Path(__file__).resolve().parent
DATASET = Path("data/workshop")
BACKBONE = HERE / "backbone.npz"
PREPARED = "prepared.json"

REAL = {
    "INPUT_SHAPE": "224",
    "WIDTH": "1.0",
    "STRATEGY": "latent",
    "EPOCHS": "10",
    "LEARNING_RATE": "",  # the strategy's own
    "REPLAY_BYTES": "60000000",  # 3,800 activations, of 16 kB each
}
"""Settings for real pictures, which begin from ImageNet's weights."""

PARTS = ("trainSpec", "evalSpec", "deploySpec")
UNSET = ("ENGINE", "HE_QUOTA_BYTES", "QUANTIZE")
"""Settings that the workers read beside those in job.yaml."""


class Drawn(NamedTuple):
    """A group of pictures to draw."""

    place: str
    condition: Condition
    pictures: int


DRAWN = (
    Drawn(f"{DATASET}/pictures", DAY, 288),
    Drawn("held_out", DAY, 180),
    Drawn("held_out", NIGHT, 180),
    Drawn("stock/shift", DAY, 48),
    Drawn("stock/shift", NIGHT, 240),
    Drawn("stock/later", NIGHT, 180),
    Drawn("stock/mislabelled", DAY, 60),
    Drawn("stock/mislabelled", NIGHT, 60),
)


def main(argv: list[str] | None = None) -> int:
    """Prepare the root that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("demo-run"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replace", action="store_true", help="an earlier run below the root")
    parser.add_argument(
        "--backend", choices=("tinyms", "mindspore"), default="tinyms", help="what trains"
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_setting,
        help="a setting of the workers (see job.yaml), such as STRATEGY=head; repeatable",
    )
    real = parser.add_argument_group("real pictures")
    real.add_argument("--images", type=Path, help="a folder of pictures instead of drawn ones")
    real.add_argument("--domains", help="which of labels.csv, in order: photo,art_painting")
    real.add_argument("--weights", type=Path, help="where MobileNetV2 starts from (.npz, .ckpt)")
    arguments = parser.parse_args(argv)
    try:
        prepare(arguments)
    except SednaTinyMSError as error:
        print(f"prepare.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def prepare(arguments: argparse.Namespace) -> None:
    """Lay everything out, as the command line says."""
    root: Path = arguments.root
    _clear(root, replace=arguments.replace)
    settings = {"SEED": str(arguments.seed)}
    if arguments.images is None:
        draw(root, arguments.seed)
        domains, smallest, weights = [DAY.name, NIGHT.name], None, BACKBONE
    else:
        wanted = arguments.domains.split(",") if arguments.domains else None
        pictures = read_pictures(arguments.images, wanted)
        domains = list(dict.fromkeys(picture.domain for picture in pictures))
        smallest, weights = copy_pictures(root, pictures, arguments.seed), arguments.weights
        classes = sorted({picture.class_name for picture in pictures})
        settings |= REAL | {"CLASS_NAMES": ",".join(classes)}
    settings |= dict(arguments.set)
    settings = write_job(root / "job.yaml", settings, smallest, arguments.backend.upper())
    (root / "output/workshop").mkdir(parents=True)
    write_models(root, settings, weights)
    write_json(root / PREPARED, {"domains": domains, "seed": arguments.seed})


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    known = _known_settings()
    if name.upper() not in known:
        raise argparse.ArgumentTypeError(
            f"no worker has a setting {name!r:.80}{did_you_mean(name.upper(), known)}; "
            f"one of {', '.join(known)}"
        )
    return name.upper(), value


def _known_settings() -> list[str]:
    """Return the names of what the workers read: those in job.yaml, and those left out there."""
    *_, job = yaml.safe_load_all((HERE / "job.yaml").read_text(encoding="utf-8"))
    named = (entry["name"] for part in PARTS for entry in _container(job["spec"], part)["env"])
    return sorted({*named, *REAL, *UNSET})


def _container(spec: dict[str, Any], part: str) -> dict[str, Any]:
    container: dict[str, Any] = spec[part]["template"]["spec"]["containers"][0]
    return container


def _clear(root: Path, *, replace: bool) -> None:
    """Make sure that nothing is below the root; remove nothing but an earlier run."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        empty = not any(root.iterdir())
    except FileExistsError:
        raise StorageError(
            f"{root} is a file; name a directory as --root", code="not-a-directory", path=root
        ) from None
    except OSError as error:
        raise StorageError(
            f"{str(root)!r:.120} can be no directory: {error.strerror}; name another --root",
            code="cannot-write",
            path=root,
        ) from error
    if empty:
        return
    if not replace or not (root / PREPARED).exists():
        raise StorageError(
            f"{root} is not empty; name another --root"
            + (", or --replace the earlier run in it" if (root / PREPARED).exists() else ""),
            code="already-exists",
            path=root,
        )
    shutil.rmtree(root)


def draw(root: Path, seed: int) -> None:
    """Draw all pictures of the demo, and write down what they show.

    Each picture has a generator of its own, made from the seed and the picture's place, so that
    neither the number of processes nor a changed count of another group alters it.
    """
    tasks = [
        (root, group, [seed, number, index])
        for number, group in enumerate(DRAWN)
        for index in range(group.pictures)
    ]
    with ProcessPoolExecutor() as pool:
        rows = list(pool.map(_draw_one, tasks, chunksize=16))
    with (root / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["picture", "class", "domain"])
        table.writerows(row[1:] for row in rows)
    samples = DATASET / "pictures"
    lines = [f"pictures/{row[1]} {row[2]}\n" for row in rows if row[0] == str(samples)]
    write_text(root / DATASET / "samples.txt", "".join(lines))


def _draw_one(task: tuple[Path, Drawn, list[int]]) -> tuple[str, str, str, str]:
    root, group, key = task
    rng = np.random.default_rng(key)
    class_name = CLASS_NAMES[key[2] % len(CLASS_NAMES)]
    directory = root / group.place
    if group.place == "held_out":
        directory = directory / group.condition.name / class_name
    directory.mkdir(parents=True, exist_ok=True)
    # A serial number that tells nothing; groups of one place come mixed.
    name = f"{key[2]:04d}-{rng.integers(16**4):04x}.jpg"
    picture = photograph(height_field(class_name, CANVAS, rng), group.condition, rng)
    picture.save(directory / name, quality=92)
    return group.place, name, class_name, group.condition.name


def copy_pictures(root: Path, pictures: Iterable[Picture], seed: int) -> int:
    """Copy real pictures below the root; the first domain is there at once, others arrive later.

    Returns the number of lines of the smallest arrival.
    """
    rng = np.random.default_rng(seed)
    by_domain: dict[str, list[str]] = {}
    for number, picture in enumerate(pictures):
        name = f"{number:05d}{picture.path.suffix.lower()}"
        if picture.held_out:
            target = root / "held_out" / picture.domain / picture.class_name / name
        else:
            target = root / DATASET / "pictures" / name
            lines = by_domain.setdefault(picture.domain, [])
            lines.append(f"pictures/{name} {picture.class_name}\n")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture.path, target)
    for number, (domain, lines) in enumerate(by_domain.items(), 1):
        rng.shuffle(lines)  # Sedna splits by position
        arrival = root / "arrivals" / f"{number}-{domain}.txt"
        first = root / DATASET / "samples.txt"
        write_text(first if number == 1 else arrival, "".join(lines))
    return min(len(lines) for lines in by_domain.values())


def write_job(
    path: Path, settings: Mapping[str, str], smallest: int | None, training_backend: str = "TINYMS"
) -> dict[str, str]:
    """Write our job.yaml with other settings for its workers, and return all of a train worker's.

    The scripts are still found beside our own job.yaml. The train trigger is set so that an
    arrival of the `smallest` size fires it.
    """
    documents = list(yaml.safe_load_all((HERE / "job.yaml").read_text(encoding="utf-8")))
    spec = documents[-1]["spec"]
    if smallest is not None:
        share = int(spec["dataset"]["trainProb"] * smallest)
        spec["trainSpec"]["trigger"]["condition"]["threshold"] = share
    found: list[dict[str, str]] = []
    for part in PARTS:
        container = _container(spec, part)
        container["args"] = [str(HERE / container["args"][0])]
        own = {entry["name"]: entry["value"] for entry in container["env"]}
        if part == "trainSpec":
            own["BACKEND_TYPE"] = training_backend
        found.append(own | dict(settings))
        container["env"] = [{"name": name, "value": value} for name, value in found[-1].items()]
    write_text(path, yaml.safe_dump_all(documents, sort_keys=False))
    return found[0]


def write_models(root: Path, settings: Mapping[str, str], weights: Path | None) -> None:
    """Build the network for the job's classes; it is the initial and the first served model."""
    from estimators import TinyMSMobileNetV2  # brings MindSpore, after the pictures were drawn

    estimator = TinyMSMobileNetV2(
        class_names=settings["CLASS_NAMES"].split(","),
        input_size=int(settings["INPUT_SHAPE"]),
        width=float(settings["WIDTH"]),
        initial_weights=weights,
        seed=int(settings["SEED"]),
    )
    for name in ("initial", "deploy"):
        (root / "models" / name).mkdir(parents=True)
        estimator.save(root / "models" / name / f"{name}.ckpt")


if __name__ == "__main__":
    sys.exit(main())
