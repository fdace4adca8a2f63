"""The words that workers and controllers exchange."""

from enum import Enum

__all__ = ["K8sResourceKind", "K8sResourceKindStatus"]


class K8sResourceKindStatus(Enum):
    """What a worker says about its stage."""

    COMPLETED = "completed"
    FAILED = "failed"
    RUNNING = "running"


class K8sResourceKind(Enum):
    """The kind of job that a worker belongs to."""

    DEFAULT = "default"
    INCREMENTAL_JOB = "incrementallearningjob"
