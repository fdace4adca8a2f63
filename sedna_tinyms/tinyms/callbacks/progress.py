"""How far a training is, for people: a line an epoch, or a live bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from sedna_tinyms.tinyms.callbacks.base import EpochCallback
from sedna_tinyms.tinyms.callbacks.measurements import evaluation
from sedna_tinyms.tinyms.callbacks.monitors import write_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["ProgressBar", "ProgressMonitor"]


class ProgressMonitor(EpochCallback):
    """Writes one line an epoch: ``epoch 2/5  loss 0.412  134 images/s  11 s left``.

    What an evaluation measured stands behind the loss: ``eval_loss 0.391  accuracy 0.870``.

    Parameters
    ----------
    write : callable
        Takes a line; standard output by default.
    """

    def __init__(self, write: Callable[[str], None] = write_line, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.write = write
        self._train_start = 0.0
        self._epochs_begun = 0

    def on_train_begin(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Start the clock."""
        self._train_start = time.perf_counter()
        self._epochs_begun = 0

    def on_train_epoch_begin(self, run_context: Any, **kwargs: Any) -> None:
        """Count the epoch."""
        super().on_train_epoch_begin(run_context, **kwargs)
        self._epochs_begun += 1

    def on_train_epoch_end(self, run_context: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Write the epoch's line."""
        progress = run_context.original_args()
        seconds_each = (time.perf_counter() - self._train_start) / self._epochs_begun
        left = seconds_each * (progress.epoch_num - self._epochs_begun)
        measured = {"loss": np.mean(self.losses or [np.nan]), **evaluation(progress)}
        values = "  ".join(f"{name} {value:.3f}" for name, value in measured.items())
        self.write(f"{self.title(progress)}  {values}  {self.speed(progress)}  {left:.0f} s left")

    def title(self, progress: Any) -> str:
        """Return which epoch this is, of how many; a resumed training starts above 1."""
        last = progress.cur_epoch_num + progress.epoch_num - self._epochs_begun
        return f"epoch {progress.cur_epoch_num}/{last}"

    def speed(self, progress: Any) -> str:
        """Return how many images a second the epoch trained on so far."""
        images = len(self.losses) * progress.train_dataset.get_batch_size()
        return f"{images / max(self.epoch_seconds, 1e-9):.0f} images/s"


class ProgressBar(ProgressMonitor):
    """Shows a live bar over the steps of the epoch, and leaves `ProgressMonitor`'s lines behind.

    Where the output is no terminal, only the lines are written.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to draw; standard output by default.
    """

    def __init__(self, console: Console | None = None, **kwargs: Any) -> None:
        from rich.console import Console

        super().__init__(self._print, **kwargs)
        self.console = console or Console()
        self._bar: Progress | None = None

    def on_train_epoch_begin(self, run_context: Any, **kwargs: Any) -> None:
        """Start the epoch's bar."""
        super().on_train_epoch_begin(run_context, **kwargs)
        if self.console.is_terminal:
            progress = run_context.original_args()
            self._bar = self._new_bar()
            self._bar.add_task(self.title(progress), total=progress.batch_num, measured="")
            self._bar.start()

    def on_train_step_end(self, run_context: Any, **kwargs: Any) -> None:
        """Move the bar."""
        super().on_train_step_end(run_context, **kwargs)
        if self._bar is not None:
            measured = f"loss {np.mean(self.losses):.3f}  {self.speed(run_context.original_args())}"
            self._bar.update(self._bar.task_ids[0], advance=1, measured=measured)

    def on_train_epoch_end(self, run_context: Any, **kwargs: Any) -> None:
        """Replace the bar by the epoch's line."""
        self._remove_bar()
        super().on_train_epoch_end(run_context, **kwargs)

    def __exit__(self, *error: object) -> None:
        """Remove the bar of a training that failed; MindSpore leaves after evaluations too."""
        if error[0] is not None:
            self._remove_bar()

    def _new_bar(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[measured]}"),
            TimeLeft(),
        )
        return Progress(*columns, console=self.console, transient=True)

    def _remove_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)
