"""Index files: one sample a line."""

from __future__ import annotations

import os
from typing import Any

from sedna_tinyms.errors import DatasetError, Problems
from sedna_tinyms.sedna.datasources.base import BaseDataSource, as_array, read_texts

__all__ = ["TxtDataParse"]


class TxtDataParse(BaseDataSource):
    """Reads text files such as ``picture.jpg label``, one sample a line.

    Examples
    --------
    >>> data = TxtDataParse(data_type="train", func=lambda line: line.split(";"))
    """

    def parse(
        self,
        *files: str | os.PathLike[str] | None,
        use_raw: bool | None = None,
        **_kwargs: Any,
    ) -> None:
        """Read the samples of all files together; blank lines are none.

        A line is split at white space, or handed to `func`; the first part is the sample and the
        second its label. If no line of any file has a label, all labels are 0.

        Parameters
        ----------
        *files : str or path or None
            Paths or URLs; None and missing files are left out.
        use_raw : bool, optional
            Take each line, or what `func` makes of it, as the sample; there are no labels then.

        Raises
        ------
        DatasetError
            If some lines have a label and others do not: a label is never made up.
        """
        samples: list[Any] = []
        labels: list[Any] = []
        unlabelled = Problems()
        for name, text in read_texts(files):
            # As Sedna counts: splitlines() parts lines at U+2028 and form feeds too.
            for number, line in enumerate(text.split("\n"), 1):
                item = self._item(line.strip())
                if item is None:
                    continue
                if use_raw:
                    samples.append(item)
                    continue
                parts = [item] if isinstance(item, str) or not hasattr(item, "__len__") else item
                samples.append(parts[0])
                if self.is_test_data:
                    continue
                labels.append(parts[1] if len(parts) > 1 else 0)
                if len(parts) < 2:
                    unlabelled.add(
                        f"{name}:{number}: {line.strip()!r} has no label",
                        code="missing-label",
                        path=str(name),
                        line=number,
                    )
        if len(unlabelled.lines) < len(labels):
            unlabelled.raise_as(DatasetError, "some samples have no label")
        self.x, self.y = as_array(samples), as_array(labels)

    def _item(self, line: str) -> Any:
        """Return what a line says, or None if that is nothing."""
        if not line:
            return None
        item = line.split() if self.process_func is None else self.process_func(line)
        return None if item is None or (hasattr(item, "__len__") and not len(item)) else item
