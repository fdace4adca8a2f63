"""A small MobileNetV2's weights under the names of other libraries, drawn from a fixed seed."""

import numpy as np

STAGES = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
WIDTH, LAST, CLASSES = 0.25, 48, 5


def rounded(channels):
    nearest = max(8, int(channels * WIDTH + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels * WIDTH else nearest


def layers():
    """Yield (torchvision name, MindCV name, shape) of convolutions; a batch norm follows each."""
    yield "features.0.0", "features.0", (rounded(32), 3, 3, 3)
    channels, block = rounded(32), 0
    for expansion, base, repeats in STAGES:
        for _ in range(repeats):
            block += 1
            hidden, out = channels * expansion, rounded(base)
            torch, mindcv = f"features.{block}.conv", f"features.{block + 2}.layers"
            if expansion != 1:
                yield f"{torch}.0.0", f"{mindcv}.0", (hidden, channels, 1, 1)
            depthwise, projection = (0, 1) if expansion == 1 else (1, 2)
            yield f"{torch}.{depthwise}.0", f"{mindcv}.{3 * depthwise}", (hidden, 1, 3, 3)
            yield f"{torch}.{projection}", f"{mindcv}.{3 * projection}", (out, hidden, 1, 1)
            channels = out
    yield "features.18.0", "features.20", (LAST, channels, 1, 1)


def following(name):
    """Return the name of the layer after `name`: its last number plus one."""
    stem, _, number = name.rpartition(".")
    return f"{stem}.{int(number) + 1}"


def arrays():
    """Yield (torchvision name, MindCV name, array), always the same ones."""
    draw = np.random.RandomState(7)
    for torch, mindcv, shape in layers():
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        yield f"{torch}.weight", f"{mindcv}.weight", draw.randn(*shape) * deviation
        torch, mindcv, n = following(torch), following(mindcv), shape[0]
        yield f"{torch}.weight", f"{mindcv}.gamma", draw.uniform(0.5, 1.5, n)
        yield f"{torch}.bias", f"{mindcv}.beta", draw.randn(n) * 0.1
        yield f"{torch}.running_mean", f"{mindcv}.moving_mean", draw.randn(n) * 0.1
        yield f"{torch}.running_var", f"{mindcv}.moving_variance", draw.uniform(0.5, 1.5, n)
    yield "classifier.1.weight", "classifier.1.weight", draw.randn(CLASSES, LAST)
    yield "classifier.1.bias", "classifier.1.bias", draw.randn(CLASSES)


def torchvision_weights():
    return {name: array.astype(np.float32) for name, _, array in arrays()}


def mindcv_weights():
    return {name: array.astype(np.float32) for _, name, array in arrays()}


def pictures():
    return np.random.RandomState(8).randn(2, 3, 40, 40).astype(np.float32)
