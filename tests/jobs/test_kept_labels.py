"""What becomes of labels whose round is not deployed, with real workers."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from toy_job import ToyJob

from sedna_tinyms.jobs.events import LabelsChecked, RoundFinished, SamplesArrived
from sedna_tinyms.jobs.records import RoundRecord

SURELY_WORSE = {"accuracy": 0.3, "correct": [[0.0] * 6, [1.0] * 6]}
BETTER = {"correct": [[1.0] * 6, [0.0] * 6]}
NOTHING_WRONG: dict[str, Any] = {"contradicts": []}


def play(
    toy_job: ToyJob, *rounds: dict[str, Any], arrivals: int = 99, size: int = 10
) -> list[RoundRecord]:
    """Play rounds; an arrival of so many comes before each, as long as there are any."""
    toy_job.plan(dict(enumerate(rounds, 1)))
    left = iter(range(arrivals - 1))

    def arrive(_: RoundFinished) -> None:
        if next(left, None) is not None:
            toy_job.add_samples(size)

    toy_job.on(RoundFinished, arrive)
    toy_job.add_samples(size)
    return toy_job.runner(rounds=len(rounds)).run().records


def summary(toy_job: ToyJob) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((toy_job.output / "report.json").read_text())
    return report["samples"]  # type: ignore[no-any-return]


def trained(toy_job: ToyJob) -> list[list[str]]:
    return [each["lines"] for each in toy_job.seen("train")]


def evaluated(toy_job: ToyJob) -> list[list[str]]:
    return [each["lines"] for each in toy_job.seen("eval")]


def test_labels_of_a_round_that_was_not_deployed_are_learned_in_the_next(
    toy_job: ToyJob, snapshot: SnapshotAssertion
) -> None:
    records = play(toy_job, {"accuracy": 0.1}, {"accuracy": 0.15}, {"accuracy": 0.7}, arrivals=3)
    assert [each.outcome for each in records] == ["not proven", "not proven", "deployed"]
    (first, held), (second, held_too), (third, held_three) = toy_job.shares()
    assert trained(toy_job) == [first, first + second, first + second + third]
    assert evaluated(toy_job)[-1] == held + held_too + held_three
    assert [each.train_samples for each in records] == [8, 16, 24]
    assert (summary(toy_job)["learned"], summary(toy_job)["waiting"]) == (24, 0)
    assert [each.reason for each in records] == snapshot


def test_waiting_labels_alone_begin_no_round(toy_job: ToyJob) -> None:
    play(toy_job, {"accuracy": 0.1}, {"accuracy": 0.7}, arrivals=2)
    arrived = toy_job.heard(SamplesArrived)
    assert [each.waiting for each in arrived] == [8, 16]
    assert summary(toy_job)["learned"] == 16


def test_the_only_new_arrival_of_a_rejected_round_goes_into_quarantine(
    toy_job: ToyJob, snapshot: SnapshotAssertion
) -> None:
    good = {"accuracy": 0.7} | BETTER
    records = play(toy_job, good, SURELY_WORSE, {"accuracy": 0.8} | BETTER, arrivals=3)
    assert [each.outcome for each in records] == ["deployed", "rejected", "deployed"]
    (first, held), _, (third, held_three) = toy_job.shares()
    assert trained(toy_job)[2] == third
    assert evaluated(toy_job)[2] == held + held_three, "nor is it evidence"
    assert records[1].quarantined[0]["arrival"] == 2
    assert records[1].quarantined[0]["samples"] == 10
    assert summary(toy_job)["quarantine"][0]["samples"] == 10
    assert records[1].reason == snapshot
    assert len(first) == 8


def test_of_several_suspects_the_guilty_one_is_found_by_leaving_one_out(toy_job: ToyJob) -> None:
    """Arrivals 2, 3 and 4 wait when round 4 is rejected; without arrival 3 it would not be."""
    records = play(
        toy_job,
        {"accuracy": 0.7} | BETTER,
        {"accuracy": 0.65},
        {"accuracy": 0.65},
        SURELY_WORSE,
        SURELY_WORSE,
        {"accuracy": 0.75} | BETTER,
        arrivals=4,
    )
    assert [each.outcome for each in records] == [
        *("deployed", "not proven", "not proven", "rejected", "rejected", "deployed"),
    ]
    assert [each.left_out for each in records] == [None, None, None, None, 4, 3]
    _, (second, _), (third, held_three), (fourth, _) = toy_job.shares()
    assert trained(toy_job)[3:] == [second + third + fourth, second + third, second + fourth]
    assert not set(held_three) & set(evaluated(toy_job)[5])
    assert [each["arrival"] for each in records[5].quarantined] == [3]
    assert summary(toy_job)["learned"] == 24
    assert [each["arrival"] for each in summary(toy_job)["quarantine"]] == [3]


def test_where_no_single_arrival_is_guilty_all_that_wait_are_kept_out(toy_job: ToyJob) -> None:
    records = play(
        toy_job,
        {"accuracy": 0.7} | BETTER,
        {"accuracy": 0.65},
        *[SURELY_WORSE] * 3,
        arrivals=3,
    )
    assert [each.left_out for each in records] == [None, None, None, 3, 2]
    assert [each["arrival"] for each in summary(toy_job)["quarantine"]] == [2, 3]


@pytest.fixture
def checked(toy_job: ToyJob) -> list[RoundRecord]:
    """Play four rounds, before the third of which the labels of the arrival are contradicted."""
    return play(
        toy_job,
        {"accuracy": 0.7} | NOTHING_WRONG,
        {"accuracy": 0.75} | NOTHING_WRONG,
        {"contradicts": [f"picture-{number}." for number in range(40, 60)]},
        {"accuracy": 0.8} | NOTHING_WRONG,
        arrivals=4,
        size=20,
    )


def test_an_arrival_whose_labels_are_contradicted_is_not_trained_on(
    toy_job: ToyJob, checked: list[RoundRecord], snapshot: SnapshotAssertion
) -> None:
    assert [each.outcome for each in checked] == [
        *("deployed", "deployed", "quarantined", "deployed"),
    ]
    first, second, _, fourth = toy_job.shares(20)
    assert trained(toy_job) == [first[0], second[0], fourth[0]]
    assert evaluated(toy_job)[-1] == first[1] + second[1] + fourth[1]
    assert (checked[2].code, checked[2].quarantined[0]["arrival"]) == ("contradicted", 3)
    assert checked[2].checked["3"]["contradicted"] == 20
    assert (checked[2].reason, checked[2].quarantined[0]["reason"]) == snapshot
    assert toy_job.deployed.read_text() == "0.8"


def test_the_log_says_what_was_checked_and_why_not(
    toy_job: ToyJob, checked: list[RoundRecord]
) -> None:
    verdicts = [
        (number, verdict.code)
        for event in toy_job.heard(LabelsChecked)
        for number, verdict in event.verdicts.items()
    ]
    assert verdicts == [
        *((1, "no-reference"), (2, "no-reference"), (3, "contradicted"), (4, "passed")),
    ]
    assert checked[3].checked["4"]["outcome"] == "passed"


def test_an_evaluation_without_scores_checks_no_labels(toy_job: ToyJob) -> None:
    play(toy_job, *({"accuracy": 0.7 + n / 100} for n in range(3)), arrivals=3)
    codes = [v.code for event in toy_job.heard(LabelsChecked) for v in event.verdicts.values()]
    assert codes == ["no-reference", "no-reference", "no-scores"]
    assert len(evaluated(toy_job)) == 3, "no worker is started for it"


def test_a_check_that_fails_does_not_stop_the_round(toy_job: ToyJob) -> None:
    records = play(
        toy_job,
        {"accuracy": 0.7} | NOTHING_WRONG,
        {"accuracy": 0.75} | NOTHING_WRONG,
        {"eval": "crash"},
        arrivals=3,
        size=20,
    )
    assert [each.outcome for each in records] == ["deployed", "deployed", "failed"]
    assert records[2].failure is not None
    assert records[2].failure["stage"] == "eval", "not before the training"
    (note,) = toy_job.noted("labels-not-checked")
    assert note.fields["round"] == 3


def test_held_out_pictures_that_were_deleted_leave_the_evidence_and_are_counted(
    toy_job: ToyJob,
) -> None:
    toy_job.plan({1: {"accuracy": 0.7}, 2: {"accuracy": 0.8}})
    lines = toy_job.add_samples(10)
    directory = toy_job.dataset.parent
    for line in lines:
        (directory / line.split()[0]).write_bytes(line.encode())
    toy_job.runner(rounds=1).run()
    gone = toy_job.shares()[0][1][0]
    (directory / gone.split()[0]).unlink()
    toy_job.add_samples(10)
    (record,) = toy_job.runner(rounds=1).run().records
    assert (record.eval_samples, record.eval_missing) == (3, 1)
    assert gone not in evaluated(toy_job)[1]


def test_a_corrected_label_replaces_the_first(toy_job: ToyJob) -> None:
    toy_job.plan({1: {"accuracy": 0.7}, 2: {"accuracy": 0.8}})
    lines = toy_job.add_samples(10)
    for line in lines:
        (toy_job.dataset.parent / line.split()[0]).write_bytes(line.encode())
    toy_job.runner(rounds=1).run()
    corrected = [f"{line.split()[0]} other" for line in lines]
    with toy_job.dataset.open("a") as file:
        file.write("".join(f"{line}\n" for line in (*corrected, lines[0])))
    toy_job.runner(rounds=1).run()
    train, held_out = toy_job.shares()[0]
    as_corrected = {line: f"{line.split()[0]} other" for line in lines}
    assert trained(toy_job)[1] == [*(as_corrected[each] for each in train[1:]), lines[0]]
    assert evaluated(toy_job)[1] == [as_corrected[each] for each in held_out]
    event = toy_job.heard(SamplesArrived)[-1]
    assert (event.new, event.corrected) == (11, 11), "the first was corrected twice"
    assert summary(toy_job)["corrected"] == 11


def test_a_restart_after_a_failed_round_tries_it_again_at_once(toy_job: ToyJob) -> None:
    toy_job.plan({1: {"train": "crash"}, 2: {"accuracy": 0.7}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    (record,) = toy_job.runner(rounds=1).run().records
    assert (record.round, record.outcome, record.train_samples) == (2, "deployed", 8)


def test_a_failed_round_is_tried_again_when_a_picture_of_it_is_mended(toy_job: ToyJob) -> None:
    toy_job.plan({1: {"train": "crash"}, 2: {"accuracy": 0.7}})
    lines = toy_job.add_samples(10)
    picture = toy_job.dataset.parent / lines[0].split()[0]
    picture.write_bytes(b"broken")
    first = iter([True])

    def mend(_: RoundFinished) -> None:
        if next(first, False):
            threading.Timer(0.5, picture.write_bytes, [b"whole again"]).start()

    toy_job.on(RoundFinished, mend)
    records = toy_job.runner(rounds=2).run().records
    assert [each.outcome for each in records] == ["failed", "deployed"]
    (note,) = toy_job.noted("mended")
    assert note.fields == {"path": picture}


def test_samples_that_were_set_aside_come_back_when_the_job_is_changed(toy_job: ToyJob) -> None:
    play(toy_job, {"train": "crash"}, {"train": "crash"}, arrivals=2)
    assert summary(toy_job)["set_aside"] == 8
    toy_job.plan({3: {"accuracy": 0.7}})
    yaml = {"memory": {"train": "2Gi"}}
    (record,) = toy_job.runner(rounds=1, **yaml).run().records
    assert (record.outcome, record.train_samples) == ("deployed", 16)
