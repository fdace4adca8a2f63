"""The report as one HTML file: nothing is fetched, everything is inside."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from charts import accuracy_chart, timeline_chart
from results import Results
from words import accuracy_rows, headline, learning, on, summary

__all__ = ["render"]

SAMPLES_A_DOMAIN = 12
HARD_EXAMPLES = 12
TEXTS = ("stage", "outcome", "the runner's reason", "computed by")
"""Columns of tables that hold no numbers."""

CSS = """
:root { color-scheme: light dark;
  --paper: #fbfaf7; --card: #fff; --ink: #1d1d1b; --soft: #6b6963; --rule: #e4e1d9;
  --d0: #c2700a; --d1: #4a55c9; --d2: #13876b; --d3: #b0357c; --d4: #6d5f00; --d5: #1f7a9c;
  --train: #8f9a6c; --eval: #7f93a8; --deploy: #2f9e63; --bad: #c03a2b; --good: #23804e; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #161614; --card: #1f1f1c; --ink: #ecebe6; --soft: #a09d94; --rule: #35342f;
  --d0: #f0a84a; --d1: #97a1ff; --d2: #4cc9a4; --d3: #f07fbd; --d4: #cdbd4f; --d5: #6ac1e0;
  --train: #5f6a42; --eval: #4d5f73; --deploy: #2f9e63; --bad: #ff8070; --good: #5ccb8e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55;
  font: 17px/1.55 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 56px 24px 72px; }
h1 { font-size: clamp(30px, 5.4vw, 46px); line-height: 1.1; letter-spacing: -0.022em;
  margin: 0 0 18px; font-weight: 680; text-wrap: balance; }
h2 { font-size: 21px; letter-spacing: -0.01em; margin: 56px 0 6px; font-weight: 650; }
p { margin: 0 0 14px; max-width: 66ch; text-wrap: pretty; }
.kicker { color: var(--soft); font-size: 14px; margin-bottom: 14px; }
.lede { font-size: 19px; }
.note, figcaption { color: var(--soft); font-size: 15px; }
.tiles { display: grid; gap: 12px; margin: 32px 0 0;
  grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 16px 16px 14px; }
.tile b { display: block; font-size: 23px; letter-spacing: -0.02em; font-weight: 650;
  font-variant-numeric: tabular-nums; line-height: 1.2; white-space: nowrap; }
.tile span { color: var(--soft); font-size: 14.5px; line-height: 1.35; display: block;
  margin-top: 4px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 20px; margin: 16px 0 8px; overflow-x: auto; }
svg { display: block; width: 100%; height: auto;
  font: 13px ui-sans-serif, system-ui, sans-serif; }
svg.scrolls { min-width: 600px; }
svg .grid { stroke: var(--rule); } svg .tick { fill: var(--soft); }
svg .label { fill: var(--ink); font-weight: 600; }
svg .tick.deployed { fill: var(--good); }
svg :is(.tick.rejected, .tick.quarantined, .tick.failed) { fill: var(--bad); }
svg .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
svg .dashed { stroke-width: 1.5; stroke-dasharray: 4 4; opacity: .75; }
svg .stays { opacity: .35; } svg .hollow { fill: var(--card); stroke-width: 2; }
svg .train { fill: var(--train); } svg .eval { fill: var(--eval); }
svg .deploy { fill: var(--deploy); }
svg .answer { stroke-width: 1.4; opacity: .7; }
svg .key { stroke-width: 3; }
svg .moment { stroke: var(--deploy); stroke-width: 1.5; stroke-dasharray: 2 3; }
$domain_colours
.photos { display: grid; gap: 8px; margin: 12px 0 22px;
  grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); }
.photos figure { margin: 0; }
.photos img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover;
  border-radius: 6px; }
.photos figcaption { font-size: 13px; line-height: 1.3; padding-top: 4px; }
.photos s { color: var(--bad); text-decoration-thickness: 1px; }
.table { overflow-x: auto; margin: 12px 0 0; }
table { border-collapse: collapse; width: 100%; font-size: 15px;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 8px 0 8px 18px; border-bottom: 1px solid var(--rule);
  white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--soft); font-weight: 500; font-size: 14px; }
