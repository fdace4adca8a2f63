"""Train worker: learns the round's new samples on top of the base model."""

from job import build_estimator, read_samples
from sedna.common.config import BaseConfig
from sedna.core.incremental_learning import IncrementalLearning

import sedna_tinyms  # noqa: F401 - puts TINYMS among Sedna's backends


def main() -> None:
    """Train on the lines of TRAIN_DATASET_URL."""
    samples = read_samples("train", BaseConfig.train_dataset_url)
    IncrementalLearning(estimator=build_estimator()).train(train_data=samples)


if __name__ == "__main__":
    main()
