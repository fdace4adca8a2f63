"""The data sets that `download_dataset` knows: where they are, and how to tell they are whole.

Sizes and digests: MNIST's are of the unpacked files, because its mirrors have compressed them
anew; CIFAR's and VOC's are of the archives, as TensorFlow Datasets lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sedna_tinyms.artifact.fetch import check_sha256
from sedna_tinyms.artifact.unpack import read_gzip, unpack_tar

__all__ = ["DATASETS", "Archive", "DatasetSource", "GzipFile", "TarArchive"]


class Archive(Protocol):
    """One file to download."""

    @property
    def name(self) -> str:
        """Its file name, under every mirror."""

    @property
    def most_bytes(self) -> int:
        """How large it can be."""

    @property
    def unpacked_bytes(self) -> int:
        """How much its content can take."""

    def check(self, path: Path) -> None:
        """Raise `DownloadError` unless this is the right file."""

    def unpack(self, path: Path, directory: Path) -> None:
        """Put its content below a directory."""


@dataclass(frozen=True)
class TarArchive:
    """A ``.tar`` or ``.tar.gz`` of which the archive itself is known."""

    name: str
    most_bytes: int
    sha256: str
    unpacked_bytes: int
    members: int

    def check(self, path: Path) -> None:
        """Compare its digest."""
        check_sha256(path, self.sha256)

    def unpack(self, path: Path, directory: Path) -> None:
        """Unpack it as `directory`, which must not exist."""
        unpack_tar(path, directory, most_bytes=self.unpacked_bytes, most_members=self.members)


@dataclass(frozen=True)
class GzipFile:
    """A ``.gz`` of which the content is known, and goes to `place`."""

    name: str
    place: str
    unpacked_bytes: int
    sha256: str

    @property
    def most_bytes(self) -> int:
        """A compressed file is no larger than its content, but for a header."""
        return self.unpacked_bytes + (1 << 16)

    def check(self, path: Path) -> None:
        """Unpack it to nowhere and compare the content's digest."""
        check_sha256(read_gzip(path, most_bytes=self.unpacked_bytes), self.sha256)

    def unpack(self, path: Path, directory: Path) -> None:
        """Write its content to its place below `directory`."""
        target = directory / self.place
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for chunk in read_gzip(path, most_bytes=self.unpacked_bytes):
                file.write(chunk)


@dataclass(frozen=True)
class DatasetSource:
    """A data set on the network, and what it is on disk.

    Attributes
    ----------
    mirrors : tuple of str
        Addresses of directories that hold the archives.
    archives : tuple of Archive
        What to download and unpack, all into one directory.
    contents : mapping
        Paths below that directory: the bytes of a file, or the least number of entries of a
        directory.
    directory : str
        Where the data begins below that directory.
    links : mapping
        Paths below that directory: the other paths that they lead to.
    """

    mirrors: tuple[str, ...]
    archives: tuple[Archive, ...]
    contents: Mapping[str, int]
    directory: str = ""
    links: Mapping[str, str] = field(default_factory=dict)

    def lacking(self, root: Path) -> list[str]:
        """Say what is missing or of the wrong size below a directory."""
        return [
            f"{place}: {fault}"
            for place, expected in self.contents.items()
            if (fault := _fault(root / place, expected))
        ]


def _fault(path: Path, expected: int) -> str:
    if path.is_dir():
        entries = sum(1 for _ in path.iterdir())
        return f"{entries} entries instead of {expected}" if entries < expected else ""
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    return f"{size} bytes instead of {expected}" if size != expected else ""


CIFAR10_BATCH = 10_000 * (1 + 3 * 32 * 32)
CIFAR100_RECORD = 2 + 3 * 32 * 32
TORONTO = "https://www.cs.toronto.edu/~kriz"
MINDSPORE = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets"

DATASETS: Mapping[str, DatasetSource] = {
    "mnist": DatasetSource(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        archives=(
            GzipFile(
                "train-images-idx3-ubyte.gz",
                "train/train-images-idx3-ubyte",
                47_040_016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            GzipFile(
                "train-labels-idx1-ubyte.gz",
                "train/train-labels-idx1-ubyte",
                60_008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            GzipFile(
                "t10k-images-idx3-ubyte.gz",
                "test/t10k-images-idx3-ubyte",
                7_840_016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            GzipFile(
                "t10k-labels-idx1-ubyte.gz",
                "test/t10k-labels-idx1-ubyte",
                10_008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        contents={
            "train/train-images-idx3-ubyte": 47_040_016,
            "train/train-labels-idx1-ubyte": 60_008,
            "test/t10k-images-idx3-ubyte": 7_840_016,
            "test/t10k-labels-idx1-ubyte": 10_008,
        },
        # TinyMS's README reads the directory itself; the training set is what it means.
        links={
            "train-images-idx3-ubyte": "train/train-images-idx3-ubyte",
            "train-labels-idx1-ubyte": "train/train-labels-idx1-ubyte",
        },
    ),
    "cifar10": DatasetSource(
        mirrors=(TORONTO, MINDSPORE),
        archives=(
            TarArchive(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                unpacked_bytes=190_000_000,
                members=20,
            ),
        ),
        contents={
            **{
                f"cifar-10-batches-bin/data_batch_{number}.bin": CIFAR10_BATCH
                for number in range(1, 6)
            },
            "cifar-10-batches-bin/test_batch.bin": CIFAR10_BATCH,
        },
        directory="cifar-10-batches-bin",
    ),
    "cifar100": DatasetSource(
        mirrors=(TORONTO, MINDSPORE),
        archives=(
            TarArchive(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                unpacked_bytes=190_000_000,
                members=20,
            ),
        ),
        contents={
            "cifar-100-binary/train.bin": 50_000 * CIFAR100_RECORD,
            "cifar-100-binary/test.bin": 10_000 * CIFAR100_RECORD,
        },
        directory="cifar-100-binary",
    ),
    "voc": DatasetSource(
        mirrors=(
            "https://thor.robots.ox.ac.uk/pascal/VOC/voc2007",
            "https://pjreddie.com/media/files",
        ),
        archives=(
            TarArchive(
                "VOCtrainval_06-Nov-2007.tar",
                460_032_000,
                "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
                unpacked_bytes=460_032_000,
                members=12_000,
            ),
        ),
        contents={
            "VOCdevkit/VOC2007/Annotations": 5011,
            "VOCdevkit/VOC2007/JPEGImages": 5011,
        },
        directory="VOCdevkit/VOC2007",
    ),
}