td.text, th.text { text-align: left; }
td.text:last-child { white-space: normal; min-width: 18em; }
tr.last td { border-bottom: 2px solid var(--rule); }
.deployed-text { color: var(--good); }
.rejected-text, .quarantined-text, .failed-text { color: var(--bad); }
footer { margin-top: 64px; padding-top: 18px; border-top: 1px solid var(--rule);
  color: var(--soft); font-size: 14.5px; }
code { font: 0.9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
@media (max-width: 560px) { main { padding: 36px 18px 56px; } body { font-size: 16px; }
  .tiles { grid-template-columns: 1fr 1fr; } .tile { padding: 12px 14px; }
  .tile b { font-size: 21px; } .card { padding: 14px; } svg.fits { font-size: 19px; } }
"""

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>$css</style></head><body><main>
<p class="kicker">Incremental learning with MobileNetV2, TinyMS and Sedna</p>
<h1>$title</h1>
<p class="lede">$lede</p>
$tiles
<h2>Accuracy, round after round</h2>
<p>Measured on pictures that no round has seen. A hollow mark is a model that was not deployed;
what stays in service is drawn on beside it.</p>
<div class="card">$accuracy_chart</div>
<div class="table">$accuracy_table</div>
<p class="note">In service, by domain: $learning. Formulas and papers stand in
<code>sedna_tinyms.learning.accuracy_matrix</code>.</p>
<h2>What the camera sees</h2>
$samples
$hard_examples
<h2>As it happened</h2>
<p>$timeline_note</p>
<div class="card">$timeline_chart</div>
<h2>What each round decided</h2>
<div class="table">$decisions</div>
<h2>What it cost</h2>
<p>Each worker is a process of its own; memory is the peak of its largest process.</p>
<div class="table">$costs</div>
<footer>$footer</footer>
</main></body></html>
""")


def render(results: Results) -> str:
    """Return the page."""
    colours = "".join(
        f"svg .line.d{n}, svg .answer.d{n} {{ stroke: var(--d{n}); }} "
        f"svg .dot.d{n} {{ fill: var(--d{n}); stroke: var(--d{n}); }} "
        f"svg .dot.d{n}.hollow {{ fill: var(--card); }} svg .label.d{n} {{ fill: var(--d{n}); }}\n"
        for n in range(len(results.domains))
    )
    has_answers = bool(results.answers)
    return PAGE.substitute(
        css=Template(CSS).substitute(domain_colours=colours),
        title=escape(headline(results)),
        lede=escape(summary(results)),
        tiles=_tiles(results),
        accuracy_chart=accuracy_chart(results),
        accuracy_table=_table(*accuracy_rows(results)),
        learning=escape(learning(results)),
        samples=_samples(results),
        hard_examples=_hard_examples(results),
        timeline_note="Each mark below the stages is one answer of the inference worker: right or "
        "wrong, in its domain's colour. The dotted line is a hot update: the worker goes on, with "
        "the new model."
        if has_answers
        else "The stages of each round, in seconds since the job began.",
        timeline_chart=timeline_chart(results),
        decisions=_decisions(results),
        costs=_costs(results),
        footer=_footer(results),
    )


def _tiles(results: Results) -> str:
    tiles = []
    for domain in results.domains[1:]:
        first = results.models[1].accuracy.get(domain)
        if first is not None and len(results.models) > 2:
            tiles.append((f"{first:.0%} → {results.served[domain]:.0%}", f"accuracy {on(domain)}"))
    domain = results.domains[0]
    before = results.models[1].accuracy.get(domain, results.models[0].accuracy[domain])
    tiles.append((f"{results.served[domain]:.1%}", f"{on(domain)}, after {before:.1%} in round 1"))
    if results.answers:
        flagged = f"labelled, of {len(results.hard)} flagged as hard"
        tiles.append((str(len(results.labelled)), flagged))
        total = len(results.answers) + results.unanswered
        tiles.append((f"{results.unanswered} of {total}", "pictures left without an answer"))
    cells = (f'<div class="tile"><b>{b}</b><span>{escape(s)}</span></div>' for b, s in tiles)
    return f'<div class="tiles">{"".join(cells)}</div>'


