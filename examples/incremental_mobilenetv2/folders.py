"""Reads folders of pictures: what is in them, of which class, domain and split."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sedna_tinyms.errors import DatasetError, Problems, did_you_mean

__all__ = ["Picture", "read_pictures"]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
SPLITS = {"train": False, "val": True, "valid": True, "test": True}
"""Names of splits, and whether their pictures are held out."""
HELD_OUT_EVERY = 5
"""Where nothing says what to hold out, every fifth picture of a class is."""
COLUMNS = ("file", "class", "domain", "split")


class Picture(NamedTuple):
    """One picture of a folder."""

    path: Path
    class_name: str
    domain: str
    held_out: bool


def read_pictures(folder: Path, domains: Sequence[str] | None = None) -> list[Picture]:
    """List the pictures of a folder, in the order of their paths.

    Parameters
    ----------
    folder : Path
        With ``labels.csv`` (columns file, class, and optionally domain and split), with
        ``train/<class>`` and ``val/<class>`` or ``test/<class>``, or with ``<class>`` alone.
        Without a split, every fifth picture of a class and domain is held out.
    domains : sequence of str, optional
        The domains wanted, in the order in which they are to be learnt; all that there are, in
        the order in which labels.csv names them, by default.

    Raises
    ------
    DatasetError
        With all that is wrong: the folder is missing or empty, a column or a file is missing, a
        split or a domain is unknown, a class has no pictures to learn from or none held out.
    """
    if not folder.is_dir():
        raise DatasetError(
            f"the image folder {folder} does not exist, or is no directory",
            code="not-a-directory",
            path=folder,
        )
    table = folder / "labels.csv"
    pictures = _from_table(table) if table.is_file() else _from_folders(folder)
    if not pictures:
        raise DatasetError(
            f"the image folder {folder} holds no pictures ({', '.join(sorted(SUFFIXES))}); it must "
            "have a directory a class, or train/ and val/ with these, or a labels.csv",
            code="empty",
            path=folder,
        )
    known = list(dict.fromkeys(picture.domain for picture in pictures))
    problems = Problems()
    for name in domains or ():
        if name not in known:
            problems.add(
                f"domain {name!r}{did_you_mean(name, known)}: it has {', '.join(known)}",
                code="unknown-name",
                name=name,
                valid=known,
            )
    problems.raise_as(DatasetError, f"{folder} lacks domains")
    wanted = list(domains or known)
    chosen = sorted(
        (p for p in pictures if p.domain in wanted), key=lambda p: wanted.index(p.domain)
    )
    _check_classes(folder, chosen)
    return chosen


def _from_table(table: Path) -> list[Picture]:
    problems = Problems()
    with table.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        found = rows.fieldnames or []
        for column in ("file", "class"):
            if column not in found:
                hint = f"; its columns are {', '.join(found)}{did_you_mean(column, found)}"
                problems.add(
                    f"{table}:1: no column {column!r}{hint}",
                    code="missing-key",
                    path=table,
                    line=1,
                    name=column,
                )
        problems.raise_as(DatasetError, "the table cannot be used")
        pictures = []
        for row in rows:
            where, place = f"{table}:{rows.line_num}", {"path": table, "line": rows.line_num}
            path = table.parent / (row["file"] or "")
            split = row.get("split") or ""
            if not row["file"] or not path.is_file():
                text = f"{where}: the picture {path} does not exist"
                problems.add(text, code="missing-file", **place)
            elif not row["class"]:
                problems.add(f"{where}: {row['file']} has no class", code="missing-label", **place)
            elif split and split not in SPLITS:
                text = f"{where}: unknown split {split!r}{did_you_mean(split, SPLITS)}"
                problems.add(text, code="unknown-name", value=split, valid=tuple(SPLITS), **place)
            else:
                domain = row.get("domain") or "all"
                pictures.append((path, _word(row["class"]), _word(domain), split))
    problems.raise_as(DatasetError, "the table has faulty rows")
    return list(_with_held_out(pictures))


def _from_folders(folder: Path) -> list[Picture]:
    splits = [d.name for d in sorted(folder.iterdir()) if d.is_dir() and d.name in SPLITS]
    pictures = [
        (path, _word(directory.name), "all", split)
        for split in splits or [""]
        for directory in sorted((folder / split).iterdir())
        if directory.is_dir() and not directory.name.startswith(".")
        for path in sorted(directory.iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    return list(_with_held_out(pictures))


def _with_held_out(pictures: list[tuple[Path, str, str, str]]) -> Iterator[Picture]:
    """Say of each picture whether it is held out; its split decides where it has one."""
    seen: dict[tuple[str, str], int] = {}
    for path, class_name, domain, split in sorted(pictures):
        count = seen[class_name, domain] = seen.get((class_name, domain), 0) + 1
        held_out = SPLITS[split] if split else count % HELD_OUT_EVERY == 0
        yield Picture(path, class_name, domain, held_out)


def _check_classes(folder: Path, pictures: list[Picture]) -> None:
    problems = Problems()
    for domain in dict.fromkeys(picture.domain for picture in pictures):
        for class_name in sorted({picture.class_name for picture in pictures}):
            for held_out, purpose in ((False, "to learn from"), (True, "to hold out")):
                if not any(
                    p.domain == domain and p.class_name == class_name and p.held_out is held_out
                    for p in pictures
                ):
                    problems.add(
                        f"class {class_name!r} of domain {domain!r} has none {purpose}",
                        code="empty",
                        class_name=class_name,
                        domain=domain,
                    )
    if len({picture.class_name for picture in pictures}) < 2:
        problems.add("there is one class only; nothing can be told apart", code="wrong-length")
    problems.raise_as(DatasetError, f"{folder} has too few pictures")


def _word(name: str) -> str:
    """Return a name without white space, which ends the path in a line of the dataset."""
    return "_".join(name.replace(",", " ").split())
