"""Text for data pipelines, from `mindspore.dataset.text`, and transforms of any data."""

from typing import TYPE_CHECKING

from mindspore.dataset.text import (
    JiebaTokenizer,
    Lookup,
    Ngram,
    PythonTokenizer,
    SentencePieceModel,
    SentencePieceTokenizer,
    SentencePieceVocab,
    SlidingWindow,
    SPieceTokenizerLoadType,
    SPieceTokenizerOutType,
    ToNumber,
    TruncateSequencePair,
    UnicodeCharTokenizer,
    Vocab,
    WordpieceTokenizer,
    to_bytes,
    to_str,
)
from mindspore.dataset.transforms import (
    Compose,
    Concatenate,
    Duplicate,
    Fill,
    Mask,
    OneHot,
    PadEnd,
    RandomApply,
    RandomChoice,
    Slice,
    TypeCast,
    Unique,
)

from sedna_tinyms.tinyms.left_out import left_out

__all__ = [
    "Compose",
    "Concatenate",
    "Duplicate",
    "Fill",
    "JiebaTokenizer",
    "Lookup",
    "Mask",
    "Ngram",
    "OneHot",
    "PadEnd",
    "PythonTokenizer",
    "RandomApply",
    "RandomChoice",
    "SPieceTokenizerLoadType",
    "SPieceTokenizerOutType",
    "SentencePieceModel",
    "SentencePieceTokenizer",
    "SentencePieceVocab",
    "Slice",
    "SlidingWindow",
    "ToNumber",
    "TruncateSequencePair",
    "TypeCast",
    "UnicodeCharTokenizer",
    "Unique",
    "Vocab",
    "WordpieceTokenizer",
    "to_bytes",
    "to_str",
]

if not TYPE_CHECKING:  # mypy would take any name for one of this module
    __getattr__ = left_out(__name__)
