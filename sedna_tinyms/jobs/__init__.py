"""An IncrementalLearningJob of KubeEdge Sedna on one machine.

`manifest` reads the job's YAML. `dataset`, `intake`, `triggers` and `decision` are pure: they count
samples, say when to train and whether to deploy. `workers` starts processes and listens to them.
`runner` composes it all into the story of a job, `rounds` into that of a round. Nothing here
touches MindSpore; workers do.
"""

from sedna_tinyms.jobs.manifest.loading import load_job

__all__ = ["load_job"]
