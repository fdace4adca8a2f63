"""MobileNetV2's graph, written node by node from its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sedna_tinyms.errors import ConfigurationError, ForeignModelError, extra

if TYPE_CHECKING:
    import onnx
    from mindspore import nn

__all__ = ["BACKBONE_CELLS", "Array", "GraphWriter", "Weights"]

BACKBONE_CELLS = 19
"""The stem, 17 inverted residual blocks, the last convolution."""

STRIDED_CELLS = (0, 2, 4, 7, 14)
"""The cells of the backbone that halve height and width (Sandler et al. 2018, table 2)."""

EPSILON = 1e-5
"""Of MindSpore's BatchNorm2d."""

OPSET, IR_VERSION = 13, 8
"""Old enough for every runtime of the last years; quantisation by channel needs opset 13."""

Array: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = Mapping[str, Array]


class GraphWriter:
    """Collects a graph's nodes and weights, following the size and channels of what flows."""

    def __init__(
        self,
        network: nn.Cell | Weights,
        input_size: int,
        pad_mode: str | None,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
    ) -> None:
        with extra("mindspore", "writing ONNX"):
            import onnx
            from onnx import numpy_helper
        self._onnx, self._to_tensor = onnx, numpy_helper.from_array
        if isinstance(network, Mapping):
            self._weights = network
        else:
            self._weights = {p.name: p.asnumpy() for p in network.get_parameters()}
            own = network.backbone.backbone[0].features[0].pad_mode
            if pad_mode not in (None, own):
                raise ConfigurationError(
                    f"pad_mode is {pad_mode!r}; the network's is {own!r}",
                    code="conflict",
                    name="pad_mode",
                    value=pad_mode,
                    expected=own,
                )
            pad_mode = own
        self._pad_mode = pad_mode or "pad"
        _check(input_size, self._pad_mode, mean, std)
        self._input_size = self.size = input_size
        self._mean, self._std = mean, std
        self.channels = 3
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]

    def backbone(self, cut: int) -> str:
        """Write the input and the first `cut` cells; return the name of the last output."""
        x = "pixels"
        if self._mean is not None:
            mean = np.array(self._mean, np.float32)[:, None, None]
            x = self.node("Cast", [x], "pixels.float", to=self._onnx.TensorProto.FLOAT)
            x = self.node("Sub", [x, self.constant("mean", mean)], "pixels.centred")
        for cell in range(cut):
            prefix = f"backbone.backbone.{cell}"
            stride = 2 if cell in STRIDED_CELLS else 1
            if cell in (0, BACKBONE_CELLS - 1):
                x = self._convolution(x, f"{prefix}.features.0", f"{prefix}.features.1", stride)
            else:
                x = self._block(x, f"{prefix}.conv", stride)
        return x

    def _block(self, x: str, prefix: str, stride: int) -> str:
        """Write an inverted residual block: expand, filter by channel, project, add."""
        entering, channels = x, self.channels
        expands = f"{prefix}.3.gamma" in self._weights
        if expands:
            x = self._convolution(x, f"{prefix}.0.features.0", f"{prefix}.0.features.1", 1)
        depthwise = f"{prefix}.{int(expands)}.features"
        x = self._convolution(x, f"{depthwise}.0", f"{depthwise}.1", stride)
        projection, norm = (f"{prefix}.{int(expands) + number}" for number in (1, 2))
        x = self._convolution(x, projection, norm, 1, activated=False)
        if stride == 1 and channels == self.channels:
            x = self.node("Add", [entering, x], f"{prefix}.sum")
        return x

    def _convolution(
        self, x: str, convolution: str, norm: str, stride: int, *, activated: bool = True
    ) -> str:
        """Write a convolution with its batch normalization folded in, and ReLU6 after it."""
        weight = self.weight(f"{convolution}.weight")
        scale = self.weight(f"{norm}.gamma") / np.sqrt(
            self.weight(f"{norm}.moving_variance") + np.float32(EPSILON)
        )
        bias = self.weight(f"{norm}.beta") - self.weight(f"{norm}.moving_mean") * scale
        weight = weight * scale[:, None, None, None]
        if x == "pixels.centred":  # dividing pixels by std is dividing the stem's weights
            weight = weight / np.array(self._std, np.float32)[:, None, None]
        kernel = weight.shape[-1]
        names = [
            self.constant(f"{convolution}.weight", weight),
            self.constant(f"{convolution}.bias", bias),
        ]
        pads = self._pads(kernel, stride)
        x = self.node(
            "Conv",
            [x, *names],
            convolution,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=pads,
            group=1 if weight.shape[1] == self.channels else len(weight),
        )
        self.size = (self.size + pads[0] + pads[2] - kernel) // stride + 1
        self.channels = len(weight)
        return self.node("Clip", [x, *self._limits], f"{convolution}.relu6") if activated else x

    def _pads(self, kernel: int, stride: int) -> list[int]:
        """Return the padding at top, left, bottom and right."""
        if self._pad_mode == "pad":
            return [(kernel - 1) // 2] * 4
        # As TensorFlow: the output has ceil(size / stride), what is odd goes to the end.
        total = max(0, (-(-self.size // stride) - 1) * stride + kernel - self.size)
        return [total // 2, total // 2, total - total // 2, total - total // 2]

    def pool(self, x: str) -> str:
        """Write the mean over height and width: (N, C, 1, 1)."""
        self.size = 1
        return self.node("GlobalAveragePool", [x], "pooled")

    def weight(self, name: str) -> Array:
        """Return a parameter of the network."""
        try:
            return np.asarray(self._weights[name], np.float32)
        except KeyError:
            raise ForeignModelError(
                f"these are not a MobileNetV2's weights: {name} is missing among "
                f"{len(self._weights)} parameters",
                code="foreign-model",
                name=name,
            ) from None

    def constant(self, name: str, array: Array | np.float32) -> str:
        """Store an array in the file; return its name."""
        self._initializers.append(self._to_tensor(np.asarray(array, np.float32, order="C"), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Write one node; return the name of its output."""
        made = self._onnx.helper.make_node(operator, inputs, [output], output, **attributes)
        self._nodes.append(made)
        return output

    def rename_last(self, output: str) -> None:
        """Give the last node's output another name."""
        self._nodes[-1].output[0] = output

    def model(
        self,
        outputs: Mapping[str, tuple[int, ...]],
        metadata: Mapping[str, str | int | float] | None,
    ) -> bytes:
        """Return the whole as a file's content."""
        onnx, helper = self._onnx, self._onnx.helper
        numbers = onnx.TensorProto
        size = self._input_size
        kind = numbers.FLOAT if self._mean is None else numbers.UINT8
        graph = helper.make_graph(
            self._nodes,
            "MobileNetV2",
            [helper.make_tensor_value_info("pixels", kind, ["batch", 3, size, size])],
            [
                helper.make_tensor_value_info(name, numbers.FLOAT, ["batch", *shape])
                for name, shape in outputs.items()
            ],
            self._initializers,
        )
        made = helper.make_model(
            graph,
            producer_name="sedna-tinyms",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(made, {name: str(value) for name, value in (metadata or {}).items()})
        return bytes(made.SerializeToString())


def _check(
    input_size: int, pad_mode: str, mean: Sequence[float] | None, std: Sequence[float] | None
) -> None:
    if input_size < 32:
        raise ConfigurationError(
            f"input_size is {input_size}; it must be at least 32",
            code="out-of-range",
            name="input_size",
            value=input_size,
        )
    if pad_mode not in ("pad", "same"):
        raise ConfigurationError(
            f"pad_mode is {pad_mode!r}; it must be 'pad' or 'same'",
            code="unknown-name",
            name="pad_mode",
            value=pad_mode,
            valid=("pad", "same"),
        )
    if (mean is None) != (std is None):
        raise ConfigurationError(
            "mean and std belong together: give both or neither",
            code="missing-value",
            name="mean" if mean is None else "std",
        )
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) != 3:
            raise ConfigurationError(
                f"{name} is {values!r}; it must be three numbers",
                code="wrong-length",
                name=name,
                value=values,
                expected=3,
            )
