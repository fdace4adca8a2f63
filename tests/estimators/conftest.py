"""Models that the estimators' tests begin from, made once."""

import pytest
from drawn_pictures import samples
from small_mobilenetv2 import SIZE, write_model

PIXELS = 3 * SIZE * SIZE


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """Return a model of three colours that remembers twelve pictures, with its ONNX file."""
    from estimators import MindSporeMobileNetV2

    path = write_model(tmp_path_factory.mktemp("colours") / "colours.ckpt", remembered=samples(12))
    estimator = MindSporeMobileNetV2(strategy="full", replay_bytes=12 * PIXELS)
    estimator.load_weights(path)
    estimator.save(path)
    return path


@pytest.fixture(scope="session")
def taught(tmp_path_factory):
    """Return a function from a strategy to a model of red and green that it was taught with.

    What the strategy needs in the next round lies beside the model: samples, or what it noted.
    """
    from estimators import MindSporeMobileNetV2

    directory = tmp_path_factory.mktemp("taught")
    known = ["green", "red"]

    def model(strategy):
        path = directory / f"{strategy}.ckpt"
        if path.exists():
            return path
        if strategy == "lwf":  # nothing is stored
            return write_model(path, known)
        if strategy == "full":
            return write_model(path, known, remembered=samples(24, seed=1, colours=known))
        settings = {"batch_size": 16, "epochs": 8, "strategy": strategy, "export_onnx": False}
        estimator = MindSporeMobileNetV2(**settings)
        estimator.load_weights(write_model(directory / "pretrained.ckpt", known))
        estimator.train(samples(24, seed=1, colours=known))
        estimator.save(path)
        return path

    return model
