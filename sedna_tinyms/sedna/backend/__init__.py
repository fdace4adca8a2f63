"""Chooses the backend that `BACKEND_TYPE` names."""

from __future__ import annotations

import warnings
from typing import Any

from sedna_tinyms import plugin
from sedna_tinyms.errors import ConfigurationError, did_you_mean
from sedna_tinyms.sedna.backend.base import BackendBase
from sedna_tinyms.sedna.common.config import BaseConfig

__all__ = ["set_backend"]

BACKENDS = {**plugin.BACKENDS, "MINDSPORE": "sedna_tinyms.backend:MSBackend"}
"""In this library MINDSPORE is ours too; in KubeEdge's it stays KubeEdge's."""

KUBEEDGE_ONLY = frozenset(("TENSORFLOW", "KERAS", "TORCH"))
PLAIN = f"{BackendBase.__module__}:{BackendBase.__name__}"


def set_backend(estimator: Any = None, config: Any = None) -> Any:
    """Wrap an estimator in the backend that ``BACKEND_TYPE`` names, in any case.

    Parameters
    ----------
    estimator : object
        The user's estimator, or its class; None gives None.
    config : BaseConfig, optional
        The settings; those of this worker by default.

    Raises
    ------
    ConfigurationError
        If the backend exists in KubeEdge's library only.

    Warns
    -----
    UserWarning
        If nobody knows the backend: the estimator is then used through `BackendBase`.
    """
    if estimator is None:
        return None
    settings = BaseConfig() if config is None else config
    name = plugin.selected_backend(settings)
    if name in KUBEEDGE_ONLY:
        raise ConfigurationError(
            f"BACKEND_TYPE is {name}, which only KubeEdge Sedna's own library has; put its `lib` "
            f"directory on PYTHONPATH, or choose one of {', '.join(BACKENDS)}",
            code="unsupported",
            name="BACKEND_TYPE",
            value=name,
            valid=tuple(BACKENDS),
        )
    if name not in BACKENDS:
        warnings.warn(
            f"BACKEND_TYPE is {name!r}{did_you_mean(name, BACKENDS)}, which is none of "
            f"{', '.join(BACKENDS)}: the estimator is used as it is, and its model files are "
            f"named .pkl unless MODEL_NAME says otherwise",
            stacklevel=2,
        )
    return plugin.create_backend(BACKENDS.get(name, PLAIN), estimator, settings)
