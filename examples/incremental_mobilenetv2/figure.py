"""The report as one picture, for a README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageOps
from results import IN_SERVICE, Results

from sedna_tinyms.errors import extra

__all__ = ["draw"]

COLOURS = ("#c2700a", "#4a55c9", "#13876b", "#b0357c", "#6d5f00", "#1f7a9c")
INK, SOFT, RULE, PAPER = "#1d1d1b", "#6b6963", "#e4e1d9", "#fbfaf7"
GOOD, BAD = "#23804e", "#c03a2b"
COLUMNS, ROWS = 6, 2


def draw(results: Results, path: Path, title: str) -> None:
    """Draw the accuracies over the rounds beside samples of the domains.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    with extra("report", "drawing report.png"):
        import matplotlib as mpl
        from matplotlib.figure import Figure

    style = {
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": SOFT,
        "axes.edgecolor": RULE,
    }
    rows = len(results.domains)
    with mpl.rc_context(style):
        figure = Figure(figsize=(12, 5.2), facecolor=PAPER)
        figure.text(0.03, 0.915, title, fontsize=18, weight="bold")
        axes = figure.add_axes((0.07, 0.13, 0.43, 0.66), facecolor=PAPER)
        _accuracy(axes, results)
        height = 0.76 / rows
        for row, domain in enumerate(results.domains):
            bottom = 0.08 + height * (rows - 1 - row)
            colour = COLOURS[row % len(COLOURS)]
            figure.text(0.63, bottom + height - 0.045, domain, color=colour, weight="bold")
            directory = results.root / "held_out" / domain
            _samples(figure.add_axes((0.63, bottom, 0.345, height - 0.06)), directory)
        figure.savefig(path, dpi=150, facecolor=PAPER, metadata={"Software": None})


def _accuracy(axes: Any, results: Results) -> None:
    """Draw one line a domain; hollow marks were not deployed."""
    positions = range(len(results.models))
    ends = []
    for number, domain in enumerate(results.domains):
        colour = COLOURS[number % len(COLOURS)]
        values = [model.accuracy.get(domain, float("nan")) * 100 for model in results.models]
        for index in positions:
            deployed = results.models[index].outcome in IN_SERVICE
            if index:
                solid = (
                    {"linewidth": 2.5} if deployed else {"linewidth": 1.4, "linestyle": (0, (3, 3))}
                )
                axes.plot([index - 1, index], values[index - 1 : index + 1], color=colour, **solid)
            axes.plot(
                [index],
                values[index : index + 1],
                "o",
                markersize=8,
                color=colour,
                markerfacecolor=colour if deployed else PAPER,
                zorder=3,
            )
        served = [model.outcome in IN_SERVICE for model in results.models]
        last = max(index for index in positions if served[index])
        kept = results.served[domain] * 100
        axes.plot([last, positions[-1]], [kept, kept], color=colour, linewidth=2.5, alpha=0.35)
        ends.append((kept, colour, f"{domain} {kept:.0f}%"))
    height = float("inf")
    for kept, colour, text in sorted(ends, reverse=True):
        height = min(kept, height - 7)
        axes.text(positions[-1] + 0.13, height, text, color=colour, weight="bold", va="center")
    labels = [
        model.label + ("" if model.outcome == "initial" else f"\n{model.outcome}")
        for model in results.models
    ]
    axes.set_xticks(list(positions), labels)
    for tick, model in zip(axes.get_xticklabels(), results.models, strict=True):
        tick.set_color({"deployed": GOOD, "initial": INK}.get(model.outcome, BAD))
    axes.set_yticks([0, 25, 50, 75, 100], ["0%", "25%", "50%", "75%", "100%"])
    axes.set_ylim(0, 104)
    axes.set_xlim(-0.15, positions[-1] + 0.15)
    axes.grid(axis="y", color=RULE)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("Accuracy on held-out pictures", loc="left", fontsize=11, color=SOFT, pad=10)


def _samples(axes: Any, directory: Path) -> None:
    """Show pictures of the first classes, a column each."""
    classes = sorted(path for path in directory.iterdir() if path.is_dir())[:COLUMNS]
    side, gap = 128, 8
    sheet = Image.new("RGB", (COLUMNS * (side + gap) - gap, ROWS * (side + gap) - gap), PAPER)
    for column, directory_of_class in enumerate(classes):
        for row, path in enumerate(sorted(directory_of_class.iterdir())[:ROWS]):
            with Image.open(path) as picture:
                tile = ImageOps.fit(picture.convert("RGB"), (side, side))
            sheet.paste(tile, (column * (side + gap), row * (side + gap)))
    axes.imshow(sheet, interpolation="lanczos")
    axes.set_anchor("NW")
    axes.axis("off")
