"""``sedna-tinyms model verify|list|diff|rollback|keys|sign``: a job's model versions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from sedna_tinyms.artifact.signing import make_keys, read_public_key
from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.artifact.version import ModelVersion, is_version, open_version
from sedna_tinyms.cli.arguments import at_least_one
from sedna_tinyms.cli.job_arguments import add_job_arguments
from sedna_tinyms.errors import ModelFileError, SednaTinyMSError, UsageError

__all__ = ["configure", "run"]

STORE = "models"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "DIR is the --root of a run, an output directory, its 'models', or one version; for\n"
        "verify also a single model file.\n"
        "Exit code: 0; 5 if a version is missing or not whole; 13 if a file cannot be written."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    verify = _action(actions, "verify", _verify, "check versions byte for byte; 5 if one is bad")
    _add_directory(verify)
    verify.add_argument("version", nargs="?", type=at_least_one, help="one version (all)")
    verify.add_argument(
        "--public-key", metavar="FILE", type=Path, help="refuse what its owner has not signed"
    )
    verify.add_argument("--architecture", metavar="NAME", help="refuse other networks")
    verify.add_argument("--classes", metavar="A,B,...", help="refuse other classes")

    _add_directory(_action(actions, "list", _list, "show the versions and which is deployed"))

    diff = _action(actions, "diff", _diff, "compare two versions")
    _add_directory(diff)
    diff.add_argument(
        "versions",
        nargs="*",
        metavar="VERSION",
        type=at_least_one,
        help="old and new (the one deployed before, and the deployed one)",
    )

    rollback = _action(actions, "rollback", _rollback, "make an earlier version the deploy model")
    add_job_arguments(rollback, "as for sedna-tinyms run", root_required=True)
    rollback.add_argument(
        "--to", metavar="VERSION", type=at_least_one, help="which (the one deployed before)"
    )

    sign = _action(actions, "sign", _sign, "put a signature into an ONNX file")
    sign.add_argument("file", metavar="MODEL.onnx", type=Path)
    sign.add_argument("key", metavar="PRIVATE.pem", type=Path)

    keys = _action(actions, "keys", _make_keys, "make a pair of keys to sign versions with")
    keys.add_argument("private", metavar="PRIVATE.pem", type=Path)
    keys.add_argument("public", metavar="PUBLIC.pem", type=Path)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked and return the exit code."""
    return int(arguments.do(arguments))


def _action(
    actions: Any, name: str, do: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what, description=what)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(do=do)
    return parser


def _add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", type=Path, help="where the versions lie")


def _verify(arguments: argparse.Namespace) -> int:
    classes = arguments.classes.split(",") if arguments.classes else None
    wanted = {"architecture": arguments.architecture, "class_names": classes}
    if arguments.public_key is not None:
        read_public_key(arguments.public_key)  # lest a model be blamed for what the key is
    checks: dict[str, Callable[[], ModelVersion]] = {}
    if arguments.directory.is_file():
        checks[str(arguments.directory)] = partial(
            _open_file, arguments.directory, arguments.public_key, wanted
        )
    elif arguments.version is None and _is_one_version(arguments.directory):
        checks[str(arguments.directory)] = partial(
            open_version, arguments.directory, public_key=arguments.public_key, **wanted
        )
    else:
        store = _store(arguments.directory, arguments.public_key)
        for number in store.numbers() if arguments.version is None else [arguments.version]:
            checks[f"version {number}"] = partial(store.open, number, **wanted)
        if arguments.version is None and store.deployed() is not None:
            checks["the deployed version"] = store.open_deployed
    found = {name: _checked(check) for name, check in checks.items()}
    bad = [name for name, said in found.items() if not said["whole"]]
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        for name, said in found.items():
            print(f"{name}: {said['error'] or _in_words(said)}")
            for warning in said["warnings"]:
                print(f"  {warning}")
    return ModelFileError.exit_code if bad else 0


def _in_words(said: dict[str, Any]) -> str:
    state = "not checked in full" if said["warnings"] else "whole"
    return f"{state}, signed" if said["signed"] else state


def _open_file(path: Path, public_key: Path | None, wanted: dict[str, Any]) -> ModelVersion:
    """Check a model that is one file, as a controller copies it to the edge."""
    from sedna_tinyms.artifact.manifest import Manifest
    from sedna_tinyms.artifact.signed_file import require_signed_file
    from sedna_tinyms.artifact.version import describe
    from sedna_tinyms.artifact.weights_content import read_content

    if public_key is not None:
        require_signed_file(path, public_key)
    description = describe({path.name: path})
    description.require(str(path), **wanted)
    read_content(path.read_bytes(), str(path))  # to its end: no manifest knows its size
    return ModelVersion(path, description, Manifest(()), "", public_key is not None)


def _checked(check: Callable[[], ModelVersion]) -> dict[str, Any]:
    try:
        version = check()
    except ModelFileError as error:
        said = {"whole": False, "signed": False, "error": str(error), "warnings": []}
        return said | {"code": error.code}
    warnings = list(version.warnings)
    said = {"whole": True, "signed": version.signed, "error": None, "warnings": warnings}
    return said | {"code": None}


def _list(arguments: argparse.Namespace) -> int:
    store = _store(arguments.directory)
    pointer = store.deployed()
    rows = [_row(store, number) for number in store.numbers()]
    for row in rows:
        row["deployed"] = pointer is not None and row["version"] == pointer.version
    if arguments.json:
        print(json.dumps({"directory": str(store.directory), "versions": rows}, indent=2))
    else:
        print(store.directory, *map(_line, rows), sep="\n")
    return 0


