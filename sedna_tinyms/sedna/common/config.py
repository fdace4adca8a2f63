"""What a worker is told through its environment.

Every value is read when it is asked for, so that a script may set ``os.environ`` at any time
before it builds the job.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from sedna_tinyms.artifact.json_text import parse_json
from sedna_tinyms.errors import ConfigurationError, did_you_mean
from sedna_tinyms.sedna.common.log import LOGGER

__all__ = ["BaseConfig", "Config", "Context"]


class _Setting:
    """One environment variable, unless a value was assigned; ``del`` returns to the variable."""

    def __init__(self, variable: str, default: str | None = None) -> None:
        self.variable = variable
        self.default = default
        self.assigned: list[Any] = []

    def __get__(self, _instance: object, _owner: type | None = None) -> Any:
        if self.assigned:
            return self.assigned[0]
        return os.environ.get(self.variable, self.default)

    def __set__(self, _instance: object, value: Any) -> None:
        self.assigned = [value]

    def __delete__(self, _instance: object) -> None:
        self.assigned = []


class BaseConfig:
    """The settings of this worker; there is one, whatever the number of calls.

    ``BaseConfig.model_url`` and ``BaseConfig().model_url`` are the same value.
    """

    device_category = _Setting("DEVICE_CATEGORY", "CPU")
    backend_type = _Setting("BACKEND_TYPE", "TINYMS")
    lc_server = _Setting("LC_SERVER", "http://127.0.0.1:9100")
    original_dataset_url = _Setting("ORIGINAL_DATASET_URL")
    train_dataset_url = _Setting("TRAIN_DATASET_URL")
    test_dataset_url = _Setting("TEST_DATASET_URL")
    data_path_prefix = _Setting("DATA_PATH_PREFIX", "/home/data")
    namespace = _Setting("NAMESPACE", "")
    worker_name = _Setting("WORKER_NAME", "")
    service_name = _Setting("SERVICE_NAME", "")
    job_name = _Setting("JOB_NAME", "sedna")
    pretrained_model_url = _Setting("PRETRAINED_MODEL_URL", "./")
    model_url = _Setting("MODEL_URL")
    model_name = _Setting("MODEL_NAME")
    log_level = _Setting("LOG_LEVEL", "INFO")
    transmitter = _Setting("TRANSMITTER", "ws")
    agg_data_path = _Setting("AGG_DATA_PATH", "./")
    s3_endpoint_url = _Setting("S3_ENDPOINT_URL", "")
    access_key_id = _Setting("ACCESS_KEY_ID", "")
    secret_access_key = _Setting("SECRET_ACCESS_KEY", "")
    parameters = _Setting("PARAMETERS")

    _only: ClassVar[BaseConfig | None] = None

    def __new__(cls) -> BaseConfig:
        """Return the one instance."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    @property
    def parameter(self) -> Config:
        """``PARAMETERS`` as a mapping: inline JSON, or the path of a YAML or JSON file."""
        return Config(self.parameters or {})

    def get(self, item: str, default: Any = "") -> Any:
        """Return a setting, or `default` if it is absent or empty."""
        return getattr(self, item, default) or default

    def __getitem__(self, item: str) -> Any:
        return getattr(self, item, None)

    def from_json(self, values: Mapping[str, Any]) -> None:
        """Assign every value of a mapping."""
        for name, value in values.items():
            setattr(self, name, value)


class Config(dict[str, Any]):
    """A mapping whose items are attributes too.

    Parameters
    ----------
    source : mapping, str or path
        The items, inline JSON, or the path of a ``.json``, ``.yaml`` or ``.yml`` file. A ``.py``
        file is refused: settings are not a program.
    """

    def __init__(self, source: Mapping[str, Any] | str | os.PathLike[str] = "{}") -> None:
        values = source if isinstance(source, Mapping) else _read_mapping(os.fspath(source))
        super().__init__({k: Config(v) if isinstance(v, Mapping) else v for k, v in values.items()})

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"no setting {name!r}{did_you_mean(name, self)}")
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Context:
    """Parameters of the job, straight from the environment."""

    parameters = os.environ

    @classmethod
    def get_parameters(cls, param: str, default: Any = None) -> Any:
        """Look a name up as it is, then in capitals; an empty value counts as absent."""
        return os.environ.get(param) or os.environ.get(param.upper()) or default

    @classmethod
    def get_algorithm_from_api(cls, algorithm: str, **param: Any) -> dict[str, Any]:
        """Read ``<ALGORITHM>_NAME`` and ``<ALGORITHM>_PARAMETERS``.

        Returns
        -------
        dict
            ``{"method": name, "param": {...}}``, where `param` overrides the environment, whose
            values are strings; empty if no algorithm is named.
        """
        name = cls.get_parameters(f"{algorithm}_NAME")
        if not name:
            return {}
        variable = f"{algorithm.upper()}_PARAMETERS"
        return {"method": name, "param": {**_key_values(variable), **param}}


def _key_values(variable: str) -> dict[str, Any]:
    """Parse a JSON list of ``{"key": ..., "value": ...}``, Sedna's form of parameters."""
    text = os.environ.get(variable) or "null"
    try:
        return {entry["key"]: entry.get("value", "") for entry in parse_json(text) or ()}
    except (ValueError, TypeError, KeyError, AttributeError):
        LOGGER.warning(
            '%s is %r, which is not a JSON list of {"key": ..., "value": ...}; it is ignored',
            variable,
            text,
        )
        return {}


def _read_mapping(source: str) -> Mapping[str, Any]:
    suffix = Path(source).suffix.lower() if not source.lstrip().startswith("{") else ""
    try:
        if suffix in (".json", ".yaml", ".yml"):
            values = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
        else:
            values = parse_json(source)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"cannot read settings from {source!r}: {error}; "
            "give inline JSON or the path of a .json, .yaml or .yml file",
            code="unreadable-file" if isinstance(error, OSError) else "invalid-value",
            value=source,
        ) from error
    if not isinstance(values, Mapping):
        raise ConfigurationError(
            f"settings must be a mapping; {source!r} holds a {type(values).__name__}",
            code="wrong-type",
            value=source,
        )
    return values
