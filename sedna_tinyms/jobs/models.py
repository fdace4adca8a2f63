"""Models as workers report them, and the choice among them that Sedna makes by format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sedna_tinyms.errors import ModelFileError, did_you_mean
from sedna_tinyms.jobs.manifest.spec import ModelResource
from sedna_tinyms.outcomes import without_outcomes

__all__ = ["ReportedModel", "choose_model", "engines_of", "read_models"]


@dataclass(frozen=True)
class ReportedModel:
    """One model of a worker's report, or a Model resource beside it.

    Attributes
    ----------
    format : str
        ``ckpt``, ``onnx`` ...
    url : str
        Its host path.
    device_soc_versions : tuple of str
        The chips it was made for; empty if the worker did not say.
    """

    format: str
    url: str
    metrics: Mapping[str, Any] | None = None
    device_soc_versions: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the entry as it stands in a condition's data, without a number a sample."""
        entry: dict[str, Any] = {"format": self.format, "url": self.url}
        if self.device_soc_versions:
            entry["device_soc_versions"] = list(self.device_soc_versions)
        if self.metrics is not None:
            entry["metrics"] = without_outcomes(self.metrics)
        return entry

    @classmethod
    def of_resource(cls, model: ModelResource) -> ReportedModel:
        """Return the entry for a Model of the job."""
        return cls(model.format, model.url, device_soc_versions=model.device_soc_versions)


def read_models(results: Sequence[Mapping[str, Any]]) -> list[ReportedModel]:
    """Read the ``results`` of a report.

    Raises
    ------
    ModelFileError
        If an entry lacks its format or url, or has metrics that are no mapping.
    """
    return [_read_model(number, entry) for number, entry in enumerate(results)]


def _read_model(number: int, entry: Mapping[str, Any]) -> ReportedModel:
    for name in ("format", "url"):
        value = entry.get(name)
        if not isinstance(value, str) or not value:
            raise ModelFileError(
                f"results[{number}].{name} of the report is {value!r:.60}, not a text",
                code="wrong-type" if value else "missing-value",
                name=f"results[{number}].{name}",
            )
    metrics = entry.get("metrics")
    if metrics is not None and not isinstance(metrics, dict):
        raise ModelFileError(
            f"results[{number}].metrics of the report is {metrics!r:.60}, not an object; "
            'Sedna takes metrics such as {"accuracy": [0.9]} only',
            code="wrong-type",
            name=f"results[{number}].metrics",
        )
    chips = entry.get("device_soc_versions") or ()
    if not isinstance(chips, (list, tuple)):
        raise ModelFileError(
            f"results[{number}].device_soc_versions of the report is {chips!r:.60}, not a list",
            code="wrong-type",
            name=f"results[{number}].device_soc_versions",
        )
    return ReportedModel(entry["format"], entry["url"], metrics, tuple(map(str, chips)))


def engines_of(results: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what a report says computed which part of the work; of two models, the first's."""
    engines = results[0].get("engines") if results else None
    return {str(k): str(v) for k, v in engines.items()} if isinstance(engines, dict) else {}


def choose_model(models: Sequence[ReportedModel], like: ModelResource) -> ReportedModel:
    """Return the first model of the format, and for a chip, of the Model resource `like`.

    Raises
    ------
    ModelFileError
        If there is none.
    """
    for model in models:
        if model.format == like.format and _fits(model, like):
            return model
    formats = [model.format for model in models]
    hint = did_you_mean(like.format, [name for name in formats if name != like.format])
    raise ModelFileError(
        f"the Model {like.name!r} has the format {like.format!r}, and the worker reported "
        f"{', '.join(map(repr, formats)) or 'no model'}{hint}: let it save that format, or "
        "correct the Model",
        code="unknown-format",
        name=like.name,
        value=like.format,
        valid=formats,
    )


def _fits(model: ReportedModel, like: ModelResource) -> bool:
    chips = model.device_soc_versions
    if not like.device_soc_versions or len(chips) != 1:
        return True
    return chips[0] in like.device_soc_versions
