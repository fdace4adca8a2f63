"""TinyMS's functions that build a classifier, whose networks have nothing else to set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mindspore import nn

from sedna_tinyms.tinyms.keywords import refuse_unknown

__all__ = ["classifier_factory"]

Classifier = TypeVar("Classifier", bound=nn.Cell)


def classifier_factory(
    name: str, network: Callable[[int], Classifier]
) -> Callable[..., Classifier]:
    """Return the function `name`, which builds a `network` for a number of classes."""

    def build(
        class_num: int = 10,
        is_training: bool = True,  # noqa: ARG001 - TinyMS's server passes it to every network
        **keywords: Any,
    ) -> Classifier:
        refuse_unknown(name, keywords, ["class_num", "is_training"])
        return network(class_num)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"""Build the network `{name}`; it gives logits, whatever `is_training`.

    Raises
    ------
    ConfigurationError
        If a keyword is unknown, or `class_num` out of its range.
    """
    return build
