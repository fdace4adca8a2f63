"""Reads the pictures that a benchmark learns: domain by domain, for training and for testing."""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from sedna_tinyms.errors import DatasetError, Problems, UsageError, did_you_mean

__all__ = [
    "Domain",
    "add_options",
    "class_names",
    "evenly",
    "first_domain",
    "labels_of",
    "read_domains",
]

Sample = tuple[str, str]
"""A picture's path, and its class."""

PACS = ("photo", "art_painting", "cartoon", "sketch")
"""Order in which the domains of PACS arrive."""

TEST_SHARE = 0.3
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


class Domain(NamedTuple):
    """Pictures of one kind.

    Attributes
    ----------
    name : str
        Their kind.
    train, test : list of (str, str)
        Path and class of each.
    """

    name: str
    train: list[Sample]
    test: list[Sample]


class Entry(NamedTuple):
    """One picture as the data set describes it."""

    file: str
    domain: str
    class_name: str
    split: str


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare what `read_domains` takes."""
    parser.add_argument("--domains", metavar="A,B", help="these domains, in this order")


def read_domains(
    directory: Path | None, names: str | None = None, images: int | None = None
) -> list[Domain]:
    """Read a data set.

    Parameters
    ----------
    directory : path
        It holds ``labels.csv`` with the columns file, class, split ("train", anything else tests)
        and domain (without it, all is one); or ``<domain>/<class>/<picture>``, of which the same
        30 % of every class are for testing each time.
    names : str, optional
        The domains to take, in this order, with commas between; all of them by default, those of
        PACS as its literature does.
    images : int, optional
        Take so many pictures of a domain for training, evenly from the classes.

    Raises
    ------
    UsageError
        If no directory or an unknown domain is named.
    DatasetError
        If there is nothing to read, or a line of ``labels.csv`` is incomplete.
    """
    if directory is None:
        raise UsageError(
            "--data must name a directory with labels.csv, or with a folder a domain",
            code="missing-value",
        )
    if not directory.is_dir():
        wrong = "is no directory" if directory.exists() else "does not exist"
        raise UsageError(
            f"--data is {directory}, which {wrong}",
            code="not-a-directory",
            path=directory,
        )
    labels = directory / "labels.csv"
    entries = _listed(labels) if labels.is_file() else _found(directory)
    found = list(dict.fromkeys(entry.domain for entry in entries))
    domains = [
        Domain(
            name,
            evenly(_samples(directory, entries, name, training=True), images),
            _samples(directory, entries, name, training=False),
        )
        for name in _chosen(found, names)
    ]
    for domain in domains:
        if not domain.train or not domain.test:
            raise DatasetError(
                f"the domain {domain.name!r} of {directory} has {len(domain.train)} pictures to "
                f"train on and {len(domain.test)} to test with; it needs some of both",
                code="empty",
                path=directory,
                domain=domain.name,
            )
    return domains


def first_domain(options: argparse.Namespace) -> Domain:
    """Return the first of the domains that a command line names."""
    return read_domains(options.data, options.domains, options.images)[0]


def class_names(domains: Iterable[Domain]) -> list[str]:
    """Return the classes of all domains, sorted."""
    return sorted({name for domain in domains for _, name in chain(domain.train, domain.test)})


def labels_of(samples: Sequence[Sample], names: Sequence[str]) -> list[int]:
    """Return the number of each sample's class."""
    return [names.index(name) for _, name in samples]


def evenly(samples: Sequence[Sample], count: int | None) -> list[Sample]:
    """Take `count` samples, as many of each class as there are; all of them for None."""
    by_class: dict[str, list[Sample]] = {}
    for sample in samples:
        by_class.setdefault(sample[1], []).append(sample)
    turns = zip_longest(*(by_class[name] for name in sorted(by_class)))
    return [sample for turn in turns for sample in turn if sample is not None][:count]


def _listed(labels: Path) -> list[Entry]:
    problems = Problems()
    entries = []
    with labels.open(encoding="utf-8-sig", newline="") as lines:
        for number, line in enumerate(csv.DictReader(lines), start=2):
            missing = [name for name in ("file", "class", "split") if not line.get(name)]
            if missing:
                problems.add(
                    f"line {number} has no {' and no '.join(missing)}",
                    code="missing-value",
                    line=number,
                    names=missing,
                )
            else:
                domain = line.get("domain") or "all"
                entries.append(Entry(line["file"], domain, line["class"], line["split"]))
    problems.raise_as(DatasetError, f"{labels} cannot be used")
    if not entries:
        raise DatasetError(f"{labels} lists no pictures", code="empty", path=labels)
    return entries


def _found(directory: Path) -> list[Entry]:
    files = sorted(
        path.relative_to(directory).as_posix()
        for path in directory.glob("*/*/*")
        if path.suffix.lower() in SUFFIXES
    )
    if not files:
        raise DatasetError(
            f"{directory} holds neither labels.csv nor pictures in <domain>/<class> folders",
            code="empty",
            path=directory,
        )
    by_folder: dict[str, list[str]] = {}
    for file in files:
        by_folder.setdefault(file.rpartition("/")[0], []).append(file)
    entries = []
    for folder, members in by_folder.items():
        domain, class_name = folder.split("/")
        drawn = sorted(members, key=lambda file: hashlib.sha256(file.encode()).digest())
        tests = set(drawn[: max(1, round(len(drawn) * TEST_SHARE))])
        splits = ("test" if file in tests else "train" for file in members)
        entries += [
            Entry(file, domain, class_name, split)
            for file, split in zip(members, splits, strict=True)
        ]
    return entries


def _chosen(found: list[str], names: str | None) -> list[str]:
    if names is None:
        return list(PACS) if set(found) == set(PACS) else found
    chosen = [name for part in names.split(",") if (name := part.strip())]
    for name in chosen:
        if name not in found:
            raise UsageError(
                f"--domains has {name!r}{did_you_mean(name, found)}; "
                f"the domains are {', '.join(found)}",
                code="unknown-name",
                name="--domains",
                value=name,
                valid=found,
            )
    return chosen


def _samples(
    directory: Path, entries: Iterable[Entry], domain: str, *, training: bool
) -> list[Sample]:
    return [
        (str(directory / entry.file), entry.class_name)
        for entry in entries
        if entry.domain == domain and (entry.split == "train") == training
    ]
