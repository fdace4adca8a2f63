"""Networks, and what is done with them: training, weights on disk, export."""

from sedna_tinyms.tinyms.model.export import export_onnx
from sedna_tinyms.tinyms.model.mobilenetv2 import (
    MobileNetV2,
    MobileNetV2Backbone,
    MobileNetV2Head,
    mobilenetv2,
)
from sedna_tinyms.tinyms.model.model import Model, load
from sedna_tinyms.tinyms.model.weights import (
    LoadReport,
    Weights,
    load_weights,
    read_weights,
    save_weights,
)

__all__ = [
    "LoadReport",
    "MobileNetV2",
    "MobileNetV2Backbone",
    "MobileNetV2Head",
    "Model",
    "Weights",
    "export_onnx",
    "load",
    "load_weights",
    "mobilenetv2",
    "read_weights",
    "save_weights",
]
