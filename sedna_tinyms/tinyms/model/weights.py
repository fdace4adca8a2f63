"""Loads a weights file into a network: all that fits, after everything was checked.

MobileNetV2 parameters may carry TinyMS's, MindCV's or torchvision's names, and those of any
network may lie behind the prefix ``network.`` or not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from mindspore import Parameter, nn
from numpy.typing import NDArray

from sedna_tinyms.errors import ForeignModelError
from sedna_tinyms.tinyms.model.naming import tinyms_names
from sedna_tinyms.tinyms.model.parameters import set_value
from sedna_tinyms.tinyms.model.weights_file import Weights, read_weights, save_weights

__all__ = ["LoadReport", "Weights", "load_weights", "read_weights", "save_weights"]

HEAD = "head."
WRAPPED = "network."
"""What a cell around a network, such as the one that finds boxes, puts before its names."""


@dataclass(frozen=True)
class LoadReport:
    """What of a file went into a network; ``str()`` says it in one paragraph.

    Attributes
    ----------
    path : str
        The file.
    matched : tuple of str
        Parameters that were loaded, by their name in the network.
    missing : tuple of str
        Parameters of the network that the file does not hold; they keep their values.
    unexpected : tuple of str
        Names in the file that the network has no place for.
    mismatched : tuple of str
        Parameters whose shape or type differs, each with both.
    skipped : tuple of str
        Head parameters left alone because the caller asked for it.
    optimizer_state : tuple of str
        Entries of the file that belong to an optimizer.
    """

    path: str
    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    optimizer_state: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every parameter of the network that was not skipped came from the file."""
        return not self.missing and not self.mismatched

    def __str__(self) -> str:
        wanted = len(self.matched) + len(self.missing) + len(self.mismatched)
        parts = [f"{len(self.matched)} of {wanted} parameters match"]
        if self.mismatched:
            parts.append(f"{len(self.mismatched)} differ: {_some(self.mismatched)}")
        if self.missing:
            parts.append(f"{len(self.missing)} are not in the file: {_some(self.missing)}")
        if self.unexpected:
            parts.append(
                f"{len(self.unexpected)} of the file fit nowhere: {_some(self.unexpected)}"
            )
        if self.skipped:
            parts.append(f"the head ({len(self.skipped)} parameters) is left as it was")
        if self.optimizer_state:
            parts.append(f"{len(self.optimizer_state)} entries of optimizer state are ignored")
        return f"{self.path}: " + "; ".join(parts) + "."


def load_weights(
    network: nn.Cell,
    path: str | os.PathLike[str],
    *,
    skip_head: bool = False,
    strict: bool = True,
) -> LoadReport:
    """Load a weights file into `network`, or leave the network as it was.

    Parameters
    ----------
    network : Cell
        Any network. Names of torchvision and MindCV are translated for a MobileNetV2.
    path : path
        The weights file.
    skip_head : bool
        Leave the parameters of ``network.head`` alone, as for weights of other classes.
    strict : bool
        Whether parameters that the file does not hold are an error. A parameter of another shape
        always is; entries without a place in the network never are.

    Returns
    -------
    LoadReport
        What matched, and what did not.

    Raises
    ------
    ModelFileError
        If the file is missing or broken.
    ForeignModelError
        If it belongs to another network: nothing matches, a shape differs, the number of classes
        differs, or (where `strict`) a parameter is missing.
    """
    weights = read_weights(path)
    wanted = {parameter.name: parameter for parameter in network.get_parameters()}
    arrays = _named_for(wanted, weights.arrays)
    skipped = tuple(name for name in wanted if skip_head and name.startswith(HEAD))
    differing = {
        name: difference
        for name, parameter in wanted.items()
        if name in arrays and name not in skipped
        if (difference := _difference(parameter, arrays[name]))
    }
    matched = tuple(n for n in wanted if n in arrays and n not in differing and n not in skipped)
    report = LoadReport(
        path=str(path),
        matched=matched,
        missing=tuple(n for n in wanted if n not in arrays and n not in skipped),
        unexpected=tuple(name for name in arrays if name not in wanted),
        mismatched=tuple(f"{name} ({difference})" for name, difference in differing.items()),
        skipped=skipped,
        optimizer_state=weights.optimizer_state,
    )
    _require_same_network(report, differing, wanted, arrays, strict)
    for name in matched:
        set_value(wanted[name], arrays[name])
    return report


def _some(names: tuple[str, ...], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _named_for(
    wanted: Mapping[str, Parameter], arrays: Mapping[str, NDArray[np.generic]]
) -> Mapping[str, NDArray[np.generic]]:
    """Translate the names of `arrays` where that makes more of them fit."""
    translations = [{}, tinyms_names(arrays)]
    translations.append({name: f"{WRAPPED}{name}" for name in arrays})
    translations.append({name: name.removeprefix(WRAPPED) for name in arrays})
    best = max(
        translations, key=lambda names: sum(names.get(name, name) in wanted for name in arrays)
    )
    return {best.get(name, name): array for name, array in arrays.items()}


def _difference(parameter: Parameter, array: NDArray[np.generic]) -> str:
    """Say how `array` differs from what `parameter` can take; empty if it does not."""
    if array.shape != tuple(parameter.shape):
        return f"{array.shape} in the file, {tuple(parameter.shape)} in the network"
    wanted = parameter.asnumpy().dtype
    if array.dtype.kind != wanted.kind:
        return f"{array.dtype} in the file, {wanted} in the network"
    return ""


def _require_same_network(
    report: LoadReport,
    differing: Mapping[str, str],
    wanted: Mapping[str, Parameter],
    arrays: Mapping[str, NDArray[np.generic]],
    strict: bool,
) -> None:
    if not report.matched and not differing:
        raise ForeignModelError(
            f"no parameter of the file belongs to this network, whose parameters are named "
            f"{_some(tuple(wanted), 2)}. {report}",
            code="foreign-model",
            path=report.path,
        )
    if differing and all(name.startswith(HEAD) for name in differing):
        classifier = next(iter(differing))
        found, expected = arrays[classifier].shape[0], wanted[classifier].shape[0]
        raise ForeignModelError(
            f"the file is for {found} classes, the network has "
            f"{expected}: build the network for as many classes as the file, "
            f"or load with skip_head=True to keep only the backbone. {report}",
            code="class-mismatch",
            path=report.path,
            value=found,
            expected=expected,
        )
    if differing or (strict and report.missing):
        raise ForeignModelError(
            f"the file belongs to another network. {report}",
            code="foreign-model",
            path=report.path,
            missing=report.missing,
            mismatched=tuple(differing),
        )
