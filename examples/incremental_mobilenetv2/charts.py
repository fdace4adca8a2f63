"""The page's two charts as inline SVG; colours and fonts are the page's own (see `page.CSS`)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from results import IN_SERVICE, MeasuredModel, Results

__all__ = ["accuracy_chart", "timeline_chart"]

WIDTH = 760
LEFT, RIGHT = 60, 130

MARKS = {
    "initial": "not trained",
    "deployed": "deployed",
    "not proven": "not proven",
    "rejected": "rejected",
    "quarantined": "labels kept out",
    "failed": "failed",
}


class Point(NamedTuple):
    """Where a model stands in the chart."""

    x: float
    y: float
    model: MeasuredModel

    @property
    def deployed(self) -> bool:
        """Whether it went into service, or was there from the beginning."""
        return self.model.outcome in IN_SERVICE


class Drawing:
    """Collects SVG elements."""

    def __init__(self, kind: str, height: float, title: str) -> None:
        self._head = (
            f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'role="img" aria-label="{escape(title)}">'
        )
        self._parts: list[str] = []

    def add(self, tag: str, kind: str, text: str = "", **attributes: float | str) -> None:
        """Add an element with a CSS class; numbers get one decimal, `_` becomes `-`."""
        given = "".join(
            f' {name.replace("_", "-")}="{value if isinstance(value, str) else f"{value:.1f}"}"'
            for name, value in attributes.items()
        )
        self._parts.append(f'<{tag} class="{kind}"{given}>{text}</{tag}>')

    def text(self, kind: str, x: float, y: float, text: str, anchor: str = "start") -> None:
        """Add a text."""
        self.add("text", kind, escape(text), x=x, y=y, text_anchor=anchor)

    def path(self, kind: str, points: Sequence[tuple[float, float]]) -> None:
        """Add a line through points."""
        self.add("path", kind, d="M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points))

    def vertical(self, kind: str, x: float, top: float, bottom: float) -> None:
        """Add an upright line."""
        self.add("line", kind, x1=x, x2=x, y1=top, y2=bottom)

    def __str__(self) -> str:
        return self._head + "".join(self._parts) + "</svg>"


def accuracy_chart(results: Results) -> str:
    """Draw the accuracy on each domain, model after model; a hollow mark was not deployed."""
    height, top, bottom = 300, 16, 52
    step = (WIDTH - LEFT - RIGHT) / max(1, len(results.models) - 1)
    drawing = Drawing("fits", height, "Accuracy on held-out pictures after each round")

    def y(accuracy: float) -> float:
        return top + (1 - accuracy) * (height - top - bottom)

    for tick in (0, 0.25, 0.5, 0.75, 1):
        drawing.add("line", "grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y(tick), y2=y(tick))
        drawing.text("tick", LEFT - 10, y(tick) + 4, f"{tick:.0%}", "end")
    for index, model in enumerate(results.models):
        x = LEFT + index * step
        drawing.text("label", x, height - 28, model.label, "middle")
        kind = f"tick {model.outcome.replace(' ', '-')}"
        drawing.text(kind, x, height - 8, MARKS[model.outcome], "middle")

    ends = []
    for number, domain in enumerate(results.domains):
        points = [
            Point(LEFT + index * step, y(model.accuracy[domain]), model)
            for index, model in enumerate(results.models)
            if domain in model.accuracy
        ]
        _domain_line(drawing, points, domain, f"d{number}")
        kept = results.served[domain]
        ends.append((y(kept), f"label d{number}", f"{domain} {kept:.0%}"))
    lowest = 0.0
    for place, kind, text in sorted(ends):
        lowest = max(place, lowest + 20)
        drawing.text(kind, WIDTH - RIGHT + 14, lowest + 4, text)
    return str(drawing)


def _domain_line(drawing: Drawing, points: list[Point], domain: str, kind: str) -> None:
    """Draw what was in service as a line, and a branch to each model that was not."""
    deployed = [point for point in points if point.deployed]
    drawing.path(f"line {kind}", [(point.x, point.y) for point in deployed])
    drawing.path(f"line {kind} stays", [deployed[-1][:2], (points[-1].x, deployed[-1].y)])
    for before, after in pairwise(points):
        if not after.deployed:
            drawing.path(f"line {kind} dashed", [before[:2], after[:2]])
    for point in points:
        drawing.add(
            "circle",
            f"dot {kind}" + ("" if point.deployed else " hollow"),
            f"<title>{point.model.label}, {escape(domain)}: "
            f"{point.model.accuracy[domain]:.1%}</title>",
            cx=point.x,
            cy=point.y,
            r=5.5,
        )


ROW, LANE, TOP = 26, 36, 34
STAGES = {"train": "training", "eval": "evaluation", "deploy": "deployment"}


def timeline_chart(results: Results) -> str:
    """Draw when each stage ran and, where pictures were answered, rightly or wrongly, and when."""
    rounds = sorted({span.round for span in results.spans})
    known = [answer for answer in results.answers if answer.picture in results.truth]
    end = max([span.end for span in results.spans] + [answer.time for answer in known])
    lanes = TOP + ROW * len(rounds) + 14
    height = lanes + (2 * LANE if known else 0) + 26
    drawing = Drawing("scrolls", height, "Stages of the rounds, and the answers given meanwhile")

    def x(seconds: float) -> float:
        return LEFT + 10 + seconds / end * (WIDTH - LEFT - 26)

    _legend(drawing, results.domains if known else ())
    for index, number in enumerate(rounds):
        drawing.text("tick", 0, TOP + ROW * index + 15, f"round {number}")
    for span in results.spans:
        place, left = TOP + ROW * rounds.index(span.round), x(span.start)
        width = max(3.0, x(span.end) - left - 1)
        title = f"<title>{STAGES[span.stage]}, {span.end - span.start:.0f} s</title>"
        drawing.add("rect", span.stage, title, x=left, y=place, width=width, height=20.0, rx=3.0)
        if span.stage == "deploy" and results.rounds[span.round - 1]["outcome"] == "deployed":
            drawing.vertical("moment", x(span.end), TOP, height - 24)
    for lane, word in enumerate(("right", "wrong") if known else ()):
        drawing.text("tick", 0, lanes + LANE * lane + 19, word)
    for answer in known:
        true = results.truth[answer.picture]
        top = lanes + LANE * (answer.class_name != true.class_name)
        kind = f"answer d{results.domains.index(true.domain)}"
        drawing.vertical(kind, x(answer.time), top, top + LANE - 8)
    for seconds in range(0, int(end) + 1, 30 if end > 75 else 15):
        drawing.text("tick", x(seconds), height - 6, f"{seconds} s", "middle")
    return str(drawing)


def _legend(drawing: Drawing, domains: Sequence[str]) -> None:
    """Say what the bars' colours mean, and those of the answers' marks."""
    left = LEFT + 10.0
    for stage, word in STAGES.items():
        drawing.add("rect", stage, x=left, y=4.0, width=14.0, height=14.0, rx=3.0)
        drawing.text("tick", left + 20, 15, word)
        left += 110
    for number, domain in enumerate(domains):
        drawing.vertical(f"answer key d{number}", left + 4, 4, 18)
        drawing.text("tick", left + 12, 15, domain)
        left += 32 + 7 * len(domain)
