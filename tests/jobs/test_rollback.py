"""An earlier version comes back: a person asks for it, or the new one cannot serve."""

import json
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from killed import kill_at_every_step
from toy_job import as_onnx, wait_until

from sedna_tinyms.artifact import lock
from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.jobs.events import (
    Deployed,
    Noted,
    RollbackServed,
    RolledBack,
    RoundFinished,
    WorkerStarted,
)
from sedna_tinyms.jobs.layout import JobLayout
from sedna_tinyms.jobs.paths import HostPaths
from sedna_tinyms.jobs.rollback import ASKED_FOR, BY_HAND, roll_back
from sedna_tinyms.jobs.versions import JobVersions

hot_and_cold = pytest.mark.parametrize("hot", [True, False], ids=["hot", "cold"])


@pytest.fixture
def store(toy_job):
    return ModelStore(toy_job.output / "models")


def plan(toy_job, accuracies, **inference):
    rounds = {number: {"accuracy": value} for number, value in enumerate(accuracies, start=1)}
    toy_job.plan({**rounds, "inference": inference})


def play(toy_job, rounds, **settings):
    """Play so many rounds, with new samples after each; return their records."""
    toy_job.on(RoundFinished, lambda _: toy_job.add_samples(10))
    toy_job.add_samples(10)
    return toy_job.runner(rounds=rounds, **settings).run().records


def report(toy_job):
    return json.loads((toy_job.output / "report.json").read_text())


def brief(rollbacks):
    return [(each["version"], each["replaced"], each["round"]) for each in rollbacks]


# By itself


@hot_and_cold
def test_a_model_that_its_worker_dies_of_is_gone_back_from_and_not_deployed_again(
    toy_job, store, hot, snapshot
):
    plan(toy_job, [0.7, 0.8, 0.8, 0.9], **{"dies of": ["0.8"]})
    toy_job.add_samples(10)
    toy_job.on(RoundFinished, lambda event: event.record.round != 2 and toy_job.add_samples(10))
    toy_job.on(RolledBack, lambda _: toy_job.add_samples(10))
    records = toy_job.runner(rounds=4, hot=hot).run().records

    (event,) = toy_job.heard(RolledBack)
    assert (event.version, event.replaced) == (2, 3)
    assert event.reason == snapshot
    assert [(record.outcome, record.rolled_back is not None) for record in records] == [
        *(("deployed", False), ("deployed", True), ("not proven", False), ("deployed", False)),
    ]
    assert records[1].rolled_back == event.reason
    assert records[2].base_model == "/output/train/1/model.ckpt"
    assert records[2].old == {"accuracy": [0.7]}
    assert records[2].code == "gone-back-from"
    assert records[2].reason == snapshot
    (rollback,) = report(toy_job)["rollbacks"]
    assert (brief([rollback]), rollback["reason"]) == ([(2, 3, 2)], event.reason)
    assert report(toy_job)["rounds"][1]["rolled_back"] == event.reason
    assert '"kind": "rolled_back"' in (toy_job.output / "journal.jsonl").read_text()
    assert toy_job.deployed.read_text() == "0.9"
    assert store.deployed().before == (1, 2)


@hot_and_cold
def test_a_model_that_its_worker_hangs_with_is_gone_back_from(
    toy_job, store, hot, monkeypatch, snapshot
):

    def silence(_):
        """Return an hour where the worker that was started last hangs."""
        started = [event.pid for event in toy_job.heard(WorkerStarted) if event.kind == "inference"]
        hangs = started[-1:] == [each["pid"] for each in toy_job.seen("hangs")][-1:]
        return 3600.0 if hangs else 0.0

    monkeypatch.setattr("sedna_tinyms.heartbeat.Pulse.silence", silence)
    plan(toy_job, [0.7], **{"beats": True, "hangs with": ["0.7"]})
    toy_job.add_samples(10)
    runner = toy_job.runner(hot=hot)
    toy_job.on(RolledBack, lambda _: runner.stop())
    runner.run()
    (event,) = toy_job.heard(RolledBack)
    assert event.reason == snapshot
    assert [note.fields for note in toy_job.noted("worker-hangs")] == [{"seconds": 3600.0}] * 3
    assert toy_job.noted("worker-hangs")[0].message == snapshot
    assert toy_job.deployed.read_text() == "0.2"


