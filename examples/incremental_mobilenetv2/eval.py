"""Eval worker: the new model and the one in service, on the same samples."""

from job import build_estimator, read_samples
from sedna.common.config import BaseConfig
from sedna.core.incremental_learning import IncrementalLearning

import sedna_tinyms  # noqa: F401 - puts ONNX among Sedna's backends


def main() -> None:
    """Evaluate MODEL_URLS on the lines of TEST_DATASET_URL."""
    samples = read_samples("eval", BaseConfig.test_dataset_url)
    IncrementalLearning(estimator=build_estimator()).evaluate(samples)


if __name__ == "__main__":
    main()
