"""The backend that ``BACKEND_TYPE=TINYMS`` selects."""

from __future__ import annotations

from sedna_tinyms.backend.mindspore_backend import MSBackend

__all__ = ["TinyMSBackend"]


class TinyMSBackend(MSBackend):
    """`MSBackend` for estimators on the TinyMS core; only its models' default name differs.

    A `sedna_tinyms.tinyms.model.Model` may stand in the estimator's place: `train` then uses the
    loss, optimizer and metrics that it was compiled with.
    """

    framework = "tinyms"
