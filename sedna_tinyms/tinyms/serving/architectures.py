"""The networks that servable.json may name, and the transforms for their pictures.

Both are looked up by name when one is needed, so that a servable costs only what it uses.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sedna_tinyms.errors import ConfigurationError, did_you_mean

__all__ = ["ARCHITECTURES", "Architecture", "Blueprint", "build_network", "dataset_transform"]


@dataclass(frozen=True)
class Architecture:
    """What the server must know of a network before it builds one.

    Attributes
    ----------
    factory : str
        Its name in `sedna_tinyms.tinyms.model`.
    channels, input_size : int
        Of one picture; (channels, input_size, input_size) goes in.
    dataset : str
        Whose transform fits where neither the servable nor its name says.
    any_size : bool
        Whether a servable may choose another `input_size`.
    options : tuple of str
        Further keywords that a servable may set.
    detects : bool
        Whether it finds boxes rather than one class.
    """

    factory: str
    channels: int = 3
    input_size: int = 224
    dataset: str = "imagefolder"
    any_size: bool = False
    options: tuple[str, ...] = ()
    detects: bool = False


ARCHITECTURES = {
    "lenet5": Architecture("lenet5", channels=1, input_size=32, dataset="mnist"),
    "mobilenetv2": Architecture("mobilenetv2", any_size=True, options=("width_mult", "pad_mode")),
    "resnet50": Architecture("resnet50", any_size=True),
    "ssd300": Architecture("ssd300_infer", input_size=300, dataset="voc", detects=True),
}

TRANSFORMS = {
    "cifar10": "cifar10_transform",
    "cityscape": "cyclegan_transform",
    "imagefolder": "imagefolder_transform",
    "imagenet2012": "imagefolder_transform",
    "mnist": "mnist_transform",
    "shanshui": "shanshui_tranform",  # TinyMS's spelling
    "voc": "voc_transform",
}


@dataclass(frozen=True)
class Blueprint:
    """Everything that a network is built from; equal ones can exchange their weights."""

    architecture: str
    class_num: int
    input_shape: tuple[int, int, int]
    options: tuple[tuple[str, Any], ...] = ()


def build_network(blueprint: Blueprint) -> Any:
    """Return the network for prediction, with random weights.

    Raises
    ------
    ConfigurationError
        If this core lacks the network, or an option is out of its range.
    MissingExtraError
        If the network comes from a package that is not installed.
    """
    name = ARCHITECTURES[blueprint.architecture].factory
    factory = _find("sedna_tinyms.tinyms.model", name, f"the network {blueprint.architecture!r}")
    keywords: dict[str, Any] = {"class_num": blueprint.class_num, **dict(blueprint.options)}
    if "is_training" in inspect.signature(factory).parameters:
        keywords["is_training"] = False
    return factory(**keywords)


def dataset_transform(dataset: str) -> Any:
    """Return TinyMS's transform for the pictures of a dataset.

    Raises
    ------
    ConfigurationError
        If the dataset is unknown, or this core lacks its transform.
    """
    if dataset not in TRANSFORMS:
        raise ConfigurationError(
            f"unknown dataset {dataset!r}{did_you_mean(dataset, TRANSFORMS)}; "
            f"one of {', '.join(TRANSFORMS)}",
            code="unknown-name",
            name="dataset",
            value=dataset,
            valid=tuple(TRANSFORMS),
        )
    return _find("sedna_tinyms.tinyms.vision", TRANSFORMS[dataset], f"the transform of {dataset!r}")


def _find(module: str, name: str, wanted: str) -> Callable[..., Any]:
    found = getattr(importlib.import_module(module), name, None)
    if found is None:
        raise ConfigurationError(
            f"{wanted} is not part of this sedna-tinyms ({module}.{name})",
            code="unsupported",
            module=module,
            name=name,
        )
    return found  # type: ignore[no-any-return]
