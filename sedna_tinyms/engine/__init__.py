"""Inference behind one small face: ONNX Runtime, OpenVINO or MindSpore.

`open_engine` opens an ONNX file on the engine asked for, or on the fastest installed; none of that
imports MindSpore. `mindspore_engine.MindSporeEngine` is handed a network.
"""

from __future__ import annotations

from sedna_tinyms.engine.choice import Choice
from sedna_tinyms.engine.cpu import usable_cores
from sedna_tinyms.engine.engine import Engine
from sedna_tinyms.engine.opening import available_engines, choose_engine, open_engine
from sedna_tinyms.engine.quantization import QuantizationReport, quantize

__all__ = [
    "Choice",
    "Engine",
    "QuantizationReport",
    "available_engines",
    "choose_engine",
    "open_engine",
    "quantize",
    "usable_cores",
]
