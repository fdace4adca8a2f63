"""How every command reads its command line, and the values of more than one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sedna_tinyms.errors import did_you_mean

__all__ = ["ArgumentParser", "at_least_one"]


class ArgumentParser(argparse.ArgumentParser):
    """One that names the nearest choice to a word that is none, and takes no empty path.

    An empty word is what an unset variable of a shell leaves, and would be the working directory.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.register("type", Path, _path)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += did_you_mean(str(value), action.choices or ())
            raise


def at_least_one(text: str) -> int:
    """Read a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty word is no path; write . for this directory")
    return Path(text)
