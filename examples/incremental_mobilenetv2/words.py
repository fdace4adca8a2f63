"""What a run amounts to, in words and in rows."""

from __future__ import annotations

from results import Results

from sedna_tinyms.jobs.accuracy import plain_figures
from sedna_tinyms.jobs.progress import figures_in_words

__all__ = ["accuracy_rows", "headline", "learning", "on", "summary"]

FORGOTTEN = 0.03
"""A loss of less than three points on an earlier domain counts as kept."""

SAID = {"day": "by day", "night": "at night", "all": "on new pictures"}


def on(domain: str) -> str:
    """Say "on this domain" as one would."""
    return SAID.get(domain, f"on {domain}")


def headline(results: Results) -> str:
    """Say the one thing that happened."""
    last = results.domains[-1]
    served = results.served[last]
    if len(results.domains) == 1 or len(results.models) < 3:
        first = results.models[0].accuracy[last]
        return f"From {first:.0%} to {served:.0%} {on(last)}"
    first = results.models[1].accuracy.get(last, results.models[0].accuracy[last])
    kept = results.domains[0]
    lost = results.models[1].accuracy.get(kept, 0.0) - results.served[kept]
    memory = f"{'the ' if kept in SAID else ''}{kept} is not forgotten"
    if lost > FORGOTTEN:
        memory = f"{lost * 100:.0f} points lost {on(kept)}"
    return f"From {first:.0%} to {served:.0%} {on(last)}, {memory}"


def summary(results: Results) -> str:
    """Tell the story of the rounds in a few sentences."""
    told = []
    if results.truth:
        told.append(
            "A model that had learnt its parts by day failed when night fell: other light, oily "
            f"benches, rust. It was unsure of {len(results.hard)} pictures; a person labelled "
            f"{len(results.labelled)} of them, round 2 learnt from these, and the new model took "
            "over while predictions went on."
        )
    if len(results.domains) > 1 and len(results.models) > 2:
        kept = results.domains[0]
        before = results.models[1].accuracy.get(kept, 0.0)
        now = results.served[kept]
        told.append(f"It has {now:.1%} {on(kept)}, where round 1 had {before:.1%}.")
    told += [
        f"Round {record['round']} was not deployed: {record['reason']}."
        for record in results.rounds
        if record["outcome"] in ("not proven", "rejected", "quarantined")
    ]
    return " ".join(told)


def accuracy_rows(results: Results) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the table that the same seed reproduces."""
    rows = [
        [model.label, *_percentages(results, model.accuracy), model.outcome]
        for model in results.models
    ]
    rows.append(["in service at the end", *_percentages(results, results.served), ""])
    return ["model", *results.domains, "outcome"], rows


def learning(results: Results) -> str:
    """Say what the domains brought together cost each other, by the accuracy matrix."""
    return figures_in_words(plain_figures(results.matrix))


def _percentages(results: Results, accuracy: dict[str, float]) -> list[str]:
    return [f"{accuracy[domain]:.1%}" if domain in accuracy else "" for domain in results.domains]
