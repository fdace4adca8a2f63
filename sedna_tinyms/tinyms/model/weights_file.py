"""A weights file: what it holds, reading and writing it.

Three formats are read, told apart by content rather than by name: MindSpore's ``.ckpt``, NumPy's
``.npz`` (never with pickle) and ``.safetensors``. MindSpore's is written.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import mindspore
import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from sedna_tinyms.artifact.files import write_file
from sedna_tinyms.artifact.npz import read_npz
from sedna_tinyms.collector import collector_paused
from sedna_tinyms.errors import ModelFileError, extra

__all__ = ["Weights", "read_weights", "save_weights"]

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
        raise ModelFileError(
            f"the model file {file} is a directory; name a file in it",
            code="not-a-file",
            path=str(file),
        ) from None
    except FileNotFoundError:
        raise ModelFileError(
            f"the model file {file} does not exist", code="missing-file", path=str(file)
        ) from None
    except OSError as error:
        raise ModelFileError(
            f"the model file {file} cannot be opened: {error}",
            code="unreadable-file",
            path=str(file),
        ) from error
    if size == 0:
        raise ModelFileError(
            f"the model file {file} is empty (0 bytes)", code="empty", path=str(file)
        )

    read: Callable[[Path], Mapping[str, NDArray[np.generic] | str]] = _read_checkpoint
    if head.startswith(b"PK\x03\x04"):
        read = read_npz
    elif head[8:9] == b"{":
        read = _read_safetensors
    try:
        entries = read(file)
    except (OSError, ValueError, KeyError, EOFError, MemoryError) as error:
        raise _broken(file, size, error) from error
    if not entries:
        raise ModelFileError(
            f"the model file {file} ({size} bytes) holds no parameters",
            code="empty",
            path=str(file),
        )
    return _sort_out(file, entries)


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
    with (
        write_file(path) as temporary,
        tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory,
        collector_paused(),
    ):
        # MindSpore insists on the suffix and deletes the old file before it writes the new one.
        written = Path(directory, "weights.ckpt")
        mindspore.save_checkpoint(network, str(written), append_dict=texts or None, crc_check=True)
        shutil.copyfile(written, temporary)


def _broken(file: Path, size: int, error: BaseException) -> ModelFileError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelFileError(
        f"the model file {file} ({size} bytes) is truncated, damaged or no weights file "
        f"(.ckpt, .npz, .safetensors): {reason}",
        code="damaged",
        path=str(file),
        size=size,
    )


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
                "the training that wrote it diverged, or the file is damaged",
                code="not-finite",
                path=str(file),
                name=name,
            )
        else:
            arrays[name] = entry
    return Weights(arrays, metadata, tuple(optimizer_state))


def _is_optimizer_state(name: str, entries: Mapping[str, object]) -> bool:
    slot = SLOTS.match(name)
    if slot and name[slot.end() :] in entries:
        return True
    return name.rpartition(".")[2] in TRAINING_NUMBERS
