import numpy as np
import pytest
from mindspore import Tensor, nn

from sedna_tinyms.errors import DatasetError
from sedna_tinyms.tinyms.data import NumpySlicesDataset
from sedna_tinyms.tinyms.model import settle_normalization

PICTURES = np.random.RandomState(0).randn(24, 3, 8, 8).astype(np.float32) * 9 + 4


def network(momentum=0.97):
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=momentum), nn.ReLU()]
    layers += [nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2, momentum=0.5)]
    return nn.SequentialCell(layers)


def batches(pictures=PICTURES, size=8):
    labels = np.zeros(len(pictures), np.int32)
    return NumpySlicesDataset((pictures, labels), shuffle=False).batch(size)


def predicted(built):
    return built.set_train(False)(Tensor(PICTURES)).asnumpy()


@pytest.mark.parametrize("momentum", [0.1, 0.97])
def test_predictions_are_those_of_training_at_once_and_weights_stay(momentum):
    built = network(momentum).set_train(False)
    weights = [p.asnumpy().copy() for p in built.trainable_params()]
    settle_normalization(built, batches(size=24))
    assert not built.training
    for parameter, before in zip(built.trainable_params(), weights, strict=True):
        np.testing.assert_array_equal(parameter.asnumpy(), before)
    settled = predicted(built)
    trained = built.set_train(True)(Tensor(PICTURES)).asnumpy()
    # The variance for prediction is that of all pictures there are: n / (n - 1) of the batch's.
    np.testing.assert_allclose(settled, trained, atol=5e-3)


def test_several_batches_are_averaged_up_to_the_number_asked_for():
    whole, first = network(), network()
    for built in (whole, first):
        for parameter, value in zip(built.get_parameters(), network_values(), strict=True):
            parameter.set_data(Tensor(value))
    settle_normalization(whole, batches())
    settle_normalization(first, batches(), batches=1)
    pixels = whole[0](Tensor(PICTURES)).asnumpy()
    means = [pixels[i : i + 8].mean((0, 2, 3)) for i in (0, 8, 16)]
    np.testing.assert_allclose(whole[1].moving_mean.asnumpy(), np.mean(means, 0), rtol=1e-4)
    np.testing.assert_allclose(first[1].moving_mean.asnumpy(), means[0], rtol=1e-4)


def network_values():
    draw = np.random.RandomState(1)
    return [draw.rand(*p.shape).astype(np.float32) + 0.5 for p in network().get_parameters()]


def test_without_a_batch_everything_stays(raises):
    built = network()
    before = predicted(built)
    with raises(DatasetError, "empty"):
        settle_normalization(built, batches(), batches=0)
    with pytest.raises(RuntimeError, match="Conv2D"):
        settle_normalization(built, batches(PICTURES[:, :2]))
    np.testing.assert_array_equal(predicted(built), before)