def test_a_worker_without_a_heartbeat_is_not_taken_for_one_that_hangs(toy_job, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.inference.LONGEST_SILENCE_SECONDS", 0.0)
    plan(toy_job, [0.7, 0.8])
    play(toy_job, 2)
    assert toy_job.noted("worker-hangs") == []


def test_the_first_model_of_all_gives_way_to_what_was_in_service_before(toy_job, store):
    plan(toy_job, [0.7], **{"dies of": ["0.7"]})
    toy_job.add_samples(10)
    runner = toy_job.runner()
    toy_job.on(RolledBack, lambda _: runner.stop())
    runner.run()
    assert [(event.version, event.replaced) for event in toy_job.heard(RolledBack)] == [(1, 2)]
    assert toy_job.deployed.read_text() == "0.2"
    assert store.deployed().version == 1
    assert store.deployed().reason == toy_job.heard(RolledBack)[0].reason


def test_a_worker_that_was_not_well_before_is_not_the_models_fault(toy_job, store):
    plan(toy_job, [0.7], **{"dies of": ["0.2", "0.7"]})
    runner = toy_job.runner()
    starts = []

    def count(event):
        if event.kind != "inference":
            return
        starts.append(event)
        if len(starts) == 3:
            toy_job.add_samples(10)
        if toy_job.heard(Deployed) and len(starts) > 12:
            runner.stop()

    toy_job.on(WorkerStarted, count)
    runner.run()
    assert toy_job.heard(RolledBack) == []
    assert store.deployed().version == 2


def test_a_trial_goes_on_in_a_later_run(toy_job, store):
    plan(toy_job, [0.7])
    play(toy_job, 1)
    plan(toy_job, [], **{"dies of": ["0.7"]})
    runner = toy_job.runner()
    toy_job.on(RolledBack, lambda _: runner.stop())
    runner.run()
    assert [(event.version, event.replaced) for event in toy_job.heard(RolledBack)] == [(1, 2)]


def test_a_model_that_did_well_is_not_gone_back_from(toy_job, store, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.inference.STEADY_SECONDS", 0.2)
    plan(toy_job, [0.7])
    toy_job.add_samples(10)
    runner = toy_job.runner()
    journal = toy_job.output / "journal.jsonl"
    toy_job.on(
        RoundFinished, lambda _: threading.Thread(target=stop_when_passed, args=[runner]).start()
    )

    def stop_when_passed(runner):
        wait_until(lambda: '"kind": "trial_ends"' in journal.read_text())
        runner.stop()

    runner.run()
    plan(toy_job, [], **{"dies of": ["0.7"]})
    later = toy_job.runner()
    toy_job.on(WorkerStarted, lambda _: len(toy_job.seen("inference")) > 7 and later.stop())
    later.run()
    assert toy_job.heard(RolledBack) == []
    assert store.deployed().version == 2


def test_what_cannot_be_put_back_is_noted_and_the_job_goes_on(toy_job, store, snapshot):
    plan(toy_job, [0.7], **{"dies of": ["0.7"]})
    toy_job.add_samples(10)
    runner = toy_job.runner()

    def damage(_):
        (store.path(1) / "model.ckpt").write_text("?")

    toy_job.on(Deployed, damage)
    toy_job.on(Noted, lambda event: event.code == "cannot-go-back" and runner.stop())
    runner.run()
    (note,) = toy_job.noted("cannot-go-back")
    assert note.fields == {"version": 1, "error": "wrong-length"}
    assert note.message == snapshot
    assert toy_job.deployed.read_text() == "0.7"


# Because a person asks for it


def ask_after_round_2(toy_job, **yaml):
    toy_job.on(
        RoundFinished,
        lambda event: event.record.round == 2 and roll_back(toy_job.job(**yaml), toy_job.root),
    )


def test_a_running_worker_is_told_and_its_answer_counts(toy_job):
    plan(toy_job, [0.7, 0.8])
    ask_after_round_2(toy_job, hot=True)
    toy_job.add_samples(10)
    toy_job.on(RoundFinished, lambda event: event.record.round == 1 and toy_job.add_samples(10))
    runner = toy_job.runner(hot=True)
    toy_job.on(RollbackServed, lambda _: runner.stop())
    runner.run()
    assert toy_job.heard(RolledBack) == [RolledBack(2, 3, ASKED_FOR)]
    assert toy_job.heard(RollbackServed) == [RollbackServed(2)]
    assert [each["model"] for each in toy_job.seen("hot")] == ["0.7", "0.8", "0.7"]
    assert len(toy_job.seen("inference")) == 1
    assert toy_job.noted("unawaited-report") == toy_job.noted("useless-report") == []
    assert brief(report(toy_job)["rollbacks"]) == [(2, 3, 2)]


def test_in_the_midst_of_a_hot_update_it_waits_for_the_end_of_that(toy_job, store, monkeypatch):
    plan(toy_job, [0.7, 0.8])
    script = toy_job.here / "toy_inference.py"
    loads = "        if model == '0.8': act('wait')\n        answer = plan("
    script.write_text(script.read_text().replace("        answer = plan(", loads))
    job, wait_for, done = toy_job.job(hot=True), lock._wait_for, []

    def wait(*arguments):
        if threading.current_thread() is back:
            (toy_job.here / "go").touch()
        return wait_for(*arguments)

    def go_back():
        wait_until(lambda: [e for e in toy_job.seen("hot") if e["model"] == "0.8"])
        done.append(roll_back(job, toy_job.root))

    monkeypatch.setattr(lock, "_wait_for", wait)
    back = threading.Thread(target=go_back)
    toy_job.add_samples(10)
    toy_job.on(RoundFinished, lambda event: event.record.round == 1 and toy_job.add_samples(10))
    toy_job.on(RoundFinished, lambda event: event.record.round == 1 and back.start())
    runner = toy_job.runner(hot=True)
    toy_job.on(RollbackServed, lambda _: runner.stop())
    toy_job.on(Noted, lambda event: event.code == "starts-anew" and runner.stop())
    runner.run()
    back.join()
    assert [(each.version, each.replaced, each.announced) for each in done] == [(2, 3, True)]
    assert toy_job.heard(RollbackServed) == [RollbackServed(2)]
    assert [each["model"] for each in toy_job.seen("hot")] == ["0.7", "0.8", "0.7"]
    hot_update = JobLayout(job, HostPaths(toy_job.root)).hot_update
    assert (hot_update / "model.version-2.ckpt").read_text() == toy_job.deployed.read_text()
    assert store.deployed().version == 2


@pytest.mark.parametrize(("answer", "code"), [("failed", "reported-failed"), ("silent", "timeout")])
def test_a_worker_that_does_not_take_it_starts_anew_with_it(
    toy_job, answer, code, monkeypatch, snapshot
):
    ahead = iter(range(0, 1_000_000, 600))

    def later_once_it_was_told():
        told = answer == "silent" and len(toy_job.seen("hot")) == 3
        return time.monotonic() + (next(ahead) if told else 0)

    clock = SimpleNamespace(monotonic=later_once_it_was_told)
    monkeypatch.setattr("sedna_tinyms.jobs.rollback.time", clock)
    plan(toy_job, [0.7, 0.8])
    toy_job.on(
        RoundFinished,
        lambda event: event.record.round == 2 and plan(toy_job, [0.7, 0.8], update=answer),
    )
    ask_after_round_2(toy_job, hot=True)
    toy_job.add_samples(10)
    toy_job.on(RoundFinished, lambda event: event.record.round == 1 and toy_job.add_samples(10))
    runner = toy_job.runner(hot=True)
    toy_job.on(
        WorkerStarted, lambda _: len(toy_job.heard(RolledBack)) == 1 and starts_with(toy_job, "0.7")
    )
    toy_job.on(WorkerStarted, lambda _: toy_job.heard(RolledBack) and runner.stop())
    runner.run()
    (note,) = toy_job.noted("starts-anew")
    assert note.fields == {"version": 2, "error": code}
    assert note.message == snapshot
    assert toy_job.heard(RollbackServed) == []


def starts_with(toy_job, model):
    wait_until(lambda: toy_job.seen("inference")[-1]["model"] == model)


def test_without_hot_updates_the_worker_starts_anew_with_it(toy_job):
    plan(toy_job, [0.7, 0.8])
    ask_after_round_2(toy_job)
    toy_job.on(
        WorkerStarted, lambda _: len(toy_job.heard(RolledBack)) == 1 and starts_with(toy_job, "0.7")
    )
    toy_job.add_samples(10)
    toy_job.on(RoundFinished, lambda event: event.record.round == 1 and toy_job.add_samples(10))
    runner = toy_job.runner()
    toy_job.on(WorkerStarted, lambda _: toy_job.heard(RolledBack) and runner.stop())
    runner.run()
    assert toy_job.heard(RolledBack) == [RolledBack(2, 3, ASKED_FOR)]


def wait_to_hear(run, event):
    """Read what a command says until it says an event."""
    assert any(line.rstrip("\n").endswith(str(event)) for line in run.stderr)


@hot_and_cold
def test_by_the_commands_as_processes(toy_job, hot):
    plan(toy_job, [0.7])
    toy_job.add_samples(10)
    words = [str(toy_job.yaml(hot=hot, through_exec=True)), "--root", str(toy_job.root)]
    program = [sys.executable, "-m", "sedna_tinyms"]
    command = [*program, "run", *words, "--poll", "0.05"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        watchdog = threading.Timer(60, run.kill)
        watchdog.start()
        wait_to_hear(run, Deployed(1, "hot" if hot else "cold", "/output/train/1/model.ckpt"))
        back = [*program, "model", "rollback", *words, "--json"]
        done = subprocess.run(back, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said == {"version": 1, "replaced": 2, "announced": hot, "runner": run.pid}
        wait_to_hear(run, RolledBack(1, 2, ASKED_FOR))
        if hot:
            wait_to_hear(run, RollbackServed(1))
        else:
            wait_until(lambda: [each["model"] for each in toy_job.seen("inference")][2:] == ["0.2"])
        run.terminate()
        run.communicate()
        watchdog.cancel()
    assert run.returncode == 143
    (record,) = report(toy_job)["rounds"]
    assert (record["outcome"], record["rolled_back"]) == ("deployed", ASKED_FOR)
    assert toy_job.deployed.read_text() == "0.2"


@hot_and_cold
def test_between_two_runs(toy_job, hot):
    plan(toy_job, [0.7, 0.8, 0.75])
    play(toy_job, 2, hot=hot)
    done = roll_back(toy_job.job(hot=hot), toy_job.root)
    assert (done.version, done.replaced, done.announced, done.runner) == (2, 3, False, None)
    (record,) = toy_job.runner(rounds=3, hot=hot, resume=True).run().records
    assert (record.round, record.outcome) == (3, "deployed")
    assert record.base_model == "/output/train/1/model.ckpt"
    assert record.old == {"accuracy": [0.7]}
    said = report(toy_job)
    assert brief(said["rollbacks"]) == [(2, 3, 2)]
    assert [each["rolled_back"] for each in said["rounds"]] == [None, ASKED_FOR, None]


def test_and_forward_again(toy_job):
    plan(toy_job, [0.7, 0.8, 0.8])
    play(toy_job, 2)
    for number in (2, 3):
        roll_back(toy_job.job(), toy_job.root, number)
        toy_job.runner(rounds=2, resume=True).run()
    said = report(toy_job)
    assert brief(said["rollbacks"]) == [(2, 3, 2), (3, 2, 2)]
    assert [each["rolled_back"] for each in said["rounds"]] == [None, None]
    (record,) = toy_job.runner(rounds=1).run().records
    assert record.code != "gone-back-from"


def test_a_runner_that_was_killed_in_between_knows_why_it_went_back(toy_job):
    plan(toy_job, [0.7, 0.8])
    play(toy_job, 2)
    job, paths = toy_job.job(), HostPaths(toy_job.root)
    JobVersions(job, paths, JobLayout(job, paths)).go_back(2, "the worker ended 3 times")
    toy_job.runner(rounds=2, resume=True).run()
    (rollback,) = report(toy_job)["rollbacks"]
    assert rollback["reason"] == "the worker ended 3 times"
    toy_job.runner(rounds=2, resume=True).run()
    assert report(toy_job)["rollbacks"] == [rollback]


GONE_BACK = """
from sedna_tinyms.jobs import load_job
from sedna_tinyms.jobs.rollback import roll_back

def work(root):
    roll_back(load_job(root.parent.parent / "job" / "job.yaml"), root)
"""


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_on_the_way_back_leaves_one_version_to_serve_and_to_compare_with(
    toy_job, tmp_path, every
):
    rounds = {n: {"train": "two formats", "accuracy": a} for n, a in ((1, 0.7), (2, 0.8))}
    toy_job.plan(rounds)
    toy_job.deployed.write_text(as_onnx("0.2"))
    play(toy_job, 2, two_formats=True)
    job = toy_job.job(two_formats=True)
    copies = kill_at_every_step(GONE_BACK, toy_job.root, tmp_path / "after", every)
    apart, found = 0, []
    for root in copies:
        deployed, compared = (root / "models" / n / "model.ckpt" for n in ("deployed", "compared"))
        apart += deployed.read_text() != as_onnx(compared.read_text())
        paths = HostPaths(root)
        versions = JobVersions(job, paths, JobLayout(job, paths))
        versions.take_up()  # as the next run does
        found.append((deployed.read_text(), compared.read_text(), versions.deployed_number()))
    print(len(copies), "copies,", apart, "of two versions")
    assert apart >= 5 // every
    assert set(found) == {(as_onnx("0.8"), "0.8", 3), (as_onnx("0.7"), "0.7", 2)}
    assert found == sorted(found, reverse=True)


def test_an_eval_model_that_no_round_made_stays(toy_job):
    toy_job.plan({1: {"train": "two formats", "accuracy": 0.1}})
    toy_job.compared.write_text("0.35")
    play(toy_job, 1, two_formats=True)
    toy_job.compared.write_text("0.36")
    toy_job.runner(rounds=1, resume=True, two_formats=True).run()
    assert toy_job.compared.read_text() == "0.36"


def test_a_file_that_somebody_put_in_the_models_place_is_noted_too(toy_job):
    plan(toy_job, [0.7])
    play(toy_job, 1)
    toy_job.deployed.write_text("0.71")
    toy_job.runner(rounds=1, resume=True).run()
    (rollback,) = report(toy_job)["rollbacks"]
    assert (rollback["version"], rollback["replaced"]) == (3, 2)
    assert rollback["reason"] == BY_HAND
