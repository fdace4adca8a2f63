"""What all datasources share."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from sedna_tinyms.errors import DatasetError, StorageError
from sedna_tinyms.sedna.common.class_factory import ClassFactory, ClassType
from sedna_tinyms.sedna.common.file_ops import FileOps, read_bytes
from sedna_tinyms.sedna.common.log import LOGGER

__all__ = ["BaseDataSource"]


class BaseDataSource(ABC):
    """Samples and their labels.

    Parameters
    ----------
    data_type : str
        ``train``, ``eval``, ``valid`` or ``test``; a test set has no labels.
    func : callable or str, optional
        What to do with each raw sample; a name stands for a registered callback, which is called
        once, without arguments, to make the function.

    Attributes
    ----------
    x, y : array or None
        The samples and the labels; None before `parse`.
    meta_attr : object
        Free for the script's use.
    """

    def __init__(
        self, data_type: str = "train", func: Callable[..., Any] | str | None = None
    ) -> None:
        self.data_type = data_type
        self.process_func: Callable[..., Any] | None = (
            ClassFactory.get_cls(ClassType.CALLBACK, func)() if isinstance(func, str) else func
        )
        self.x: Any = None
        self.y: Any = None
        self.meta_attr: Any = None

    @abstractmethod
    def parse(self, *args: Any, **kwargs: Any) -> None:
        """Read the samples."""

    @property
    def is_test_data(self) -> bool:
        """Whether the samples have no labels."""
        return self.data_type == "test"

    def num_examples(self) -> int:
        """Count the samples; 0 before `parse`."""
        return 0 if self.x is None else len(self.x)

    def __len__(self) -> int:
        return self.num_examples()

    def save(self, output: str = "") -> str:
        """Write samples and labels as JSON, and return where."""
        if not output:
            raise StorageError(
                "a datasource was to be saved, but without a path to save it to",
                code="missing-value",
                name="output",
            )
        columns = {"x": self.x, "y": self.y}
        return FileOps.dump(
            {name: None if v is None else np.asarray(v).tolist() for name, v in columns.items()},
            output,
        )


def read_texts(sources: Iterable[str | os.PathLike[str] | None]) -> list[tuple[str, str]]:
    """Return the name and the text of each file; None and missing files are left out.

    A byte order mark is removed.

    Raises
    ------
    DatasetError
        If a file is no UTF-8 text.
    """
    texts = []
    for source in sources:
        if source is None:
            continue
        name = os.fspath(source)
        if not FileOps.is_remote(name) and not FileOps.exists(name):
            LOGGER.warning("the dataset file %s does not exist; it is left out", name)
            continue
        try:
            texts.append((name, read_bytes(name).decode("utf-8-sig")))
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"{name} is not UTF-8 text: {error}", code="not-utf8", path=name
            ) from error
    return texts


def as_array(items: list[Any]) -> Any:
    """Make an array of samples; rows of unequal length stay the objects that they are."""
    try:
        return np.array(items)
    except ValueError:
        return as_objects(items)


def as_objects(items: list[Any]) -> Any:
    """Make an array whose elements are the items themselves."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array
