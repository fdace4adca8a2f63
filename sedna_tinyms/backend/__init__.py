"""What Sedna calls: an estimator behind `TinyMSBackend`, `MSBackend` or `ONNXBackend`.

Each is imported when it is asked for, because only the first two need MindSpore.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sedna_tinyms.errors import extra

if TYPE_CHECKING:
    from sedna_tinyms.backend.mindspore_backend import MSBackend
    from sedna_tinyms.backend.onnx_backend import ONNXBackend
    from sedna_tinyms.backend.tinyms_backend import TinyMSBackend

__all__ = ["MSBackend", "ONNXBackend", "TinyMSBackend"]

HOMES = {
    "MSBackend": "mindspore_backend",
    "ONNXBackend": "onnx_backend",
    "TinyMSBackend": "tinyms_backend",
}
NEED_MINDSPORE = ("MSBackend", "TinyMSBackend")


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in NEED_MINDSPORE:
        with extra("mindspore", name):
            import_module("mindspore")
    value = globals()[name] = getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    return value
