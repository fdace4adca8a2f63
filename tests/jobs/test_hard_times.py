"""`sedna-tinyms run` as a process, while disk, clock, dataset or system play it false."""

import json
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial

import psutil
import pytest
from forked_command import ForkedCommand, run_command
from rights import without_the_rights_of_root
from toy_job import ToyJob, wait_until

from sedna_tinyms.jobs.events import Noted, RoundFinished, WorkerStarted

PLAN = {1: {"accuracy": 0.7}, 2: {"accuracy": 0.6}}


def table(job):
    """What a job has come to, but for times and memory."""
    fields = ("round", "outcome", "reason", "train_samples", "eval_samples", "base_model", "new")
    rounds = [[each[name] for name in fields] for each in records(job)]
    return rounds, job.states(), job.deployed.read_text()


def records(job):
    """Return the rounds of the report."""
    return json.loads((job.output / "report.json").read_text())["rounds"]


@pytest.fixture(scope="module")
def untroubled(tmp_path_factory):
    """Return what a round comes to without any trouble."""
    job = ToyJob(tmp_path_factory.mktemp("untroubled"))
    job.plan(PLAN)
    job.add_samples(10)
    assert run_command(job, "--rounds", "1")[0] == 0
    return table(job)


def finishes(job):
    """Tell what a later run makes of it."""
    code, said = run_command(job, "--rounds", "1", "--resume")
    assert code == 0, said
    return table(job)


@pytest.fixture
def job(toy_job):
    toy_job.plan(PLAN)
    toy_job.add_samples(10)
    return toy_job


def start(job, **settings):
    return ForkedCommand(job, "--rounds", "1", **{"yaml": {}, **settings})


def refusal(said):
    """Return the line with which the command ended."""
    (line,) = [line for line in said.splitlines() if line.startswith("sedna-tinyms run: ")]
    return line


# The disk


def files_of_bytes(most):
    """Return what lets a process write files of so many bytes."""
    return partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))


def test_a_full_disk_ends_it_with_13_and_nothing_is_lost(job, untroubled):
    code, said = run_command(job, "--rounds", "1", before=files_of_bytes(3000))
    assert code == 13
    assert f"{job.output}/journal.jsonl: [Errno 27] File too large" in refusal(said)
    assert finishes(job) == untroubled


def test_a_disk_that_was_full_before_ends_it_with_13(job, untroubled):
    code, said = run_command(job, "--rounds", "1", before=files_of_bytes(0))
    assert code == 13
    assert f"{job.output}/run.lock: File too large" in refusal(said)
    assert finishes(job) == untroubled


def test_a_read_only_directory_ends_it_with_13_before_anything_starts(job):
    job.output.mkdir()
    job.output.chmod(0o500)
    try:
        code, said = run_command(job, "--rounds", "1", before=without_the_rights_of_root)
    finally:
        job.output.chmod(0o700)
    assert code == 13, said
    assert f"[Errno 13] Permission denied: '{job.output}" in refusal(said)
    assert job.seen("inference") == []


def test_a_directory_below_it_fails_the_round_whose_samples_come_back(job):
    data = job.output / "data"
    data.mkdir(parents=True)
    data.chmod(0o500)
    try:
        code, said = run_command(job, "--rounds", "1", before=without_the_rights_of_root)
    finally:
        data.chmod(0o700)
    assert code == 10, said
    (record,) = records(job)
    assert (record["outcome"], record["code"]) == ("failed", "cannot-write")
    assert f"{data}/train/1/data.txt: [Errno 13] Permission denied" in record["reason"]
    job.add_samples(10)
    assert run_command(job, "--rounds", "1")[0] == 0
    (first, _), (second, _) = job.shares()
    assert job.seen("train")[-1]["lines"] == first + second


