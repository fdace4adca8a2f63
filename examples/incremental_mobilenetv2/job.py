"""What the three workers of the job share: its settings, its estimator, its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sedna.common.config import BaseConfig, Context
from sedna.datasources import TxtDataParse

import estimators

setting = Context.get_parameters  # from the `env` of the worker's template in job.yaml


TRAINING = {"TINYMS": "TinyMSMobileNetV2", "MINDSPORE": "MindSporeMobileNetV2"}


def build_estimator() -> Any:
    """MobileNetV2 for the job's classes: to train, or as ONNX to evaluate and to answer with."""
    class_names = setting("CLASS_NAMES").split(",")
    backend = setting("BACKEND_TYPE", "TINYMS").upper()
    if backend == "ONNX":
        return estimators.OnnxClassifier(class_names, engine=setting("ENGINE", "auto"))
    rate = setting("LEARNING_RATE", "")  # the strategy's own, unless it is set
    return getattr(estimators, TRAINING[backend])(
        class_names=class_names,
        input_size=int(setting("INPUT_SHAPE", "224")),
        width=float(setting("WIDTH", "1.0")),
        initial_weights=setting("BASE_MODEL_URL"),
        strategy=setting("STRATEGY", "latent"),
        epochs=int(setting("EPOCHS", "10")),
        learning_rate=float(rate) if rate else None,
        batch_size=int(setting("BATCH_SIZE", "32")),
        replay_bytes=int(setting("REPLAY_BYTES", "50000000")),
        seed=int(setting("SEED", "0")),
        quantize=setting("QUANTIZE", "") or None,
    )


def read_samples(data_type: str, index: str) -> TxtDataParse:
    """Read lines of `<picture> <class>`; pictures lie beside the job's whole dataset file."""
    directory = Path(BaseConfig.original_dataset_url).parent
    samples = TxtDataParse(data_type=data_type, func=estimators.line_parser(directory))
    samples.parse(index)
    return samples