def _samples(results: Results) -> str:
    parts = []
    for number, domain in enumerate(results.domains):
        directory = results.root / "held_out" / domain
        classes = sorted(path for path in directory.iterdir() if path.is_dir())
        each = max(1, SAMPLES_A_DOMAIN // len(classes))
        chosen = [(p, c.name) for c in classes for p in sorted(c.iterdir())[:each]]
        parts.append(f'<p><b style="color:var(--d{number})">{escape(domain)}</b></p>')
        parts.append(_photos([(path, escape(name)) for path, name in chosen]))
    return "".join(parts)


def _hard_examples(results: Results) -> str:
    """Show the worst of the hard examples: what the model thought, and what it was."""
    if not results.labelled:
        return ""
    wrong = [a for a in results.labelled if a.class_name != results.truth[a.picture].class_name]
    right = len(results.labelled) - len(wrong)
    photos = [
        (
            results.root / "data/workshop/pictures" / answer.picture,
            f"<s>{escape(answer.class_name)}</s> {answer.score:.0%}<br>"
            f"{escape(results.truth[answer.picture].class_name)}",
        )
        for answer in wrong[:HARD_EXAMPLES]
    ]
    return (
        f"<h2>Hard examples</h2><p>The worker flagged {len(results.hard)} pictures as hard: "
        f"the model's probabilities were spread. A person labelled {len(results.labelled)} of "
        f"them; of these it had {len(wrong)} wrong and {right} right. Here is what it said, and "
        "what the person saw.</p>" + _photos(photos)
    )


def _photos(photos: Sequence[tuple[Path, str]]) -> str:
    figures = []
    for path, caption in photos:
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        kind = "png" if path.suffix.lower() == ".png" else "jpeg"
        figures.append(
            f'<figure><img alt="" src="data:image/{kind};base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return f'<div class="photos">{"".join(figures)}</div>'


def _decisions(results: Results) -> str:
    rows = []
    for record in results.rounds:
        new, old = ((record[which] or {}).get("accuracy", [None])[0] for which in ("new", "old"))
        outcome = record["outcome"]
        rows.append(
            [
                f"round {record['round']}",
                str(record["train_samples"]),
                str(record["eval_samples"]),
                "" if old is None else f"{old:.1%}",
                "" if new is None else f"{new:.1%}",
                f'<span class="{outcome.replace(" ", "-")}-text">{outcome}</span>',
                escape(record["reason"]),
            ]
        )
    head = [
        "",
        "learnt",
        "evaluated on",
        "in service",
        "new",
        "outcome",
        "the runner's reason",
    ]
    return _table(head, rows, escaped=True)


def _costs(results: Results) -> str:
    rows = []
    for record in results.rounds:
        for stage, cost in record["stages"].items():
            memory = f"{cost['peak_bytes'] / 1e9:.2f} GB" if cost["peak_bytes"] else ""
            engines = "; ".join(f"{part}: {how}" for part, how in cost.get("engines", {}).items())
            row = [f"round {record['round']}", stage, f"{cost['seconds']:.1f}", memory, engines]
            rows.append(row)
    for cost in results.inference:
        memory = f"{cost['peak_bytes'] / 1e9:.2f} GB" if cost["peak_bytes"] else ""
        rows.append(["all rounds", "inference", f"{cost['seconds']:.1f}", memory, ""])
    return _table(["", "stage", "seconds", "peak memory", "computed by"], rows)


def _footer(results: Results) -> str:
    took = f", {results.seconds:.0f} s in all" if results.seconds else ""
    return (
        f"Seed {results.seed}{took}. The same seed gives the same pictures and the same table. "
        "Run it again: <code>python examples/incremental_mobilenetv2/demo.py</code>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, escaped: bool = False) -> str:
    texts = {head.index(name) for name in TEXTS if name in head}

    def row_of(tag: str, cells: Sequence[str]) -> str:
        kinds = (' class="text"' if n in texts else "" for n in range(len(cells)))
        return "".join(
            f"<{tag}{kind}>{text}</{tag}>" for kind, text in zip(kinds, cells, strict=True)
        )

    heads = row_of("th", [escape(text) for text in head])
    body = "".join(
        f"<tr>{row_of('td', row if escaped else [escape(text) for text in row])}</tr>"
        for row in rows
    )
    return f"<table><tr>{heads}</tr>{body}</table>"