def test_a_model_in_service_that_cannot_be_read_any_more_fails_the_round_and_stays(job):
    job.plan({1: {"train": "wait"}})
    with start(job, before=without_the_rights_of_root) as process:
        wait_until(lambda: "waiting" in log(job, "1-train"))
        job.deployed.chmod(0)
        (job.here / "go").touch()
        said = process.communicate()
    job.deployed.chmod(0o600)
    assert process.returncode == 10
    (record,) = records(job)
    assert (record["outcome"], record["code"]) == ("failed", "worker-failed")
    assert record["stages"]["eval"]["exit_code"] == 1
    assert "PermissionError" in record["failure"]["last_lines"][-1]
    assert "\nTraceback" not in said  # but the toy's own, which is indented
    assert job.deployed.read_text() == "0.2"


def test_what_is_too_old_to_keep_and_cannot_be_looked_at_is_noted(job):
    closed = job.output / "train" / "99"
    closed.mkdir(parents=True)
    (closed / "model.ckpt").touch()
    closed.chmod(0o400)
    code, said = run_command(job, "--rounds", "1", before=without_the_rights_of_root)
    closed.chmod(0o700)
    assert code == 0
    assert f"{closed}: [Errno 13] Permission denied" in said


def test_a_directory_in_the_heartbeats_place_ends_it_with_13(job):
    heartbeat = job.output / "inference.heartbeat"
    heartbeat.mkdir(parents=True)
    code, said = run_command(job, "--rounds", "1")
    assert code == 13
    assert f"{heartbeat}: Is a directory" in refusal(said)


@pytest.mark.parametrize("torn", [b'{"entry": 99, "time": "2', b"\0" * 40 + b"\n"])
def test_an_entry_that_a_power_cut_tore_has_not_happened(job, untroubled, torn):
    job.yaml()
    job.plan({1: {"train": "hang"}})
    with start(job) as process:
        wait_until(lambda: "hanging" in log(job, "1-train"))
        process.kill()
        process.communicate()
    job.plan(PLAN)
    with (job.output / "journal.jsonl").open("ab") as journal:
        journal.write(torn)
    assert finishes(job) == untroubled


def log(job, name):
    path = job.output / "logs" / f"{name}.log"
    return path.read_text() if path.exists() else ""


# The clock


SET_BACK = """
import sys, time
import datetime as module
from sedna_tinyms.cli import main

DAY = 86400
real = time.time
time.time = lambda: real() - DAY

class Earlier(module.datetime):
    @classmethod
    def now(cls, zone=None):
        return super().now(zone) - module.timedelta(days=1)

module.datetime = Earlier
sys.exit(main(sys.argv[1:]))
"""


def test_a_clock_that_was_set_back_a_day_changes_nothing(job, untroubled):
    assert run_command(job, "--rounds", "1")[0] == 0
    job.add_samples(10)
    # A new interpreter: in the others, all modules have the real clock already.
    words = ["run", str(job.yaml()), "--root", str(job.root), "--rounds", "2", "--resume"]
    command = [sys.executable, "-c", SET_BACK, *words, "--poll", "0.05"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    times = [json.loads(line)["time"] for line in journal_lines(job)]
    assert times != sorted(times), "the clock was not set back"
    rounds, _, deployed = table(job)
    assert [each[:2] for each in rounds] == [[1, "deployed"], [2, "not proven"]]
    assert (rounds[:1], deployed) == (untroubled[0], "0.7")
    stages = records(job)[1]["stages"]
    assert all(0 < stage["seconds"] < 3600 for stage in stages.values()), "not by a day's clock"


def journal_lines(job):
    return (job.output / "journal.jsonl").read_text().splitlines()


# The dataset


def rewrite(path, text):
    path.write_text(text)


def replace(path, text):
    path.with_name("other.txt").write_text(text)
    path.with_name("other.txt").replace(path)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda path, text: rewrite(path, text[:40]), "truncated"),
        (lambda path, text: rewrite(path, text.replace("picture-3", "picture-X")), "wrong-digest"),
        (lambda path, text: replace(path, text[::-1]), "wrong-digest"),
        (lambda path, _: path.unlink(), "missing-file"),
    ],
    ids=["truncated", "edited", "replaced", "removed"],
)
def test_a_dataset_that_is_damaged_in_a_round_is_named_and_counts_again_when_mended(
    job, untroubled, damage, code
):
    job.plan({1: {"train": "wait", "accuracy": 0.7}, 2: {"accuracy": 0.6}})
    whole = job.dataset.read_text()

    def spoil(event):
        if (event.kind, event.round) == ("train", 1):
            damage(job.dataset, whole)

    def mend(event):
        if event.record.round == 1:
            replace(job.dataset, whole)
            job.add_samples(10)

    job.on(WorkerStarted, spoil)
    job.on(Noted, lambda _: (job.here / "go").touch())
    job.on(RoundFinished, mend)
    job.runner(rounds=2).run()
    assert [note.fields["error"] for note in job.noted("bad-dataset")] == [code]
    rounds, _, _ = table(job)
    assert rounds[:1] == untroubled[0]
    assert rounds[1][3] == 8
    assert job.seen("train")[1]["lines"] == job.shares()[1][0]


