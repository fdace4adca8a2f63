"""Where a job keeps its files: the places of Sedna's LocalController, and a few of our own."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.paths import HostPaths

__all__ = ["HOT_UPDATE_DIRECTORY", "HOT_UPDATE_LOCK", "JobLayout"]

HOT_UPDATE_DIRECTORY = PurePosixPath("/var/lib/sedna/model-hot-update")
HOT_UPDATE_LOCK = ".lock"


class JobLayout:
    """The files of one job below a root.

    Sedna's::

        <outputDir>/data/train/<round>/data.txt    samples of the round
        <outputDir>/data/eval/<round>/data.txt
        <outputDir>/train/<round>/                 what the train worker saves
        /var/lib/sedna/model-hot-update/<namespace>/incrementallearningjob/<job>/

    Added here::

        <outputDir>/journal.jsonl   what happened, entry by entry: what a later run goes on from
        <outputDir>/status.json     the job with its status, as kubectl would show it
        <outputDir>/report.json     what each round cost and brought
        <outputDir>/accuracy_matrix.json   accuracy on each round's samples, round after round
        <outputDir>/models/         the model versions, see `sedna_tinyms.artifact.store`
        <outputDir>/run.lock        held while a runner runs
        <outputDir>/requests/       what a person asks of the runner
        <outputDir>/inference.heartbeat   its time stamp says that the inference worker goes on
        <outputDir>/eval/<round>/results.json   what the eval worker reported, sample by sample
        <outputDir>/eval/<round>/canary.json    what came of trying the new model out
        <outputDir>/logs/<round>-<kind>.log

    And while a runner runs, beside what it shares with a job of another outputDir, the deploy model
    and the hot-update directory: `shared_locks`.
    """

    def __init__(self, job: Job, paths: HostPaths) -> None:
        self.output = paths.local(job.spec.output_dir)
        self.status = self.output / "status.json"
        self.report = self.output / "report.json"
        self.accuracy_matrix = self.output / "accuracy_matrix.json"
        self.journal = self.output / "journal.jsonl"
        self.models = self.output / "models"
        self.lock = self.output / "run.lock"
        self.requests = self.output / "requests"
        self.heartbeat = self.output / "inference.heartbeat"
        below = f"{job.namespace}/incrementallearningjob/{job.name}".lower()
        self.hot_update = paths.local(HOT_UPDATE_DIRECTORY / below)
        deployed = paths.local(job.deploy_model.url)
        self.shared_locks = [deployed.with_name(f".{deployed.name}.lock")]
        if job.spec.deploy_model.hot_update_enabled:
            self.shared_locks.append(self.hot_update / HOT_UPDATE_LOCK)

    def train_samples(self, round_number: int) -> Path:
        """Return the file of the samples that a round trains on."""
        return self.output / "data" / "train" / str(round_number) / "data.txt"

    def files_of(self, round_number: int) -> list[Path]:
        """Return what a round has trained on and saved, and its logs."""
        logs = sorted((self.output / "logs").glob(f"{round_number}-*.log*"))
        directories = [self.train_samples(round_number).parent, self.model_directory(round_number)]
        return [*(each for each in directories if each.exists()), *logs]

    def eval_samples(self, round_number: int) -> Path:
        """Return the file of the samples that a round evaluates with."""
        return self.output / "data" / "eval" / str(round_number) / "data.txt"

    def model_directory(self, round_number: int) -> Path:
        """Return the directory that a round's train worker saves into."""
        return self.output / "train" / str(round_number)

    def rounds(self) -> list[int]:
        """Return the rounds of which there are files to train with, or logs, in order."""
        patterns = ("train/*", "data/train/*", "logs/*-*.log")
        found = (path.name for pattern in patterns for path in self.output.glob(pattern))
        numbers = {name.partition("-")[0] for name in found}
        return sorted(int(number) for number in numbers if number.isdecimal())

    def evaluated_rounds(self) -> list[int]:
        """Return the rounds of which there are samples to evaluate with, in order."""
        names = (path.name for path in (self.output / "data" / "eval").glob("*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def checked_samples(self, round_number: int) -> Path:
        """Return the file of the samples with which a round's labels are checked."""
        return self.eval_samples(round_number).with_name("labels.txt")

    def eval_results(self, round_number: int) -> Path:
        """Return the file of what a round's eval worker reported."""
        return self.output / "eval" / str(round_number) / "results.json"

    def canary(self, round_number: int) -> Path:
        """Return the file of what came of trying a round's model out."""
        return self.output / "eval" / str(round_number) / "canary.json"

    def log(self, round_number: int, kind: str) -> Path:
        """Return the log file of a worker; round 0 is before the first."""
        return self.output / "logs" / f"{round_number}-{kind}.log"
