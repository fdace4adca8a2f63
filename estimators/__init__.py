"""Ready-made estimators for Sedna's jobs: MobileNetV2 on the TinyMS core, on MindSpore, as ONNX.

>>> from estimators import TinyMSMobileNetV2
>>> estimator = TinyMSMobileNetV2(class_names=["croissant", "dog"], input_size=96, width=0.35)

Each is imported when it is asked for, because only those that train need MindSpore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sedna_tinyms.lazy import imported_when_used

if TYPE_CHECKING:
    from estimators.mobilenetv2_mindspore import MindSporeMobileNetV2
    from estimators.mobilenetv2_tinyms import TinyMSMobileNetV2
    from estimators.onnx_classifier import OnnxClassifier
    from estimators.prediction import Prediction
    from estimators.samples import line_parser

__all__ = [
    "MindSporeMobileNetV2",
    "OnnxClassifier",
    "Prediction",
    "TinyMSMobileNetV2",
    "line_parser",
]

HOMES = {
    "MindSporeMobileNetV2": "mobilenetv2_mindspore",
    "OnnxClassifier": "onnx_classifier",
    "Prediction": "prediction",
    "TinyMSMobileNetV2": "mobilenetv2_tinyms",
    "line_parser": "samples",
}

__getattr__ = imported_when_used(
    __name__, HOMES, need_mindspore=("MindSporeMobileNetV2", "TinyMSMobileNetV2")
)
