"""Shows a job as it runs: a live view on a terminal, a line an event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from sedna_tinyms.jobs.events import (
    CanaryEnded,
    Decided,
    Event,
    JobStarted,
    JobStopped,
    Noted,
    RolledBack,
    RoundFinished,
    RoundStarted,
    SamplesArrived,
    WorkerFinished,
    WorkerStarted,
)
from sedna_tinyms.jobs.records import RoundRecord
from sedna_tinyms.jobs.workers.worker import last_lines

if TYPE_CHECKING:  # rich takes a tenth of a second to import, and plain lines do without it
    from rich.console import Group, RenderableType

__all__ = ["LiveView", "figures_in_words", "rounds_table", "show_progress"]

DOING = {"train": "training", "eval": "evaluating", "canary": "trying the new model out"}
FIGURES = {
    "accuracy": "accuracy",
    "forgetting": "forgetting",
    "bwt": "backward transfer",
    "fwt": "forward transfer",
}
HEADINGS = ("round", "samples", "train", "eval", "deploy", "outcome")
REASON_INDENT = len("round  ")
ROUNDS_SHOWN = 6
"""In the live view: each takes two lines or three, and a terminal has 24."""
STYLES = {
    "deployed": "green",
    "deployed, rolled back": "red",
    "interrupted": "yellow",
    "not proven": "yellow",
    "quarantined": "yellow",
    "refused": "yellow",
    "rejected": "red",
    "failed": "red",
}


@contextmanager
def show_progress(stream: TextIO, live: bool | None = None) -> Iterator[Callable[[Event], None]]:
    """Yield what to hand to a `JobRunner` as ``on_event``.

    Parameters
    ----------
    stream : text stream
        Where to write.
    live : bool, optional
        Whether to redraw; by default if `stream` is a terminal.
    """
    if not (stream.isatty() if live is None else live):
        yield _PlainLines(stream).show
        return
    from rich.console import Console
    from rich.live import Live

    view = LiveView()
    console = Console(file=stream, highlight=False)
    with Live(view, console=console, refresh_per_second=4, transient=False) as display:

        def show(event: Event) -> None:
            view.take(event)
            if isinstance(event, Noted | RolledBack) or _is_failure(event):
                display.console.print(str(event), style="yellow", markup=False)

        yield show


class _PlainLines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Event) -> None:
        self._stream.write(f"{time.strftime('%H:%M:%S')} {event}\n")
        self._stream.flush()


def _is_failure(event: Event) -> bool:
    return isinstance(event, RoundFinished) and event.record.outcome == "failed"


class LiveView:
    """A table of the rounds, and what goes on now.

    `take` runs on the runner's thread and the drawing on another: each fact is replaced in one
    assignment.
    """

    def __init__(self) -> None:
        self._title = ""
        self._records: list[RoundRecord] = []
        self._inference = "no inference worker yet"
        self._now = "starting"
        self._since = time.monotonic()
        self._worker: WorkerStarted | None = None

    def take(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case JobStarted():
                self._title = f"{event.namespace}/{event.job}"
                self._do("waiting for samples")
            case SamplesArrived() if self._worker is None:
                self._do(f"waiting for samples: {event.trigger}")
            case WorkerStarted() | WorkerFinished():
                self._take_worker(event)
            case RoundFinished():
                self._records = [*self._records, event.record]
                self._do("waiting for samples")
            case RoundStarted() | Decided() | CanaryEnded() | JobStopped():
                self._do(str(event))

    def _take_worker(self, event: WorkerStarted | WorkerFinished) -> None:
        if event.kind == "inference":
            self._inference = str(event)
        elif isinstance(event, WorkerStarted):
            self._worker = event
            self._do(f"round {event.round}: {DOING[event.kind]}")
        else:
            self._worker = None

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        seconds = time.monotonic() - self._since
        lines = [Text(f"{self._now}  ({seconds:.0f} s)", style="bold")]
        worker = self._worker
        lines += (
            [Text(f"  {line}", style="dim") for line in last_lines(worker.log, 1)] if worker else []
        )
        lines.append(Text(self._inference, style="dim"))
        return Group(rounds_table(self._title, self._records[-ROUNDS_SHOWN:]), *lines)

    def _do(self, what: str) -> None:
        self._now, self._since = what, time.monotonic()


def rounds_table(title: str, records: Sequence[RoundRecord]) -> Group:
    """Return a table of rounds to print with rich: what each cost and brought, and below it why."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    rows = [HEADINGS, *map(_cells, records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    heading, *lines = [Text("  ".join(map(str.ljust, row, widths)).rstrip()) for row in rows]
    heading.stylize("bold")
    parts: list[RenderableType] = [Text(title), heading]
    for record, line in zip(records, lines, strict=True):
        line.stylize(STYLES.get(record.verdict, ""), -len(record.verdict))
        parts.append(line)
        if why := (record.rolled_back or record.reason).partition("\n")[0]:
            parts.append(Padding.indent(Text(why), REASON_INDENT))
    return Group(*parts)


def _cells(record: RoundRecord) -> tuple[str, ...]:
    return (
        f"{record.round:>{len(HEADINGS[0])}}",
        f"{record.train_samples}+{record.eval_samples}",
        *(str(record.stages.get(stage, "-")) for stage in ("train", "eval", "deploy")),
        record.verdict,
    )


def figures_in_words(figures: Mapping[str, float | None]) -> str:
    """Say the figures in one line; empty if there are none.

    Examples
    --------
    >>> figures_in_words({"accuracy": 0.9, "forgetting": 0.012, "bwt": -0.012, "fwt": None})
    'accuracy 0.900, forgetting 0.012, backward transfer -0.012, forward transfer not measured'
    """
    return ", ".join(
        f"{words} {'not measured' if figures[name] is None else format(figures[name], '.3f')}"
        for name, words in FIGURES.items()
        if name in figures
    )
