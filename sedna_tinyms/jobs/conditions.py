"""Where a job stands, as the list of conditions that Sedna keeps in the job's ``status``.

The last condition is the state; every transition appends one, and none is ever changed. The
whole is written to ``status.json`` at each transition: the job's own document with its ``status``,
so that what reads ``kubectl get il -o json`` reads it too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, TypeAlias

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.errors import StorageError
from sedna_tinyms.jobs.journal import BookkeepingError

__all__ = ["CONDITION_TYPES", "STAGES", "JobStatus", "State"]

State: TypeAlias = tuple[str, str]
"""A stage and a condition type: ``("Train", "Waiting")``."""

Condition: TypeAlias = dict[str, str]
"""One entry of the list, with Sedna's keys."""

STAGES: Final = ("Train", "Eval", "Deploy")
CONDITION_TYPES: Final = ("Waiting", "Ready", "Starting", "Running", "Completed", "Failed")

WITHIN_A_STAGE: Final = {
    "Waiting": {"Ready", "Failed"},
    "Ready": {"Starting", "Failed"},
    "Starting": {"Running", "Completed", "Failed"},
    "Running": {"Completed", "Failed"},
}
# Deploy alone may end without a worker: the trigger says no, or a cold deployment is a copy.
WITHIN_DEPLOY: Final = {"Waiting": {"Completed"}, "Ready": {"Completed"}}
NEXT_STAGE: Final = {"Train": "Eval", "Eval": "Deploy", "Deploy": "Train"}


def may_follow(before: State | None, after: State) -> bool:
    """Say whether Sedna's state machine knows this transition."""
    if before is None:
        return after == ("Train", "Waiting")
    stage, kind = before
    if kind == "Failed":
        return after == ("Train", "Waiting")
    if kind == "Completed":
        return after == (NEXT_STAGE[stage], "Waiting")
    allowed = WITHIN_A_STAGE[kind]
    if stage == "Deploy":
        allowed = allowed | WITHIN_DEPLOY.get(kind, set())
    return after[0] == stage and after[1] in allowed


class JobStatus:
    """The status of one job, kept in a file for people and programs.

    Parameters
    ----------
    path : Path
        The status file.
    manifest : mapping
        The job's document as plain data.
    conditions : sequence of dict
        What the journal knows so far; a list that grows with `keep`.
    keep : callable
        Puts a new condition into the journal, and behind `conditions`.
    """

    def __init__(
        self,
        path: Path,
        manifest: Mapping[str, object],
        conditions: Sequence[Condition],
        keep: Callable[[Condition], object],
    ) -> None:
        self.path = path
        self.conditions = conditions
        self._manifest = manifest
        self._keep = keep

    @property
    def state(self) -> State | None:
        """Stage and type of the last condition; None before the first."""
        if not self.conditions:
            return None
        return self.conditions[-1]["stage"], self.conditions[-1]["type"]

    def save(self) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        BookkeepingError
            If it cannot be written.
        """
        started = self.conditions[0]["lastTransitionTime"] if self.conditions else _now()
        status = {"startTime": started, "conditions": list(self.conditions)}
        try:
            write_json(self.path, {**self._manifest, "status": status})
        except StorageError as error:
            raise BookkeepingError(str(error), code=error.code, **error.fields) from error

    def move(
        self,
        stage: str,
        kind: str,
        *,
        reason: str = "",
        message: str = "",
        **data: Mapping[str, object],
    ) -> None:
        """Append a condition and write the file.

        A round that goes on where it was cut short passes conditions that it has met already:
        they are not met again.

        Parameters
        ----------
        stage, kind : str
            The new state, one of `STAGES` and one of `CONDITION_TYPES`.
        reason : str
            One word for a machine: ``WorkerFailed``.
        message : str
            The same for people, with what they need to act.
        **data : mapping
            ``input`` and ``output`` of the stage, kept as JSON text under ``data``.

        Raises
        ------
        ValueError
            If Sedna's state machine does not know the transition.
        """
        if self._has_passed(stage, kind):
            return
        if not may_follow(self.state, (stage, kind)):
            raise ValueError(f"{stage} {kind} cannot follow {' '.join(self.state or ('nothing',))}")
        now = _now()
        condition = {
            "type": kind,
            "status": "True",
            "stage": stage,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        if reason:
            condition["reason"] = reason
        if message:
            condition["message"] = message
        if data:
            condition["data"] = json.dumps(data, default=dict)
        self._keep(condition)
        self.save()

    def wait_for_samples(self, reason: str = "", message: str = "") -> None:
        """Move to Train Waiting from wherever the job stands.

        A round that is under way has failed then, for the `reason` and with the `message` given.
        """
        if self.state is not None and self.state[1] == "Completed":
            self.move(NEXT_STAGE[self.state[0]], "Waiting")
        if self.state == ("Train", "Waiting"):
            return
        if self.state is not None and self.state[1] != "Failed":
            self.move(self.state[0], "Failed", reason=reason, message=message)
        self.move("Train", "Waiting")

    def _has_passed(self, stage: str, kind: str) -> bool:
        if self.state is None or self.state[1] == "Failed" or kind == "Failed":
            return False
        reached = (STAGES.index(self.state[0]), CONDITION_TYPES.index(self.state[1]))
        asked = (STAGES.index(stage), CONDITION_TYPES.index(kind))
        return asked <= reached and (stage, kind) != ("Train", "Waiting")


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
