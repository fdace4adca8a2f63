"""Accuracy of every model of a run, on the pictures that no round has seen.

Run by ``report.py`` in a process of its own, with the settings of the job's eval worker:
``sedna-tinyms exec held_out.py ROOT MODEL...`` prints ``{model: {domain: accuracy}}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from job import build_estimator


def main() -> None:
    """Print the accuracies as JSON."""
    root, models = Path(sys.argv[1]), sys.argv[2:]
    domains = sorted(path for path in (root / "held_out").iterdir() if path.is_dir())
    accuracies = {}
    for model in models:
        estimator = build_estimator()
        file = root / model.lstrip("/")
        estimator.load(model_url=str(file.with_suffix(".onnx")))  # beside each checkpoint
        accuracies[model] = {
            domain.name: estimator.evaluate(str(domain))["accuracy"][0] for domain in domains
        }
    print(json.dumps(accuracies))


if __name__ == "__main__":
    main()
