"""Weights of a network on disk: reading, checking, loading, saving.

Three formats are read, told apart by content rather than by name: MindSpore's ``.ckpt``, NumPy's
``.npz`` (never with pickle) and ``.safetensors``. MobileNetV2 parameters may carry TinyMS's,
MindCV's or torchvision's names. A network is changed only after everything was checked.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.errors import ForeignModelError, ModelFileError, extra
from sedna_tinyms.tinyms.model.naming import tinyms_names

__all__ = ["LoadReport", "Weights", "load_weights", "read_weights", "save_weights"]

HEAD = "head."
CRC_MARK = b"crc_num"
CRC_TRAILER_SIZE = len(CRC_MARK) + 10
# What MindSpore's optimizers and training steps keep: an array for each parameter, named
# "<slot>.<parameter>", and single numbers. PyTorch's batch normalization counts its batches.
SLOTS = re.compile(
    r"(moments?|moment[12]|accum(_update)?|stat|linear|mean_square|mean_gradient|prev|step_size"
    r"|(lamb|adam)_[mv])\.|(mu|eta|ax)_\.?"
)
TRAINING_NUMBERS = {
    "beta1_power",
    "beta2_power",
    "current_iterator_step",
    "epoch_num",
    "global_step",
    "last_overflow_iterator_step",
    "learning_rate",
    "loss_scale",
    "momentum",
    "num_batches_tracked",
    "scale_sense",
    "step_num",
}


class Weights(NamedTuple):
    """What a weights file holds.

    Attributes
    ----------
    arrays : dict
        Parameters by their name in the file.
    metadata : dict
        Texts stored with them, such as class names.
    optimizer_state : tuple of str
        Names of entries that only a resumed training would need; their values are not kept.
    """

    arrays: dict[str, NDArray[np.generic]]
    metadata: dict[str, str]
    optimizer_state: tuple[str, ...]


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


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Read a ``.ckpt``, ``.npz`` or ``.safetensors`` file, whatever its name.

    Raises
    ------
    ModelFileError
        If it is missing, empty, truncated, unreadable, or holds NaN or infinity.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(9)
        size = file.stat().st_size
    except IsADirectoryError:
        raise ModelFileError(f"the model file {file} is a directory; name a file in it") from None
    except FileNotFoundError:
        raise ModelFileError(f"the model file {file} does not exist") from None
    except OSError as error:
        raise ModelFileError(f"the model file {file} cannot be opened: {error}") from error
    if size == 0:
        raise ModelFileError(f"the model file {file} is empty (0 bytes)")

    read = _read_checkpoint
    if head.startswith(b"PK\x03\x04"):
        read = _read_npz
    elif head[8:9] == b"{":
        read = _read_safetensors
    try:
        entries = read(file)
    except (OSError, ValueError, KeyError, EOFError, MemoryError) as error:
        raise _broken(file, size, error) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise _broken(file, size, error) from error
    if not entries:
        raise ModelFileError(f"the model file {file} ({size} bytes) holds no parameters")
    return _sort_out(file, entries)


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
        parameter = wanted[name]
        parameter.set_data(Tensor(arrays[name].astype(parameter.asnumpy().dtype)))
    return report


def save_weights(
    network: nn.Cell,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write the network's parameters as a MindSpore checkpoint, whole or not at all.

    The file carries a checksum that `read_weights` verifies, is readable by everyone (0644), and
    bears exactly the name given.

    Parameters
    ----------
    network : Cell
        The network.
    path : path
        The file to write or replace.
    metadata : mapping, optional
        Texts and numbers to store with the parameters; `read_weights` returns them as texts.

    Raises
    ------
    StorageError
        If the file cannot be written; the old one is then untouched.
    """
    texts = {name: str(value) for name, value in (metadata or {}).items()}
    with tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory:
        # MindSpore insists on the suffix and deletes the old file before it writes the new one.
        written = Path(directory, "weights.ckpt")
        mindspore.save_checkpoint(network, str(written), append_dict=texts or None, crc_check=True)
        with write_file(path) as temporary:
            shutil.copyfile(written, temporary)


def _some(names: tuple[str, ...], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _broken(file: Path, size: int, error: BaseException) -> ModelFileError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelFileError(
        f"the model file {file} ({size} bytes) is truncated, damaged or no weights file "
        f"(.ckpt, .npz, .safetensors): {reason}"
    )


def _read_npz(file: Path) -> dict[str, NDArray[np.generic] | str]:
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_safetensors(file: Path) -> dict[str, NDArray[np.generic] | str]:
    with extra("mindspore", "reading .safetensors files"):
        from safetensors import SafetensorError, safe_open
    try:
        with safe_open(str(file), framework="numpy") as opened:
            entries = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            return entries | (opened.metadata() or {})
    except (SafetensorError, TypeError) as error:
        raise ValueError(str(error)) from error


def _read_checkpoint(file: Path) -> dict[str, NDArray[np.generic] | str]:
    with tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory:
        # MindSpore refuses a name without the suffix, such as Sedna's temporary ones.
        named = Path(directory, "weights.ckpt")
        named.symlink_to(file.resolve())
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - CRC_TRAILER_SIZE))
            has_checksum = stream.read(len(CRC_MARK)) == CRC_MARK
        entries = mindspore.load_checkpoint(str(named), crc_check=has_checksum)
    return {
        name: entry if isinstance(entry, str) else entry.asnumpy()
        for name, entry in entries.items()
    }


def _sort_out(file: Path, entries: Mapping[str, NDArray[np.generic] | str]) -> Weights:
    """Separate parameters, texts and optimizer state; refuse what is not a number."""
    arrays: dict[str, NDArray[np.generic]] = {}
    metadata: dict[str, str] = {}
    optimizer_state: list[str] = []
    for name, entry in entries.items():
        if isinstance(entry, str):
            metadata[name] = entry
        elif entry.dtype.kind in "US":
            metadata[name] = str(entry)
        elif _is_optimizer_state(name, entries):
            optimizer_state.append(name)
        elif entry.dtype.kind in "fc" and not np.isfinite(entry).all():
            raise ModelFileError(
                f"the model file {file} holds NaN or infinity in the parameter {name!r}: "
                "the training that wrote it diverged, or the file is damaged"
            )
        else:
            arrays[name] = entry
    return Weights(arrays, metadata, tuple(optimizer_state))


def _is_optimizer_state(name: str, entries: Mapping[str, object]) -> bool:
    slot = SLOTS.match(name)
    if slot and name[slot.end() :] in entries:
        return True
    return name.rpartition(".")[2] in TRAINING_NUMBERS


def _named_for(
    wanted: Mapping[str, Parameter], arrays: Mapping[str, NDArray[np.generic]]
) -> Mapping[str, NDArray[np.generic]]:
    """Translate the names of `arrays` where that makes more of them fit."""
    renamed = tinyms_names(arrays)
    direct = sum(name in wanted for name in arrays)
    translated = sum(name in wanted for name in renamed.values())
    if translated <= direct:
        return arrays
    return {renamed.get(name, name): array for name, array in arrays.items()}


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
            f"{_some(tuple(wanted), 2)}. {report}"
        )
    if differing and all(name.startswith(HEAD) for name in differing):
        classifier = next(iter(differing))
        raise ForeignModelError(
            f"the file is for {arrays[classifier].shape[0]} classes, the network has "
            f"{wanted[classifier].shape[0]}: build the network for as many classes as the file, "
            f"or load with skip_head=True to keep only the backbone. {report}"
        )
    if differing or (strict and report.missing):
        raise ForeignModelError(f"the file belongs to another network. {report}")
