"""Networks, and what is done with them: training, weights on disk, export.

BERT, DeepFM, the sentiment network and CycleGAN's networks of TinyMS are left out; see `left_out`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sedna_tinyms.tinyms.left_out import left_out
from sedna_tinyms.tinyms.model.alexnet import AlexNet, alexnet
from sedna_tinyms.tinyms.model.densenet import DenseNet100, densenet100
from sedna_tinyms.tinyms.model.export import export_onnx
from sedna_tinyms.tinyms.model.lenet5 import LeNet5, lenet5
from sedna_tinyms.tinyms.model.mobilenetv2 import (
    MobileNetV2,
    MobileNetV2Backbone,
    MobileNetV2Head,
    mobilenetv2,
    mobilenetv2_infer,
)
from sedna_tinyms.tinyms.model.model import Model, load
from sedna_tinyms.tinyms.model.normalization import settle_normalization
from sedna_tinyms.tinyms.model.ssd300 import (
    SSD300,
    SSD300Detector,
    ssd300_infer,
    ssd300_mobilenetv2,
)
from sedna_tinyms.tinyms.model.weights import (
    LoadReport,
    Weights,
    load_weights,
    read_weights,
    save_weights,
)
from sedna_tinyms.tinyms.model.zoo import (
    create_model,
    list_models,
    resnet50,
    vgg11,
    vgg13,
    vgg16,
    vgg19,
)

__all__ = [
    "SSD300",
    "AlexNet",
    "DenseNet100",
    "LeNet5",
    "LoadReport",
    "MobileNetV2",
    "MobileNetV2Backbone",
    "MobileNetV2Head",
    "Model",
    "SSD300Detector",
    "Weights",
    "alexnet",
    "create_model",
    "densenet100",
    "export_onnx",
    "lenet5",
    "list_models",
    "load",
    "load_weights",
    "mobilenetv2",
    "mobilenetv2_infer",
    "read_weights",
    "resnet50",
    "save_weights",
    "settle_normalization",
    "ssd300_infer",
    "ssd300_mobilenetv2",
    "vgg11",
    "vgg13",
    "vgg16",
    "vgg19",
]

if not TYPE_CHECKING:  # mypy would take any name for one of this module
    __getattr__ = left_out(__name__)
