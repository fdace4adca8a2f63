"""What can be set on the MobileNetV2 estimators, checked."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sedna_tinyms.errors import ConfigurationError, Problems, did_you_mean
from sedna_tinyms.learning.cache import DEFAULT_BUDGET
from sedna_tinyms.learning.strategies import STRATEGIES

__all__ = ["Settings"]

LEAST = {"epochs": 1, "batch_size": 1, "replay_bytes": 0, "seed": 0, "cache_bytes": 0}
CHOICES = {
    "strategy": STRATEGIES,
    "replay": ("auto", "activations", "pixels"),
    "engine": ("auto", "onnxruntime", "openvino", "mindspore"),
    "precision": ("f32", "bf16", "auto"),
    "quantize": (None, "int8"),
}


@dataclass(frozen=True)
class Settings:
    """Parameters of an estimator, as `estimators.mobilenetv2.MobileNetV2Estimator` lists them.

    Raises
    ------
    ConfigurationError
        With every value that is out of its range.
    """

    class_names: Sequence[str] | None = None
    input_size: int | None = None
    width: float | None = None
    initial_weights: str | None = None
    epochs: int = 10
    learning_rate: float | None = None
    batch_size: int = 32
    strategy: str = "latent"
    replay_bytes: int = 50_000_000
    seed: int = 0
    replay: str = "auto"
    label_smoothing: float = 0.1
    weight_decay: float = 1e-4
    flip: bool = False
    engine: str = "auto"
    precision: str = "auto"
    cache_bytes: int = DEFAULT_BUDGET
    pad_mode: str | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    export_onnx: bool | None = None
    quantize: str | None = None

    def __post_init__(self) -> None:
        problems = Problems()
        _check_names(self.class_names, problems)
        for name, least in LEAST.items():
            _check_whole(name, getattr(self, name), least, problems)
        for name, choices in CHOICES.items():
            _check_choice(name, getattr(self, name), choices, problems)
        _check_together(self, problems)
        if self.input_size is not None:
            _check_whole("input_size", self.input_size, 32, problems)
        if self.width is not None:
            _check_range("width", self.width, 0, 16, problems)
        if self.learning_rate is not None:
            _check_range("learning_rate", self.learning_rate, 0, 100, problems)
        if not _is_number(self.label_smoothing) or not 0 <= self.label_smoothing < 1:
            problems.add(
                f"label_smoothing is {self.label_smoothing!r}; it must lie in [0, 1)",
                code="out-of-range",
                name="label_smoothing",
                value=self.label_smoothing,
            )
        if not _is_number(self.weight_decay) or not 0 <= self.weight_decay < 1:
            problems.add(
                f"weight_decay is {self.weight_decay!r}; it must lie in [0, 1)",
                code="out-of-range",
                name="weight_decay",
                value=self.weight_decay,
            )
        if self.pad_mode not in (None, "pad", "same"):
            problems.add(
                f"pad_mode is {self.pad_mode!r}; it must be 'pad' or 'same'",
                code="unknown-name",
                name="pad_mode",
                value=self.pad_mode,
                valid=("pad", "same"),
            )
        _check_normalization(self.mean, self.std, problems)
        problems.raise_as(ConfigurationError, "the estimator cannot be built")


def _check_names(names: Sequence[str] | None, problems: Problems) -> None:
    if names is None:
        return
    if isinstance(names, str):
        complaint, code = f"is the text {names!r}; it must be a list of names", "wrong-type"
    elif any(not isinstance(name, str) or not name.strip() for name in names):
        complaint, code = f"is {list(names)!r}; each must be a name", "wrong-type"
    elif len(set(names)) != len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        complaint, code = f"has {', '.join(twice)} more than once", "duplicate"
    elif len(names) < 2:
        complaint = f"is {list(names)!r}; a classifier needs at least two classes"
        code = "wrong-length"
    else:
        return
    problems.add(f"class_names {complaint}", code=code, name="class_names", value=names)


def _check_together(settings: Settings, problems: Problems) -> None:
    """Find settings that each are right and contradict each other."""
    if settings.strategy == "full" and settings.replay == "activations":
        problems.add(
            "replay is 'activations', but the strategy full trains every layer, so that "
            "nothing but pixels can be learned from: set replay to 'pixels', replay_bytes to 0 "
            "to store nothing, or another strategy",
            code="conflict",
            name="replay",
            value=settings.replay,
        )
    if settings.quantize and settings.export_onnx is False:
        problems.add(
            f"quantize is {settings.quantize!r}, which is about the ONNX file, and export_onnx is "
            "False: leave one of them out",
            code="conflict",
            name="quantize",
            value=settings.quantize,
        )


def _check_normalization(
    mean: Sequence[float] | None, std: Sequence[float] | None, problems: Problems
) -> None:
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and (len(values) != 3 or not all(map(_is_number, values))):
            complaint, code = "it must be three numbers", "wrong-shape"
        elif values is not None and name == "std" and min(values) <= 0:
            complaint, code = "each must be above 0", "out-of-range"
        else:
            continue
        problems.add(f"{name} is {values!r}; {complaint}", code=code, name=name, value=values)


def _check_whole(name: str, value: Any, least: int, problems: Problems) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least:
        problems.add(
            f"{name} is {value!r}; it must be a whole number of at least {least}",
            code="out-of-range" if whole else "not-an-integer",
            name=name,
            value=value,
        )


def _check_choice(
    name: str, value: Any, choices: Collection[str | None], problems: Problems
) -> None:
    if value not in choices:
        problems.add(
            f"{name} is {value!r}{did_you_mean(str(value), map(str, choices))}; "
            f"it must be one of {', '.join(map(str, choices))}",
            code="unknown-name",
            name=name,
            value=value,
            valid=tuple(choices),
        )


def _check_range(name: str, value: Any, above: float, most: float, problems: Problems) -> None:
    if not _is_number(value) or not above < value <= most:
        problems.add(
            f"{name} is {value!r}; it must be a number above {above}, at most {most}",
            code="out-of-range" if _is_number(value) else "not-a-number",
            name=name,
            value=value,
        )


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
