"""Train the small network that tests begin from, and write its weights to ``colours.npz``.

The weights are this project's own: MobileNetV2 of width 0.1, trained from random weights on drawn
pictures of three colours. Nothing but the versions of MindSpore and NumPy, and the processor,
changes them. Run this again if the names or shapes of the network's parameters change::

    PYTHONPATH=. python tests/make_models.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from drawn_pictures import COLOURS, samples

from estimators import TinyMSMobileNetV2

COLOURS_NPZ = Path(__file__).parent / "colours.npz"
SIZE, WIDTH = 32, 0.1


def trained_from_random_weights(**settings: Any) -> tuple[TinyMSMobileNetV2, dict[str, Any]]:
    """Return an estimator that was trained on all colours from random weights, and its metrics."""
    estimator = TinyMSMobileNetV2(
        list(COLOURS),
        SIZE,
        WIDTH,
        strategy="full",
        epochs=16,
        batch_size=16,
        learning_rate=0.02,
        **settings,
    )
    return estimator, estimator.train(samples(40))


def main() -> None:
    """Write ``colours.npz``: 0.2 MB, in half precision."""
    estimator, metrics = trained_from_random_weights(replay_bytes=0)
    assert estimator.network is not None
    assert metrics["accuracy"][0] == estimator.evaluate(samples(60, seed=9))["accuracy"][0] == 1
    arrays = {p.name: p.asnumpy().astype(np.float16) for p in estimator.network.get_parameters()}
    np.savez_compressed(COLOURS_NPZ, **arrays)


if __name__ == "__main__":
    main()
