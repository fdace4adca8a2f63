import numpy as np
import pytest

from sedna_tinyms.learning.softmax_regression import softmax_regression
from sedna_tinyms.learning.strategies.head import domain_shares


def blobs(count, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = 4 * np.eye(3, 5)
    return (centres[labels] + rng.normal(size=(count, 5))).astype(np.float32), labels


def nothing(classes=3, size=5):
    return np.zeros((classes, size), np.float32), np.zeros(classes, np.float32)


def test_the_optimum_is_the_same_from_wherever_it_starts():
    features, labels = blobs(60)
    weight, bias, losses = softmax_regression(features, labels, nothing(), penalty=0.01)
    assert losses[-1] < losses[0] == pytest.approx(np.log(3), rel=1e-5)
    far = (np.full((3, 5), 2, np.float32), np.array([5, -5, 0], np.float32))
    other, _, _ = softmax_regression(features, labels, far, penalty=0.01)
    np.testing.assert_allclose(weight, other, atol=0.05)
    test, truth = blobs(90, seed=1)
    assert np.mean((test @ weight.T + bias).argmax(1) == truth) >= 0.9
    _, _, again = softmax_regression(features, labels, (weight, bias), penalty=0.01)
    assert len(again) < len(losses) / 2


def test_a_stronger_penalty_gives_smaller_weights_and_shares_count():
    features, labels = blobs(60)
    strong, _, _ = softmax_regression(features, labels, nothing(), penalty=1.0)
    weak, _, _ = softmax_regression(features, labels, nothing(), penalty=0.01)
    assert np.abs(strong).sum() < np.abs(weak).sum()
    repeated = np.concatenate([features, features[:30]]), np.concatenate([labels, labels[:30]])
    by_count, _, _ = softmax_regression(*repeated, nothing(), penalty=0.01)
    shares = np.where(np.arange(60) < 30, 2.0, 1.0)
    by_share, _, _ = softmax_regression(features, labels, nothing(), shares=shares, penalty=0.01)
    np.testing.assert_allclose(by_count, by_share, atol=0.02)


def test_one_class_alone_stays_finite():
    features, _ = blobs(4)
    weight, bias, losses = softmax_regression(
        features, np.zeros(4, np.int64), nothing(), penalty=0.01
    )
    assert np.isfinite(weight).all()
    assert np.isfinite(bias).all()
    assert losses[-1] < losses[0]


def test_every_domain_counts_alike():
    shares = domain_shares(["a"] * 9 + ["b"])
    assert shares.sum() == pytest.approx(1)
    assert shares[-1] == pytest.approx(0.5)
