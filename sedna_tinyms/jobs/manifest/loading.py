"""From a YAML file to a `Job`, with everything that is wrong with it said at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sedna_tinyms.errors import did_you_mean
from sedna_tinyms.jobs.manifest.building import build_job
from sedna_tinyms.jobs.manifest.crosschecks import check_job
from sedna_tinyms.jobs.manifest.findings import Findings
from sedna_tinyms.jobs.manifest.resources import API_VERSION, SCHEMAS
from sedna_tinyms.jobs.manifest.schema import describe
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.manifest.yaml_source import YamlNode, read_documents

__all__ = ["inspect_job", "load_job"]

JOB_KIND = "IncrementalLearningJob"
DEFAULT_NAMESPACE = "default"

Documents = dict[str, dict[tuple[str, str], YamlNode]]
"""By kind, the documents by namespace and name."""


def load_job(path: Path | str, name: str | None = None) -> Job:
    """Read and check a job.

    Parameters
    ----------
    path : path
        The YAML that ``kubectl apply -f`` takes: one IncrementalLearningJob and the Dataset and
        Models that it names, in any order. Documents of other kinds are passed over.
    name : str, optional
        Which job, where the file holds several.

    Returns
    -------
    Job
        With its warnings and notes in ``findings``.

    Raises
    ------
    JobSpecError
        Naming everything that is wrong, each with file, line and JSON path.
    """
    job, findings = inspect_job(path, name)
    if job is None:
        raise findings.as_error()
    return job


def inspect_job(path: Path | str, name: str | None = None) -> tuple[Job | None, Findings]:
    """Read a job as `load_job` does, and return all findings; no job if they hold an error.

    Raises
    ------
    JobSpecError
        Only if the file is not YAML that can be read.
    """
    source = Path(path)
    findings = Findings(source)
    documents = _sort(read_documents(source), findings)
    for kind, resources in documents.items():
        for resource in resources.values():
            SCHEMAS[kind].check(resource, "", findings)
    job = _choose_job(documents[JOB_KIND], name, findings)
    if job is None:
        return None, findings
    namespace = _namespace(job)
    datasets = _in_namespace(documents["Dataset"], namespace)
    models = _in_namespace(documents["Model"], namespace)
    check_job(job, datasets, models, findings)
    if findings.errors:
        return None, findings
    return build_job(job, namespace, datasets, models, source, findings.sorted()), findings


def _sort(documents: list[YamlNode], findings: Findings) -> Documents:
    """Return the documents that make up jobs, and note what is odd about the others."""
    sorted_documents: Documents = {kind: {} for kind in SCHEMAS}
    for document in documents:
        kind = _kind(document, findings)
        if kind is None:
            continue
        name = document.get("metadata", "name")
        key = (_namespace(document), str(name.value) if name is not None else "")
        same = sorted_documents[kind]
        if key in same:
            findings.error(
                "duplicate",
                document.line,
                "metadata.name",
                f"a {kind} {key[1]!r} was defined in line {same[key].line} already: remove one",
            )
        else:
            same[key] = document
    return sorted_documents


def _kind(document: YamlNode, findings: Findings) -> str | None:
    """Return the kind of a document that belongs to a job; None for any other."""
    if not isinstance(document.value, dict):
        findings.error(
            "wrong-type",
            document.line,
            "",
            f"a document must be a mapping, not {describe(document)}",
        )
        return None
    kind, version = document.get("kind"), document.get("apiVersion")
    if kind is None or not isinstance(kind.value, str):
        findings.error(
            "missing-key", document.line, "kind", f"is missing: write one of {', '.join(SCHEMAS)}"
        )
        return None
    api = str(version.value) if version is not None else ""
    if kind.value in SCHEMAS:
        if api != API_VERSION:
            line = version.line if version is not None else document.line
            findings.error(
                "wrong-version",
                line,
                "apiVersion",
                f"is {api!r}; for a {kind.value}, {API_VERSION!r}",
            )
        return kind.value
    hint = did_you_mean(kind.value, SCHEMAS)
    if hint and (not api or api.startswith("sedna.io")):
        findings.error(
            "unknown-name", kind.line, "kind", f"{kind.value!r} is no kind of Sedna{hint}"
        )
    else:
        findings.note("ignored", kind.line, "kind", f"{kind.value} documents are passed over here")
    return None


def _choose_job(
    jobs: Mapping[tuple[str, str], YamlNode], name: str | None, findings: Findings
) -> YamlNode | None:
    names = [job_name for _, job_name in jobs]
    chosen = [job for (_, job_name), job in jobs.items() if name in (None, job_name)]
    if len(chosen) == 1:
        return chosen[0]
    if not jobs:
        findings.error("missing-job", 1, "", f"there is no {JOB_KIND} in this file")
    elif not chosen:
        hint = did_you_mean(str(name), names) or f"; there are: {', '.join(names)}"
        findings.error("unknown-name", 1, "", f"there is no {JOB_KIND} {name!r} in this file{hint}")
    else:
        findings.error(
            "ambiguous",
            chosen[1].line,
            "",
            f"there are {len(chosen)} {JOB_KIND}s in this file, {', '.join(names)}: one runs at a "
            "time, so name one, or keep each in a file of its own",
        )
    return None


def _namespace(document: YamlNode) -> str:
    namespace = document.get("metadata", "namespace")
    return str(namespace.value) if namespace is not None else DEFAULT_NAMESPACE


def _in_namespace(
    documents: Mapping[tuple[str, str], YamlNode], namespace: str
) -> dict[str, YamlNode]:
    return {name: node for (space, name), node in documents.items() if space == namespace}
