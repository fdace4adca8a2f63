"""Networks by name: TinyMS's, and those of MindCV, which is imported when one is asked for.

TinyMS's VGG checkpoints fit MindCV's VGGs. Its ResNet-50 pads strided convolutions differently,
so that its checkpoints would give other numbers here; their names differ, and loading says so.

One network of each family in MindCV 0.3.0 was tried with MindSpore 2.10 on a CPU: all predict but
HaloNet, PVT (the first), ReXNet and VOLO, which were written for an older MindSpore.

BERT, DeepFM, the sentiment network and CycleGAN's networks are left out: MindSpore's layers build
them.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from mindspore import nn

from sedna_tinyms.errors import ConfigurationError, did_you_mean, extra
from sedna_tinyms.tinyms.keywords import refuse_unknown, require_counts
from sedna_tinyms.tinyms.model.alexnet import alexnet
from sedna_tinyms.tinyms.model.densenet import densenet100
from sedna_tinyms.tinyms.model.lenet5 import lenet5
from sedna_tinyms.tinyms.model.mobilenetv2 import mobilenetv2
from sedna_tinyms.tinyms.model.ssd300 import ssd300_mobilenetv2

__all__ = ["create_model", "list_models", "resnet50", "vgg11", "vgg13", "vgg16", "vgg19"]

OURS: dict[str, Callable[..., nn.Cell]] = {
    "alexnet": alexnet,
    "densenet100": densenet100,
    "lenet5": lenet5,
    "mobilenetv2": mobilenetv2,
    "ssd300_mobilenetv2": ssd300_mobilenetv2,
}


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that `create_model` takes, sorted.

    Parameters
    ----------
    pattern : str
        With ``*`` and ``?``, as for file names: ``"resnet*"``.

    Raises
    ------
    MissingExtraError
        If MindCV is not installed; the networks that need none are named then.
    """
    return fnmatch.filter(sorted({*OURS, *_registry().list_models()}), pattern)


def create_model(name: str, class_num: int = 1000, **keywords: Any) -> nn.Cell:
    """Build a network by its name.

    Parameters
    ----------
    name : str
        One of `list_models`.
    class_num : int
        Number of classes.
    **keywords
        What the network takes besides; for MindCV's networks these are the parameters of its
        class, such as `in_channels` or `drop_rate`. Weights are yours to download: MindCV's own
        `pretrained` is refused, because it does not check what it downloads.

    Raises
    ------
    ConfigurationError
        If the name or a keyword is unknown, `class_num` out of its range, or `pretrained` true.
    MissingExtraError
        If the network comes from MindCV, and that is not installed.
    """
    if name in OURS:
        return OURS[name](class_num, **keywords)
    registry = _registry()
    if not registry.is_model(name):
        raise ConfigurationError(
            f"unknown network {name!r}{did_you_mean(name, list_models())}; "
            "list_models() names all there are",
            code="unknown-name",
            name="name",
            value=name,
        )
    require_counts(name, {"class_num": class_num})
    build = registry.model_entrypoint(name)
    valid = _parameters(build)
    refuse_unknown(name, keywords, ["class_num", *valid])
    if keywords.get("pretrained"):
        raise ConfigurationError(
            f"{name} is built without weights: download {_weights_url(build, name)} by hand, check "
            "it, and load it with Model(network).load_checkpoint(file)",
            code="unsupported",
            name="pretrained",
            value=keywords["pretrained"],
        )
    return build(num_classes=class_num, **keywords)


def resnet50(class_num: int = 10, is_training: bool = True, **keywords: Any) -> nn.Cell:  # noqa: ARG001
    """Build MindCV's ResNet-50; it gives logits, whatever `is_training`. See `create_model`."""
    return create_model("resnet50", class_num, **keywords)


def _vgg(name: str) -> Callable[..., nn.Cell]:
    def build(
        class_num: int = 10,
        batch_norm: bool = True,
        is_training: bool = True,  # noqa: ARG001 - TinyMS's server passes it to every network
        **keywords: Any,
    ) -> nn.Cell:
        return create_model(name, class_num, batch_norm=batch_norm, **keywords)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = (
        f"Build MindCV's {name}; it gives logits, whatever `is_training`. See `create_model`."
    )
    return build


vgg11, vgg13, vgg16, vgg19 = (_vgg(f"vgg{layers}") for layers in (11, 13, 16, 19))


def _registry() -> Any:
    """Return MindCV's table of networks."""
    with extra("zoo", f"every network but {', '.join(OURS)}"):
        return importlib.import_module("mindcv").models.registry


def _weights_url(build: Callable[..., nn.Cell], name: str) -> str:
    """Return where MindCV publishes weights for a network, as far as it says."""
    published = getattr(importlib.import_module(build.__module__), "default_cfgs", {})
    return published.get(name, {}).get("url") or "a checkpoint of it"


def _parameters(build: Callable[..., nn.Cell]) -> list[str]:
    """Return the keywords of a MindCV network: its function's, and those of its classes.

    A function passes on what it does not know; which class takes it, only its module knows.
    """
    module = importlib.import_module(build.__module__)
    classes = [
        value
        for value in (getattr(module, name) for name in module.__all__)
        if inspect.isclass(value) and issubclass(value, nn.Cell)
    ]
    names = [
        name
        for function in (build, *(kind.__init__ for kind in classes))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    return sorted({*names} - {"self", "num_classes"})
