"""The name of a published model: ``publisher/version/model_modelversion_dataset``."""

from __future__ import annotations

import re
from typing import NamedTuple

from sedna_tinyms.errors import ConfigurationError

__all__ = ["Uid"]

# The parts become a path, so they begin with a letter or digit: "..", "" and "/etc" are no parts.
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


class Uid(NamedTuple):
    """The parts of a uid, such as ``tinyms/0.2/lenet5_v1_mnist``."""

    publisher: str
    version: str
    network: str
    network_version: str
    dataset: str

    @classmethod
    def parse(cls, text: str) -> Uid:
        """Take a uid apart.

        Raises
        ------
        ConfigurationError
            If it is not of the form ``publisher/version/model_modelversion_dataset``.
        """
        parts = text.split("/") if isinstance(text, str) else []
        if len(parts) == 3 and all(PART.fullmatch(part) for part in parts[:2]):
            network, *words = parts[2].rsplit("_", 2)
            if len(words) == 2 and all(WORD.fullmatch(w) for w in (*network.split("_"), *words)):
                return cls(parts[0], parts[1], network, *words)
        raise ConfigurationError(
            f"{text!r} names no published model: it must be "
            "publisher/version/model_modelversion_dataset, such as tinyms/0.2/lenet5_v1_mnist, "
            "of letters, digits, '.', '-' and '+'",
            code="invalid-value",
            name="uid",
            value=text,
        )

    @property
    def model(self) -> str:
        """The third part, which names the asset file."""
        return f"{self.network}_{self.network_version}_{self.dataset}"

    def __str__(self) -> str:
        return f"{self.publisher}/{self.version}/{self.model}"
