"""What Sedna calls: an estimator behind `TinyMSBackend`, `MSBackend` or `ONNXBackend`.

Each is imported when it is asked for, because only the first two need MindSpore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sedna_tinyms.lazy import imported_when_used

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

__getattr__ = imported_when_used(__name__, HOMES, need_mindspore=("MSBackend", "TinyMSBackend"))
