"""Softmax regression: the gradient by hand and the one that MindSpore derives are the same.

python examples/graphs/softmax_regression.py [--data FOLDER_OF_MNIST]
"""

from __future__ import annotations

import argparse

import numpy as np
from digits import Labels, Pictures, add_data_options, load_digits
from mindspore import Tensor
from numpy.typing import NDArray

from sedna_tinyms.tinyms.primitives import cross_entropy, jit, matmul, value_and_grad

Array = NDArray[np.float32]


def loss_of(weight: Tensor, bias: Tensor, pictures: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross entropy of a linear classifier."""
    return cross_entropy(matmul(pictures, weight) + bias, labels)


def gradient_by_hand(
    weight: Array, bias: Array, pictures: Pictures, labels: Labels
) -> tuple[Array, Array]:
    """Return the same loss's derivatives: X'(P - Y) / n and the mean of P - Y."""
    scores = pictures @ weight + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    error = powers / powers.sum(axis=1, keepdims=True)
    error[np.arange(len(labels)), labels] -= 1
    return pictures.T @ error / len(labels), error.mean(axis=0)


def main() -> None:
    """Compare the gradients, then descend along MindSpore's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data_options(parser)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()

    pictures, labels = load_digits(options.data, options.count)
    test_pictures, test_labels = load_digits(options.data, 1000, "t10k")
    inputs = pictures.reshape(len(pictures), -1)
    draw = np.random.default_rng(1)
    weight, bias = draw.normal(0, 0.01, (784, 10)).astype(np.float32), np.zeros(10, np.float32)

    # The derivative of a function is a function: of its first two arguments here. `jit` compiles
    # loss and derivative together into one graph.
    loss_and_gradient = jit(value_and_grad(loss_of, grad_position=(0, 1)))

    data = Tensor(inputs), Tensor(labels)
    _, derived = loss_and_gradient(Tensor(weight), Tensor(bias), *data)
    for name, ours, theirs in zip(
        ("weight", "bias"), gradient_by_hand(weight, bias, inputs, labels), derived, strict=True
    ):
        difference = np.abs(ours - theirs.asnumpy()).max()
        print(f"d loss / d {name:6}  largest {np.abs(ours).max():.4f}, differs by {difference:.1e}")

    for step in range(1, options.steps + 1):
        loss, gradients = loss_and_gradient(Tensor(weight), Tensor(bias), *data)
        weight -= 0.5 * gradients[0].asnumpy()
        bias -= 0.5 * gradients[1].asnumpy()
        if step in (1, options.steps // 2, options.steps):
            print(f"step {step:4}  loss {float(loss.asnumpy()):.3f}")

    scores = test_pictures.reshape(len(test_pictures), -1) @ weight + bias
    print(f"accuracy on {len(test_labels)} others: {(scores.argmax(1) == test_labels).mean():.3f}")


if __name__ == "__main__":
    main()