def _row(store: ModelStore, number: int) -> dict[str, Any]:
    try:
        version = store.open(number)
    except ModelFileError as error:
        return {"version": number, "error": str(error), "code": error.code}
    said = version.description
    return {
        "version": number,
        "round": said.origin.get("round"),
        "created": said.created,
        "architecture": said.architecture,
        "classes": len(said.class_names or ()),
        "parent": store.parent(version),
        "bytes": version.size,
        "sha256": version.digest,
        "metrics": dict(said.metrics),
        "error": None,
        "code": None,
    }


def _line(row: dict[str, Any]) -> str:
    number = f"{row['version']:>6}{' deployed' if row['deployed'] else ''}"
    if row["error"]:
        return f"{number:16} not whole: see sedna-tinyms model verify"
    words = [
        "found in service" if row["round"] is None else f"round {row['round']}",
        row["created"],
        f"{row['architecture'] or 'unknown network'}, {row['classes'] or '?'} classes",
        f"from {row['parent']}" if row["parent"] else "",
        f"{row['bytes'] / 1e6:.1f} MB",
        *(f"{name} {_short(value)}" for name, value in row["metrics"].items() if _is_one(value)),
    ]
    return f"{number:16} " + "  ".join(word for word in words if word)


def _diff(arguments: argparse.Namespace) -> int:
    from sedna_tinyms.artifact.comparison import compare_versions

    store = _store(arguments.directory)
    old, new = _two_versions(store, arguments.versions)
    found = compare_versions(store.open(old), store.open(new))
    if arguments.json:
        print(json.dumps({"old": old, "new": new} | found, indent=2))
        return 0
    print(f"version {old} -> version {new}")
    for room in ("words", "metrics"):
        for name, values in found[room].items():
            print(f"  {name}: {_short(values['old'])} -> {_short(values['new'])}")
    for change, names in found["classes"].items():
        if names:
            print(f"  classes {change}: {', '.join(names)}")
    for name, file in found["files"].items():
        sizes = f"{file['old_bytes']} -> {file['new_bytes']} bytes"
        print(f"  {name}: {'the same' if file['same'] else sizes}")
    for name, weights in found["weights"].items():
        changed = weights["changed"]
        print(f"  {name}: {weights['same']} parameters the same, {len(changed)} changed")
        for parameter, how in changed.items():
            print(f"    {parameter}: {', '.join(f'{n} {_short(v)}' for n, v in how.items())}")
    return 0


def _two_versions(store: ModelStore, given: list[int]) -> tuple[int, int]:
    if len(given) == 2:
        return given[0], given[1]
    pointer = store.deployed()
    if given or pointer is None or not pointer.before:
        raise UsageError(
            "name two versions, the old one and the new one", code="missing-value", value=given
        )
    return pointer.before[-1], pointer.version


def _rollback(arguments: argparse.Namespace) -> int:
    from sedna_tinyms.jobs.manifest.loading import load_job
    from sedna_tinyms.jobs.rollback import roll_back

    done = roll_back(load_job(arguments.job, arguments.name), arguments.root, arguments.to)
    if arguments.json:
        print(json.dumps(asdict(done)))
        return 0
    print(f"version {done.version} is the deploy model again, in place of {done.replaced}")
    if done.announced:
        print("the inference worker was told, as of any hot update")
    elif done.runner is not None:
        print(f"the runner, process {done.runner}, starts the inference worker anew with it")
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    from sedna_tinyms.artifact.signed_file import sign_file

    sign_file(arguments.file, arguments.key)
    if arguments.json:
        print(json.dumps({"signed": str(arguments.file)}))
    else:
        print(f"{arguments.file} is signed")
    return 0


def _make_keys(arguments: argparse.Namespace) -> int:
    make_keys(arguments.private, arguments.public)
    made = {"private": str(arguments.private.resolve()), "public": str(arguments.public.resolve())}
    if arguments.json:
        print(json.dumps(made))
    else:
        print(f"SEDNA_TINYMS_SIGNING_KEY={made['private']}   where models are trained")
        print(f"SEDNA_TINYMS_PUBLIC_KEY={made['public']}   where they are used")
    return 0


def _is_one_version(directory: Path) -> bool:
    """Tell whether a directory is, or is to be taken as, one model version."""
    return is_version(directory) or (directory.is_dir() and not _stores(directory))


def _store(directory: Path, public_key: Path | None = None) -> ModelStore:
    """Return the one store that a directory is or holds."""
    if not directory.is_dir():
        wrong = "is no directory" if directory.exists() else "does not exist"
        raise UsageError(
            f"{directory} {wrong}; versions lie below the --root of a run",
            code="not-a-directory",
            path=directory,
        )
    stores = _stores(directory)
    if not stores:
        raise UsageError(
            f"{directory} holds no model versions; give the --root of a run, or its outputDir",
            code="empty",
            path=directory,
        )
    if len(stores) > 1:
        raise UsageError(
            f"{directory} holds the model versions of {len(stores)} jobs "
            f"({', '.join(map(str, stores))}): give the output directory of one",
            code="ambiguous",
            path=directory,
            stores=stores,
        )
    return ModelStore(stores[0], public_key=public_key)


def _stores(directory: Path) -> list[Path]:
    for place in (directory, directory / STORE):
        if ModelStore(place).numbers():
            return [place]
    from sedna_tinyms.jobs.status import find_jobs

    try:
        outputs = [job.output / STORE for job in find_jobs(directory)]
    except SednaTinyMSError:
        return []
    return [place for place in outputs if place.is_dir()]


def _is_one(value: Any) -> bool:
    return not isinstance(value, dict | list) or len(value) == 1


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value[:8])) + (" ..." if len(value) > 8 else "")
    return str(value)
