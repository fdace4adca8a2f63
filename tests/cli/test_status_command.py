import json
import sys

import pytest

from sedna_tinyms.errors import UsageError
from sedna_tinyms.jobs.events import WorkerStarted


@pytest.fixture
def played(toy_job):
    toy_job.plan({1: {"accuracy": 0.1}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    return toy_job


@pytest.fixture
def status(cli):
    """Return a function that returns what the command shows of a job, and as JSON."""

    def ask(job):
        shown, said = cli("status", job.root), cli("status", job.root, "--json")
        assert (shown.exit_code, said.exit_code) == (0, 0)
        (document,) = json.loads(said.out)
        return shown.out, document

    return ask


def test_a_table_of_the_jobs(played, status, snapshot):
    shown, job = status(played)
    title, output, heading, line, why, samples = shown.splitlines()
    assert title.split()[0] == "default/toy:"
    assert job["since"] in title
    assert output.strip() == str(played.output)
    assert heading.split() == ["round", "samples", "train", "eval", "deploy", "outcome"]
    assert line.split()[:2] == ["1", "8+2"]
    assert line.endswith("  not proven")
    assert (why, samples) == snapshot
    assert (job["samples"]["waiting"], job["in_service"]) == (8, None)


def test_what_is_in_service_and_since_when(toy_job, status):
    toy_job.plan({1: {"accuracy": 0.7}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    shown, job = status(toy_job)
    assert job["in_service"]["version"] == job["rounds"][0]["version"]
    assert job["in_service"]["since"] == job["rounds"][0]["finished"]
    assert f"version {job['in_service']['version']} since " in shown


def test_a_job_without_a_round(toy_job, status, snapshot):
    runner = toy_job.runner()
    runner.stop()
    runner.run()
    shown, job = status(toy_job)
    assert job["rounds"] == []
    assert shown.splitlines()[-1] == snapshot


def test_the_same_as_json(played, status):
    _, job = status(played)
    assert (job["name"], job["stage"], job["condition"]) == ("toy", "Train", "Waiting")
    assert job["output"] == str(played.output)
    assert job["rounds"][0]["outcome"] == "not proven"


def test_no_job_is_a_usage_error(tmp_path, refused):
    refused(UsageError, "missing-file", "status", tmp_path, path=tmp_path)


def test_how_sure_it_was_is_shown(toy_job, status, snapshot):
    toy_job.plan({1: {"accuracy": 0.9, "correct": [[1.0] * 7, [0.0] * 5 + [1.0] * 2]}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    shown, job = status(toy_job)
    assert "\n".join(shown.splitlines()[-3:-2]) == snapshot  # on a line of any length
    assert job["rounds"][0]["test"] == {"only_new": 5, "only_old": 0, "probability": 63 / 64}


def test_what_the_rounds_forgot_is_shown(toy_job, status, snapshot):
    toy_job.plan({1: {"accuracy": 0.9, "correct": [[1.0, 1.0], [0.0, 1.0]]}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1, annotations={"deploy-confidence": "0"}).run()
    shown, job = status(toy_job)
    assert shown.splitlines()[-1] == snapshot
    assert job["continual_learning"]["accuracy"] == 1.0


@pytest.fixture
def interrupted(toy_job):
    """Return a job whose runner was stopped while its first round trained."""
    toy_job.plan({1: {"train": "hang"}})
    toy_job.add_samples(10)
    runner = toy_job.runner()
    toy_job.on(WorkerStarted, lambda event: event.kind == "train" and runner.stop("SIGTERM"))
    runner.run()
    return toy_job


def test_a_round_that_nobody_plays_any_more_is_interrupted(interrupted, status, snapshot):
    shown, job = status(interrupted)
    *_, line, why, _samples = shown.splitlines()
    assert line.split()[-1] == "interrupted"
    assert why == snapshot
    assert job["rounds"][0]["outcome"] == "interrupted"


def test_the_next_run_would_go_on_with_it(interrupted, cli, snapshot):
    words = ["run", interrupted.yaml(), "--root", interrupted.root, "--dry-run"]
    would = json.loads(cli(*words, "--json").out)
    assert (would["round"], would["step"], would["begins"]) == (1, "train", True)
    shown = cli(*words).out.replace(sys.executable, "python")
    assert shown == snapshot