# Others


def test_what_a_killed_run_left_behind_ends_before_the_next_one_begins(job, untroubled, snapshot):
    job.plan({1: {"train": "wait", "accuracy": 0.7}})
    script = job.here / "toy_train.py"
    whole = script.read_text()
    leave = "import subprocess\nprint(subprocess.Popen(['sleep', '600']).pid, flush=True)\n"
    script.write_text(whole.replace("act(what)\n", f"{leave}act(what)\n", 1))
    with start(job) as process:
        wait_until(lambda: "waiting" in log(job, "1-train"))
        process.kill()
    (left,) = (int(line) for line in log(job, "1-train").splitlines() if line.isdecimal())
    assert runs(left)
    script.write_text(whole)
    (job.here / "go").touch()
    code, said = run_command(job, "--rounds", "1", "--resume")
    assert code == 0
    (line,) = [line for line in said.splitlines() if f"{left} (sleep)" in line]
    assert line.partition(" ")[2] == snapshot
    wait_until(lambda: not runs(left))
    assert table(job) == untroubled


def runs(pid):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_second_runner_ends_with_13_and_the_first_goes_on(job, untroubled):
    job.plan({1: {"train": "wait", "accuracy": 0.7}})
    with start(job) as process:
        wait_until(lambda: "waiting" in log(job, "1-train"))
        code, said = run_command(job, "--rounds", "1", yaml=None)
        assert code == 13
        assert f"process {process.pid}" in refusal(said)
        (job.here / "go").touch()
        process.communicate()
    assert process.returncode == 0
    assert table(job) == untroubled


def test_a_run_of_another_output_directory_that_replaces_the_same_model_ends_with_13(job):
    job.plan({1: {"train": "wait", "accuracy": 0.7}})
    with start(job) as process:
        wait_until(lambda: "waiting" in log(job, "1-train"))
        yaml = job.here / "job.yaml"
        yaml.write_text(yaml.read_text().replace("outputDir: /output", "outputDir: /other"))
        for options in (("--rounds", "1"), ("--dry-run",)):
            code, said = run_command(job, *options, yaml=None)
            assert code == 13, said
            assert str(job.deployed.parent) in refusal(said)
            assert f"process {process.pid}" in refusal(said) or options == ("--dry-run",)
        (job.here / "go").touch()
        process.communicate()
    assert process.returncode == 0
    assert [path.name for path in job.deployed.parent.iterdir()] == ["model.ckpt"]


def test_sigterm_in_a_training_ends_it_with_143_and_a_later_run_trains_the_same(job, untroubled):
    job.plan({1: {"train": "wait", "accuracy": 0.7}})
    with start(job, yaml={"through_exec": True}) as process:
        wait_until(lambda: "waiting" in log(job, "1-train"))
        process.send_signal(signal.SIGTERM)
        said = process.communicate()
    assert process.returncode == 143
    assert any("train worker" in line and "143" in line for line in said.splitlines())
    assert "SIGTERM" in said.splitlines()[-1]
    assert log(job, "1-train") == "waiting\nsaved what there was\n"
    (job.here / "go").touch()
    assert finishes(job) == untroubled
