import json
import re

import pytest

from sedna_tinyms.jobs.conditions import CONDITION_TYPES, STAGES, JobStatus, may_follow

MANIFEST = {
    "apiVersion": "sedna.io/v1alpha1",
    "kind": "IncrementalLearningJob",
    "metadata": {"name": "helmet", "namespace": "default"},
    "spec": {"outputDir": "/output"},
}

FULL_COLD_ROUND = [
    *(("Train", kind) for kind in ("Waiting", "Ready", "Starting", "Running", "Completed")),
    *(("Eval", kind) for kind in ("Waiting", "Ready", "Starting", "Running", "Completed")),
    *(("Deploy", kind) for kind in ("Waiting", "Ready", "Completed")),
    ("Train", "Waiting"),
]


@pytest.fixture
def status(tmp_path):
    conditions = []
    return JobStatus(tmp_path / "status.json", MANIFEST, conditions, conditions.append)


def written(status):
    return json.loads(status.path.read_text())


def test_a_round_is_written_condition_by_condition_in_the_crds_shape(status):
    for number, (stage, kind) in enumerate(FULL_COLD_ROUND, start=1):
        status.move(stage, kind)
        conditions = written(status)["status"]["conditions"]
        assert len(conditions) == number
        assert status.state == (stage, kind)
    assert [(c["stage"], c["type"]) for c in conditions] == FULL_COLD_ROUND
    assert {c["status"] for c in conditions} == {"True"}
    for condition in conditions:
        assert condition["lastHeartbeatTime"] == condition["lastTransitionTime"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", condition["lastTransitionTime"])


def test_the_file_is_the_jobs_own_document_with_a_status(status):
    status.move("Train", "Waiting")
    document = written(status)
    assert {key: document[key] for key in MANIFEST} == MANIFEST
    assert set(document["status"]) == {"startTime", "conditions"}


def test_input_and_output_are_json_text(status):
    status.move("Train", "Waiting")
    status.move("Train", "Ready", input={"models": [{"format": "ckpt", "url": "/b"}]})
    condition = written(status)["status"]["conditions"][-1]
    assert json.loads(condition["data"]) == {"input": {"models": [{"format": "ckpt", "url": "/b"}]}}
    assert "message" not in condition


def test_reason_and_message_of_a_failure(status):
    for kind in ("Waiting", "Ready", "Starting"):
        status.move("Train", kind)
    status.move("Train", "Failed", reason="WorkerFailed", message="exit code 1")
    condition = written(status)["status"]["conditions"][-1]
    assert (condition["reason"], condition["message"]) == ("WorkerFailed", "exit code 1")


def test_a_later_run_goes_on_with_the_conditions_it_knows(status):
    status.move("Train", "Waiting")
    start = written(status)["status"]["startTime"]
    conditions = list(status.conditions)
    later = JobStatus(status.path, MANIFEST, conditions, conditions.append)
    assert later.state == ("Train", "Waiting")
    later.move("Train", "Ready")
    assert len(written(later)["status"]["conditions"]) == 2
    assert written(later)["status"]["startTime"] == start


@pytest.mark.parametrize("reached", range(1, len(FULL_COLD_ROUND)))
def test_a_round_that_goes_on_does_not_meet_conditions_twice(status, reached):
    for stage, kind in FULL_COLD_ROUND[:reached]:
        status.move(stage, kind)
    for stage, kind in FULL_COLD_ROUND[1:]:  # the first one belongs to the wait before the round
        status.move(stage, kind)
    assert [(c["stage"], c["type"]) for c in status.conditions] == FULL_COLD_ROUND


def test_a_transition_that_sedna_does_not_know_is_refused_and_not_written(status):
    status.move("Train", "Waiting")
    with pytest.raises(ValueError, match="Deploy Completed cannot follow Train Waiting"):
        status.move("Deploy", "Completed")
    assert len(written(status)["status"]["conditions"]) == 1


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [
        (None, ("Train", "Waiting"), True),
        (None, ("Eval", "Waiting"), False),
        (("Deploy", "Waiting"), ("Deploy", "Completed"), True),
        (("Deploy", "Waiting"), ("Deploy", "Failed"), True),
        (("Eval", "Waiting"), ("Eval", "Completed"), False),
        (("Deploy", "Ready"), ("Deploy", "Completed"), True),
        (("Deploy", "Ready"), ("Deploy", "Starting"), True),
        (("Train", "Ready"), ("Train", "Completed"), False),
        (("Eval", "Failed"), ("Train", "Waiting"), True),
        (("Eval", "Failed"), ("Deploy", "Waiting"), False),
        (("Deploy", "Completed"), ("Train", "Waiting"), True),
        (("Train", "Running"), ("Eval", "Completed"), False),
    ],
)
def test_the_transitions_of_the_state_machine(before, after, known):
    assert may_follow(before, after) is known


def test_no_state_is_a_dead_end():
    states = [(stage, kind) for stage in STAGES for kind in CONDITION_TYPES]
    for before in states:
        assert any(may_follow(before, after) for after in states), before
