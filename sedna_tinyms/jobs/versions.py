"""The model versions of a job: every trained round becomes one, and one of them is deployed.

They lie in ``<outputDir>/models`` (see `sedna_tinyms.artifact.store`). The model that was in
service before the first round is a version too, so that there is always a way back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sedna_tinyms
from sedna_tinyms.artifact.companions import COMPANIONS
from sedna_tinyms.artifact.files import copy_file
from sedna_tinyms.artifact.signing import PUBLIC_KEY, SIGNING_KEY, key_file
from sedna_tinyms.artifact.store import Deployed, ModelStore
from sedna_tinyms.artifact.version import ModelVersion, describe
from sedna_tinyms.errors import ModelFileError, SednaTinyMSError
from sedna_tinyms.jobs.deploy import ModelReplacement
from sedna_tinyms.jobs.events import Noted
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.models import ReportedModel, choose_model
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.retention import retain

__all__ = ["JobVersions"]


class JobVersions:
    """The versions of one job.

    The environment variables ``SEDNA_TINYMS_SIGNING_KEY`` and ``SEDNA_TINYMS_PUBLIC_KEY`` name
    the key files to sign new versions with, and to refuse what is not signed.

    Parameters
    ----------
    job, paths, layout
        The job and its files.
    note : callable
        Takes what could not be done or checked.
    """

    def __init__(
        self,
        job: Job,
        paths: HostPaths,
        layout: JobLayout,
        note: Callable[[Noted], object] = lambda _: None,
    ) -> None:
        self._job = job
        self._paths = paths
        self._layout = layout
        self._note = note
        self._noted: set[str] = set()
        self.store = ModelStore(
            layout.models,
            signing_key=key_file(SIGNING_KEY),
            public_key=key_file(PUBLIC_KEY),
        )

    def take_up(self) -> None:
        """Make sure that pointer and eval model are those of the model in service.

        They are not before the first round, or after somebody put a file in its place, or after a
        kill between its file and those that follow it. Then the version that has it, or a new one,
        is deployed. What is wrong with that model is only noted: it is in service already.
        """
        served = self._paths.local(self._job.deploy_model.url)
        try:
            self.store.sweep()
            digest, pointer = _sha256(served), self._pointer()
            if pointer is None or not self.store.holds(pointer.version, digest):
                self.store.deploy(self.store.holding(digest) or self._adopt(), downgrade=True)
            self._let_eval_model_follow()
        except SednaTinyMSError as error:
            what = f"the model in service is no version to go back to: {error}"
            self._note(Noted(what, "not-a-version", {"error": error.code}))

    def _let_eval_model_follow(self) -> None:
        """Put the deployed version's into the place of another one's; a stranger may stay."""
        model, deployed = self._job.eval_model, self.deployed_number()
        compared = self._paths.local(model.url)
        digest = _sha256(compared)
        if deployed is None or self.store.holds(deployed, digest):
            return
        if self.store.holding(digest) is not None:
            copy_file(self.store.open(deployed).weights(f".{model.format}"), compared)

    def publish(
        self,
        round_number: int,
        trained: Sequence[ReportedModel],
        base: ReportedModel,
        *,
        metrics: Mapping[str, Any],
        needed: bool = True,
        **origin: Any,
    ) -> ModelVersion | None:
        """Make a version of what a round trained; the same one if that was done before.

        Parameters
        ----------
        round_number : int
            The round.
        trained : sequence of ReportedModel
            What its worker reported.
        base : ReportedModel
            What the round started from.
        metrics : mapping
            What was measured.
        needed : bool
            Whether it is to be deployed. What is not, and cannot become a version, is only noted.
        **origin
            What else is worth knowing of how it was made.

        Returns
        -------
        ModelVersion or None
            None where there is none: a model is a directory, as other frameworks have them, or
            was refused and is not needed.

        Raises
        ------
        ModelFileError
            If the weights are refused.
        StorageError
            If it cannot be written.
        """
        files = self._files(trained)
        if not all(path.is_file() for path in files.values()):
            what = "models that are directories do not become versions"
            self._note_once(Noted(what, "directories-skipped"))
            return None
        made = {"job": self._name, "round": round_number}
        origin |= made | {"base": base.url, "base_sha256": self.sha256_of(base)}
        origin["sedna_tinyms"] = sedna_tinyms.__version__
        try:
            version = self._known(files, made)
            if version is None:
                parent = self._parent(base)
                description = replace(
                    describe(files, successor_of=parent.description if parent else None),
                    parent=parent.digest if parent else None,
                    metrics=dict(metrics),
                    origin=origin,
                )
                version = self.store.publish(files, description)
        except SednaTinyMSError as error:
            if needed:
                raise
            what = f"round {round_number} becomes no model version: {error}"
            fields = {"round": round_number, "error": error.code}
            self._note(Noted(what, "no-version", fields))
            return None
        for warning in version.warnings:
            what = f"model versions are not checked in full: {warning}"
            self._note_once(Noted(what, "not-checked"))
        return version

    @contextmanager
    def deploying(self, version: ModelVersion | None) -> Iterator[None]:
        """Put a new version into service in this block; the pointer follows.

        Raises
        ------
        ModelFileError
            If the version is refused; the block is not run then. What fails after it is noted:
            the model is in service, and the next run sets the pointer right.
        """
        if version is None:
            yield
            return
        in_service = False
        try:
            with self.store.deploying(version.description.version):
                yield
                in_service = True
        except SednaTinyMSError as error:
            if not in_service:
                raise
            what = f"the model versions are not up to date: {error}"
            self._note(Noted(what, "not-up-to-date", {"error": error.code}))

    def retain(self, in_use: Collection[int]) -> None:
        """Remove what is too old to keep, but for the files of the rounds `in_use`."""
        try:
            retain(self._job.gates, self._layout, self.store, in_use)
        except SednaTinyMSError as error:
            what = f"old models could not be removed: {error}"
            self._note(Noted(what, "not-removed", {"error": error.code, **error.fields}))

    def base(self, chosen: ReportedModel) -> ReportedModel:
        """Return what a round starts from: what was chosen, or what somebody went back to."""
        pointer = self._pointer()
        digest = self.sha256_of(chosen)
        if pointer is None or self.store.holds(pointer.version, digest):
            return chosen
        like = self._job.initial_model
        try:
            version = self.store.open_deployed()
            if "round" not in version.description.origin:
                return ReportedModel.of_resource(like)  # it was in service before the first round
            return ReportedModel(like.format, self._paths.host(version.weights(f".{like.format}")))
        except ModelFileError as error:
            what = f"the round starts from {chosen.url}, not from the deployed version: {error}"
            self._note(Noted(what, "other-base", {"base": chosen.url, "error": error.code}))
            return chosen

    def go_back(self, number: int, reason: str) -> None:
        """Put a version into service that was there before.

        Raises
        ------
        ModelFileError
            If there is no such version, or it is not whole.
        StorageError
            If a file cannot be written; all is as it was then, but for the pointer, which the next
            run sets right.
        """
        with self.store.deploying(number, downgrade=True, reason=reason) as version:
            replacement = self.replacement(version)
            replacement.apply()
            replacement.done()

    def change_from(self, in_service: int | None) -> Deployed | None:
        """Return what the pointer says if another version than this is in service."""
        pointer = self._pointer() if in_service is not None else None
        if pointer is None or in_service is None or pointer.version == in_service:
            return None
        try:
            served = _sha256(self._paths.local(self._job.deploy_model.url))
        except ModelFileError as error:
            self._note_once(Noted(str(error), "unreadable-model", {"error": error.code}))
            return None
        if self.store.holds(in_service, served) or not self.store.holds(pointer.version, served):
            return None
        return pointer

    def deployed_number(self) -> int | None:
        """Return which version is deployed, as far as the pointer can be read."""
        pointer = self._pointer()
        return None if pointer is None else pointer.version

    def deployed_before(self) -> int | None:
        """Return which version was deployed before the present one, if one was."""
        pointer = self._pointer()
        return pointer.before[-1] if pointer is not None and pointer.before else None

    def pointer_file(self) -> tuple[int, int] | None:
        """Return what changes with every change of the pointer."""
        try:
            status = (self._layout.models / "deployed.json").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def weights_digest(self, number: int) -> str:
        """Return the digest of the file of a version that is deployed; nothing if it is gone."""
        try:
            version = self.store.open(number)
        except ModelFileError:
            return ""
        name = version.weights(f".{self._job.deploy_model.format}").name
        return {each.path: each.sha256 for each in version.manifest.files}[name]

    def replacement(self, version: ModelVersion) -> ModelReplacement:
        """Return what puts a version into service; the deploy model first, as all follows it."""
        models = (self._job.deploy_model, self._job.eval_model)
        return ModelReplacement(
            {self._paths.local(each.url): version.weights(f".{each.format}") for each in models}
        )

    @property
    def _name(self) -> str:
        return f"{self._job.namespace}/{self._job.name}"

    def _files(self, trained: Sequence[ReportedModel]) -> dict[str, Path]:
        """Return the files of a version: every format that the job uses, and its memory."""
        files: dict[str, Path] = {}
        for like in (self._job.initial_model, self._job.eval_model, self._job.deploy_model):
            model = choose_model(trained, like)
            files |= _with_companions(model.format, self._paths.local(model.url))
        return files

    def _adopt(self) -> int:
        """Make a version of what is in service, and return its number."""
        files: dict[str, Path] = {}
        for model in (self._job.eval_model, self._job.deploy_model):
            files |= _with_companions(model.format, self._paths.local(model.url))
        origin = {"job": self._name, "found": self._job.deploy_model.url}
        version = self.store.publish(files, replace(describe(files), origin=origin))
        return version.description.version

    def _pointer(self) -> Deployed | None:
        try:
            return self.store.deployed()
        except ModelFileError as error:
            self._note_once(Noted(str(error), "unreadable-pointer", {"error": error.code}))
            return None

    def _known(self, files: Mapping[str, Path], made: Mapping[str, Any]) -> ModelVersion | None:
        """Return the version that was made of these files already, before a kill."""
        digests = {name: _sha256(path) for name, path in files.items()}
        number = self.store.holding(next(iter(digests.values())))
        if number is None:
            return None
        version = self.store.open(number)
        held = {each.path: each.sha256 for each in version.manifest.files}
        origin = version.description.origin
        same = digests.items() <= held.items() and made.items() <= origin.items()
        return version if same else None

    def _parent(self, base: ReportedModel) -> ModelVersion | None:
        number = self.store.holding(self.sha256_of(base))
        return None if number is None else self.store.open(number)

    def sha256_of(self, model: ReportedModel) -> str:
        """Return the digest of a model's file; nothing if there is none."""
        return _sha256(self._paths.local(model.url))

    def _note_once(self, note: Noted) -> None:
        if note.code not in self._noted:
            self._noted.add(note.code)
            self._note(note)


def _with_companions(form: str, model: Path) -> dict[str, Path]:
    """Return a model and what belongs to it, by their names in a version."""
    beside = {suffix: model.with_name(f"{model.stem}{suffix}") for suffix in COMPANIONS}
    found = {f"model{suffix}": path for suffix, path in beside.items() if path.is_file()}
    return {f"model.{form}": model} | found


def _sha256(path: Path) -> str:
    """Return a file's digest; nothing if there is no such file."""
    digest = hashlib.sha256()
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise ModelFileError(
            f"cannot read the model {path}: {error.strerror}", code="unreadable-file", path=path
        ) from error
    return digest.hexdigest()
