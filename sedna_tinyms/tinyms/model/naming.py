"""Gives the parameters of a MobileNetV2 TinyMS's names, whoever named them.

============  ======================================  =====================================
layer         torchvision                             MindCV
============  ======================================  =====================================
stem          ``features.0.{0,1}``                    ``features.{0,1}``
block i       ``features.i.conv.a.b`` and             ``features.(i+2).layers.k``: 0 1 (3 4)
              ``features.i.conv.a``                   6 7; a block without expansion 0 1 3 4
last          ``features.18.{0,1}``                   ``features.{20,21}``
head          ``classifier.1``                        ``classifier.1``
============  ======================================  =====================================

torchvision calls gamma, beta and the moving statistics of a batch normalization ``weight``,
``bias``, ``running_mean`` and ``running_var``; MindCV names them as MindSpore does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["tinyms_names"]

LAST_LAYER = 18
BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
EXPANDED = {0: "0.features.0", 1: "0.features.1", 3: "1.features.0", 4: "1.features.1"} | {
    6: "2",
    7: "3",
}
NOT_EXPANDED = {0: "0.features.0", 1: "0.features.1", 3: "1", 4: "2"}


def tinyms_names(names: Iterable[str]) -> dict[str, str]:
    """Return TinyMS's name for each name that is recognised.

    Parameters
    ----------
    names : iterable of str
        All parameter names of one file; which scheme they follow shows in the whole.

    Returns
    -------
    dict
        From the file's name to TinyMS's. Names that fit neither scheme are left out.
    """
    known = set(names)
    if "features.0.0.weight" in known:
        return _from_torchvision(known)
    if "features.0.weight" in known:
        return _from_mindcv(known)
    return {}


def _from_torchvision(names: set[str]) -> dict[str, str]:
    renamed = {}
    for name in names:
        layer, _, kind = name.rpartition(".")
        if f"{layer}.running_mean" in names:
            kind = BATCH_NORM.get(kind, kind)
        if layer == "classifier.1":
            renamed[name] = f"head.head.1.{kind}"
        elif match := re.fullmatch(r"features\.(\d+)\.conv\.(\d+)(?:\.(\d+))?", layer):
            block, outer, inner = match.groups()
            within = outer if inner is None else f"{outer}.features.{inner}"
            renamed[name] = f"backbone.backbone.{block}.conv.{within}.{kind}"
        elif match := re.fullmatch(r"features\.(\d+)\.([01])", layer):
            renamed[name] = f"backbone.backbone.{match[1]}.features.{match[2]}.{kind}"
    return renamed


def _from_mindcv(names: set[str]) -> dict[str, str]:
    renamed = {}
    for name in names:
        layer, _, kind = name.rpartition(".")
        if layer in ("classifier", "classifier.1"):
            renamed[name] = f"head.head.1.{kind}"
        elif match := re.fullmatch(r"features\.(\d+)\.layers\.(\d+)", layer):
            block, within = int(match[1]), int(match[2])
            expanded = f"features.{block}.layers.6.weight" in names
            place = (EXPANDED if expanded else NOT_EXPANDED).get(within)
            if place is not None:
                renamed[name] = f"backbone.backbone.{block - 2}.conv.{place}.{kind}"
        elif match := re.fullmatch(r"features\.(\d+)", layer):
            index = int(match[1])
            layer_index, within = (0, index) if index < 2 else (LAST_LAYER, index - 20)
            renamed[name] = f"backbone.backbone.{layer_index}.features.{within}.{kind}"
    return renamed
