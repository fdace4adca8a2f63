"""An IncrementalLearningJob of KubeEdge Sedna on one machine.

The pure part, which decides: `schema` reads the YAML into `spec`, `dataset` counts and splits
lines, `triggers` and `decision` say when to train and whether to deploy. The acting part starts
workers, listens to them and deploys: `runner` composes it. Neither touches MindSpore; workers do.
"""

from sedna_tinyms.jobs.loading import load_job

__all__ = ["load_job"]
