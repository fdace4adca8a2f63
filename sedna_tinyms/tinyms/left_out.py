"""Names of TinyMS that this core leaves out: asking for one says why, and what to use instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["LEFT_OUT", "left_out"]

LANGUAGE = (
    "language models are not part of this core. Build one from sedna_tinyms.tinyms.layers: Model "
    "takes any network"
)
RECOMMENDATION = (
    "networks for recommendation are not part of this core. Build one from "
    "sedna_tinyms.tinyms.layers: Model takes any network"
)
CYCLEGAN = (
    "CycleGAN's networks and losses are not part of this core, only its data: UnalignedDataset, "
    "cyclegan_transform, save_image. Build them from sedna_tinyms.tinyms.layers"
)
GONE = "MindSpore has removed it. "

LEFT_OUT: dict[str, dict[str, str]] = {
    "callbacks": {
        "BertLossCallBack": "language models are not part of this core. Use LossTimeMonitorV2",
    },
    "data": {
        "ArgoverseDataset": f"{GONE}Use GeneratorDataset",
        "BertDataset": "language models are not part of this core. Use TFRecordDataset",
        "Graph": f"{GONE}Use GeneratorDataset",
        "GraphData": f"{GONE}Use GeneratorDataset",
        "ImdbDataset": "language models are not part of this core. Use MindSpore's IMDBDataset",
        "InMemoryGraphDataset": f"{GONE}Use GeneratorDataset",
        "KaggleDisplayAdvertisingDataset": (
            "it is bound to one file of 45 million lines. Use CSVDataset"
        ),
    },
    "layers": {"ResizeBilinear": f"{GONE}Use mindspore.ops.interpolate"},
    "losses": {"CycleGANDiscriminatorLoss": CYCLEGAN, "CycleGANGeneratorLoss": CYCLEGAN},
    "model": {
        "DeepFM": RECOMMENDATION,
        "SentimentNet": LANGUAGE,
        "bert": LANGUAGE,
        "cycle_gan": CYCLEGAN,
        "cycle_gan_infer": CYCLEGAN,
        "deepfm": RECOMMENDATION,
        "sentimentnet": LANGUAGE,
    },
    "optimizers": {
        "AdamWeightDecayForBert": "language models are not part of this core. Use AdamWeightDecay",
        "AdamWeightDecayOp": "language models are not part of this core. Use AdamWeightDecay",
    },
    "text": {
        "BertDatasetTransform": "language models are not part of this core. Use TypeCast",
        "bert_transform": "language models are not part of this core. Use TypeCast",
    },
    "vision": {
        "SoftDvppDecodeRandomCropResizeJpeg": f"{GONE}Use RandomCropDecodeResize",
        "SoftDvppDecodeResizeJpeg": f"{GONE}Use Decode and Resize",
    },
}
"""Why each name is left out, by module."""


def left_out(module: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module of the core, by its full name.

    For a name that is left out it raises ImportError, which ``from module import name`` shows as
    it is; of an AttributeError Python would hide the reason. So `hasattr` raises it too.
    """
    reasons = LEFT_OUT[module.rpartition(".")[2]]

    def __getattr__(name: str) -> Any:  # noqa: N807 - a module calls it
        if name in reasons:
            raise ImportError(f"TinyMS's {name} is left out: {reasons[name]}", name=module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return __getattr__
