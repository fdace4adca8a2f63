"""Loggers: what a training measures, as CSV, as JSON lines, or for TensorBoard.

Each logs the same plain floats under the same names: ``loss``, ``learning_rate``, ``seconds`` and
whatever an evaluation measured (``eval_loss``, ``accuracy``). What was not measured is not logged;
a value that was measured but is no number (a loss that diverged) is ``nan`` in CSV and for
TensorBoard, and ``null`` in JSON, which has no word for it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sedna_tinyms.artifact.files import write_text
from sedna_tinyms.errors import ConfigurationError, did_you_mean, extra
from sedna_tinyms.tinyms.callbacks.base import EpochCallback
from sedna_tinyms.tinyms.callbacks.lines import append_line, drop_cut_line
from sedna_tinyms.tinyms.callbacks.measurements import evaluation, learning_rate

__all__ = ["CSVLogger", "JSONLLogger", "TensorBoardLogger"]

EVERY = ("epoch", "step")
Row = dict[str, float]


class _Logger(EpochCallback):
    """Logs a row an epoch, or a row a step and one for each evaluation."""

    def __init__(self, every: Literal["epoch", "step"] = "epoch", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if every not in EVERY:
            raise ConfigurationError(
                f"every is {every!r}{did_you_mean(every, EVERY)}; it must be 'epoch' or 'step'",
                code="unknown-name",
                name="every",
                value=every,
                valid=EVERY,
            )
        self.every = every

    def on_train_step_end(self, run_context: Any, **kwargs: Any) -> None:
        """Log the step if each is asked for."""
        super().on_train_step_end(run_context, **kwargs)
        if self.every == "step":
            self._log_training(run_context.original_args(), self.losses[-1], self.step_seconds)

    def on_train_epoch_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Log the epoch, or its evaluation if the steps have been logged."""
        progress = run_context.original_args()
        measured = evaluation(progress)
        if self.every == "epoch" and self.losses:
            loss = float(np.mean(self.losses))
            self._log_training(progress, loss, self.epoch_seconds, measured)
        elif measured:
            self.log(_place(progress) | measured)

    def log(self, row: Row) -> None:
        """Write a row: ``epoch`` and ``step``, both counted from 1, and what was measured."""
        raise NotImplementedError

    def _log_training(
        self, progress: Any, loss: float, seconds: float, measured: Row | None = None
    ) -> None:
        row = _place(progress) | {"loss": loss, "seconds": round(seconds, 6)}
        rate = learning_rate(progress)
        if rate is not None:
            row["learning_rate"] = rate
        self.log(row | (measured or {}))


def _place(progress: Any) -> Row:
    return {"epoch": progress.cur_epoch_num, "step": progress.cur_step_num}


class _FileLogger(_Logger):
    """Appends to a file of its own kind; a training that is started again goes on in it."""

    BEGINNING: str

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: Literal["epoch", "step"] = "epoch",
        **kwargs: Any,
    ) -> None:
        super().__init__(every, **kwargs)
        self.path = Path(path)

    def on_train_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Check and mend the file, if there is one."""
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8", errors="replace") as stream:
            beginning = stream.read(len(self.BEGINNING))
        if not self.BEGINNING.startswith(beginning):
            raise ConfigurationError(
                f"{self.path} exists, and is no log of {type(self).__name__} "
                f"(it begins with {beginning!r}); name another file",
                code="conflict",
                path=str(self.path),
            )
        drop_cut_line(self.path)


class CSVLogger(_FileLogger):
    """Writes a CSV file: a header, then a row an epoch or a row a step.

    A cell is empty where nothing was measured. A value that is measured for the first time later
    on, as an evaluation every few epochs is, gets a column then; the file is replaced whole.

    Parameters
    ----------
    path : path
        The file; it is continued if it exists.
    every : {"epoch", "step"}
        What has a row; with ``step``, an evaluation has one of its own.

    Raises
    ------
    ConfigurationError
        If the file is no log of this kind.
    StorageError
        If it cannot be written.
    """

    BEGINNING = "epoch,step,"

    def log(self, row: Row) -> None:
        """Append the row."""
        columns = self._columns()
        wider = columns + [name for name in row if name not in columns]
        if wider != columns:
            rows = self._rows()
            write_text(self.path, _csv([wider, *([old.get(n) for n in wider] for old in rows)]))
        append_line(self.path, _csv([[row.get(name) for name in wider]]).rstrip("\n"))

    def _columns(self) -> list[str]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as stream:
            return next(csv.reader(stream), [])

    def _rows(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


class JSONLLogger(_FileLogger):
    """Writes a JSON object a line: an epoch or a step each, without what was not measured.

    Parameters
    ----------
    path : path
        The file; it is continued if it exists.
    every : {"epoch", "step"}
        What has a line; with ``step``, an evaluation has one of its own.

    Raises
    ------
    ConfigurationError
        If the file is no log of this kind.
    StorageError
        If it cannot be written.
    """

    BEGINNING = '{"epoch": '

    def log(self, row: Row) -> None:
        """Append the row."""
        plain = {name: value if math.isfinite(value) else None for name, value in row.items()}
        append_line(self.path, json.dumps(plain, allow_nan=False))


class TensorBoardLogger(_Logger):
    """Writes scalars that TensorBoard draws over the steps.

    Needs tensorboardX, which the extra ``tensorboard`` brings.

    Parameters
    ----------
    log_dir : path
        The run's directory; each training adds a file to it.
    every : {"epoch", "step"}
        How often loss, learning rate and seconds are logged.

    Raises
    ------
    MissingExtraError
        If tensorboardX is not installed.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        every: Literal["epoch", "step"] = "epoch",
        **kwargs: Any,
    ) -> None:
        super().__init__(every, **kwargs)
        with extra("tensorboard", "TensorBoardLogger"):
            from tensorboardX import SummaryWriter
        self.log_dir = Path(log_dir)
        self._new_writer = SummaryWriter
        self._writer: Any = None

    def on_train_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Open a new file in the directory."""
        self._writer = self._new_writer(str(self.log_dir))

    def on_train_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Close the file."""
        self._close()

    def __exit__(self, *error: object) -> None:
        """Close the file of a training that failed; MindSpore leaves after evaluations too."""
        if error[0] is not None:
            self._close()

    def log(self, row: Row) -> None:
        """Add a scalar for each measured value."""
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, row["step"])

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
