"""Networks and weights by the name that they were published under."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms import model
from sedna_tinyms.tinyms.hub.asset import Asset, find_asset
from sedna_tinyms.tinyms.hub.uid import Uid

__all__ = ["asset_file", "load", "load_checkpoint", "load_weights"]

Directories = Iterable[str | os.PathLike[str]]

NETWORKS = {
    "alexnet_v1": "alexnet",
    "lenet5_v1": "lenet5",
    "mobilenet_v2": "mobilenetv2",
    "resnet50_v1": "resnet50",
    "ssd300_v1": "ssd300_mobilenetv2",
    "vgg16_v1": "vgg16",
}
"""The factories in `model` of TinyMS's networks; others are built by `model.create_model`."""

CLASSES = {"mnist": 10, "cifar10": 10, "cifar100": 100, "mushroom": 9, "voc2007": 21}
"""The classes of the data sets that TinyMS published models for, background included."""


def load(
    uid: str, pretrained: bool = True, *, assets: Directories | None = None, **keywords: Any
) -> nn.Cell:
    """Return a published network.

    Parameters
    ----------
    uid : str
        ``publisher/version/model_modelversion_dataset``, such as ``tinyms/0.2/lenet5_v1_mnist``.
    pretrained : bool
        With its trained weights, or as it is before training; the latter needs no hub.
    assets : iterable of path, optional
        The hub directories, each with ``publisher/version/model.yaml`` files; by default those
        in the variable ``TINYMS_HUB_PATH``.
    **keywords
        Passed to the network's factory. The number of classes is that of the data set, unless
        ``class_num`` is given.

    Returns
    -------
    Cell
        The network; for a ``mindir`` file its graph.

    Raises
    ------
    ConfigurationError
        If the uid, its description or a keyword is wrong, or the network is unknown.
    DownloadError
        If the model file cannot be had, or is not the right one.
    ModelFileError
        If the model file is broken, or belongs to another network.
    """
    name = Uid.parse(uid)
    if not pretrained:
        return _build(name, None, keywords)
    asset = find_asset(name, assets)
    if asset.file_format == "mindir":
        return model.load(str(asset.file()))
    _require_weights(asset)
    network = _build(name, asset.class_num, keywords)
    model.load_weights(network, asset.file())
    return network


def load_checkpoint(
    uid: str,
    dst: str | os.PathLike[str],
    pretrained: bool = True,
    *,
    assets: Directories | None = None,
    **keywords: Any,
) -> None:
    """Write the parameters of a published network to the checkpoint `dst`; else as `load`."""
    model.save_weights(load(uid, pretrained, assets=assets, **keywords), dst)


def load_weights(uid: str, *, assets: Directories | None = None) -> dict[str, Parameter]:
    """Return the trained parameters of a published network by their names; else as `load`."""
    asset = find_asset(Uid.parse(uid), assets)
    _require_weights(asset)
    arrays = model.read_weights(asset.file()).arrays
    return {name: Parameter(Tensor(array), name=name) for name, array in arrays.items()}


def asset_file(uid: str, *, assets: Directories | None = None) -> Path:
    """Return the published file itself, of whatever format, after checking it; else as `load`."""
    return find_asset(Uid.parse(uid), assets).file()


def _build(uid: Uid, class_num: int | None, keywords: dict[str, Any]) -> nn.Cell:
    classes = class_num or CLASSES.get(uid.dataset)
    if classes is not None:
        keywords = {"class_num": classes, **keywords}
    key = f"{uid.network}_{uid.network_version}"
    if key not in NETWORKS:
        return model.create_model(uid.network, **keywords)
    factory: Callable[..., nn.Cell] = getattr(model, NETWORKS[key])
    return factory(**keywords)


def _require_weights(asset: Asset) -> None:
    if asset.file_format != "ckpt":
        raise ConfigurationError(
            f"{asset.uid} is published as {asset.file_format}, which holds a whole model rather "
            f"than weights: hub.asset_file({str(asset.uid)!r}) gives the file",
            code="unsupported",
            name=str(asset.uid),
            value=asset.file_format,
        )
