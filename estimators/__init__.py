"""Ready-made estimators for Sedna's jobs: MobileNetV2 on the TinyMS core and on MindSpore.

>>> from estimators import TinyMSMobileNetV2
>>> estimator = TinyMSMobileNetV2(class_names=["croissant", "dog"], input_size=96, width=0.35)
"""

from estimators.mobilenetv2_mindspore import MindSporeMobileNetV2
from estimators.mobilenetv2_tinyms import TinyMSMobileNetV2
from estimators.prediction import Prediction
from estimators.samples import line_parser

__all__ = ["MindSporeMobileNetV2", "Prediction", "TinyMSMobileNetV2", "line_parser"]
