"""The page's two charts as inline SVG; colours and fonts are the page's own (see `page.CSS`)."""

from __future__ import annotations

from html import escape

from results import Results

__all__ = ["accuracy_chart", "timeline_chart"]

WIDTH = 760
LEFT, RIGHT = 58, 120

MARKS = {
    "initial": "not trained",
    "deployed": "deployed",
    "refused": "refused",
    "failed": "failed",
}


def accuracy_chart(results: Results) -> str:
    """Draw the accuracy on each domain, model after model; a hollow mark was not deployed."""
    height, top, bottom = 300, 16, 52
    step = (WIDTH - LEFT - RIGHT) / max(1, len(results.models) - 1)

    def x(index: float) -> float:
        return LEFT + index * step

    def y(accuracy: float) -> float:
        return top + (1 - accuracy) * (height - top - bottom)

    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text class="tick" x="{LEFT - 10}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.0%}</text>'
        for tick in (0, 0.25, 0.5, 0.75, 1)
    ]
    for index, model in enumerate(results.models):
        parts.append(
            f'<text class="label" x="{x(index):.1f}" y="{height - 28}" text-anchor="middle">'
            f"{escape(model.label)}</text>"
            f'<text class="tick {model.outcome}" x="{x(index):.1f}" y="{height - 10}" '
            f'text-anchor="middle">{MARKS[model.outcome]}</text>'
        )
    ends = []
    for number, domain in enumerate(results.domains):
        points = [
            (x(index), y(model.accuracy[domain]), model)
            for index, model in enumerate(results.models)
            if domain in model.accuracy
        ]
        served = [p for p in points if p[2].outcome in ("initial", "deployed")]
        parts.append(f'<path class="line d{number}" d="{_path(served)}"/>')
        for before, after in zip(points, points[1:], strict=False):
            if after[2].outcome not in ("initial", "deployed"):
                parts.append(f'<path class="line d{number} dashed" d="{_path([before, after])}"/>')
        for px, py, model in points:
            filled = "" if model.outcome in ("initial", "deployed") else " hollow"
            parts.append(
                f'<circle class="dot d{number}{filled}" cx="{px:.1f}" cy="{py:.1f}" r="5.5">'
                f"<title>{escape(model.label)}, {escape(domain)}: "
                f"{model.accuracy[domain]:.1%}</title></circle>"
            )
        if served:
            kept = results.served[domain]
            if points[-1][2].outcome not in ("initial", "deployed"):
                stays = [served[-1], (x(len(results.models) - 1), y(kept), served[-1][2])]
                parts.append(f'<path class="line d{number} stays" d="{_path(stays)}"/>')
            ends.append((y(kept), number, f"{domain} {kept:.0%}"))
    for py, number, text in _apart(sorted(ends), 18):
        parts.append(
            f'<text class="label d{number}" x="{WIDTH - RIGHT + 14}" y="{py + 4:.1f}">{escape(text)}</text>'
        )
    return _svg("fits", height, "Accuracy on held-out pictures after each round", parts)


def timeline_chart(results: Results) -> str:
    """Draw when each stage ran and, where pictures were answered, rightly or wrongly, and when."""
    answers = [a for a in results.answers if a.picture in results.truth]
    rounds = sorted({span.round for span in results.spans})
    end = max([s.end for s in results.spans] + [a.time for a in answers])
    row, top = 26, 8
    lanes = top + row * len(rounds) + 14
    height = lanes + (74 if answers else 0) + 26

    def x(seconds: float) -> float:
        return LEFT + 10 + seconds / end * (WIDTH - LEFT - 26)

    parts = []
    for index, number in enumerate(rounds):
        y = top + row * index
        parts.append(f'<text class="tick" x="0" y="{y + 15}">round {number}</text>')
        for span in results.spans:
            if span.round == number:
                width = max(3.0, x(span.end) - x(span.start) - 1)
                text = span.stage if width > 34 else ""
                parts.append(
                    f'<rect class="{span.stage}" x="{x(span.start):.1f}" y="{y}" '
                    f'width="{width:.1f}" height="20" rx="3"><title>round {number}, {span.stage}: '
                    f"{span.end - span.start:.0f} s</title></rect>"
                    f'<text class="inside" x="{x(span.start) + 7:.1f}" y="{y + 14}">{text}</text>'
                )
    if answers:
        for lane, right in ((lanes, True), (lanes + 36, False)):
            word = "right" if right else "wrong"
            parts.append(f'<text class="tick" x="0" y="{lane + 18}">{word}</text>')
        for answer in answers:
            truth = results.truth[answer.picture]
            lane = lanes if answer.class_name == truth.class_name else lanes + 36
            px = x(answer.time)
            number = results.domains.index(truth.domain)
            parts.append(
                f'<line class="answer d{number}" x1="{px:.1f}" x2="{px:.1f}" y1="{lane}" y2="{lane + 28}"/>'
            )
    for span in results.spans:
        if span.stage == "deploy" and results.rounds[span.round - 1]["outcome"] == "deployed":
            parts.append(
                f'<line class="moment" x1="{x(span.end):.1f}" x2="{x(span.end):.1f}" '
                f'y1="{top}" y2="{height - 24}"/>'
            )
    for seconds in range(0, int(end) + 1, 30 if end > 75 else 15):
        parts.append(
            f'<text class="tick" x="{x(seconds):.1f}" y="{height - 6}" text-anchor="middle">{seconds} s</text>'
        )
    return _svg("scrolls", height, "Stages of the rounds, and the answers given meanwhile", parts)


def _svg(kind: str, height: float, title: str, parts: list[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def _path(points: list[tuple[float, float, object]]) -> str:
    return "M" + "L".join(f"{px:.1f},{py:.1f}" for px, py, _ in points)


def _apart(
    labels: list[tuple[float, int, str]], distance: float
) -> list[tuple[float, int, str]]:
    """Move labels down, from the top one on, until no two overlap."""
    placed: list[tuple[float, int, str]] = []
    for py, number, text in labels:
        lowest = placed[-1][0] + distance if placed else py
        placed.append((max(py, lowest), number, text))
    return placed
