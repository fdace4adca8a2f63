import json

import pytest

from sedna_tinyms.cli import main
from sedna_tinyms.jobs.events import WorkerStarted


@pytest.fixture
def played(toy_job):
    toy_job.plan({1: {"accuracy": 0.1}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    return toy_job


def test_a_table_of_the_jobs(played, capsys):
    assert main(["status", str(played.root)]) == 0
    title, output, heading, line, why = capsys.readouterr().out.splitlines()
    assert title.startswith("default/toy: Train Waiting since 20")
    assert title.rstrip().endswith("Z, not running")
    assert output.strip() == str(played.output)
    assert heading.split() == ["round", "samples", "train", "eval", "deploy", "outcome"]
    assert line.split()[:2] == ["1", "8+2"]
    assert line.endswith("  refused")
    assert why.startswith("       accuracy_delta[0] -0.1 is not > 0; ")
    assert why.endswith("reports no 'correct'")


def test_a_job_without_a_round(toy_job, capsys):
    runner = toy_job.runner()
    runner.stop()
    runner.run()
    assert main(["status", str(toy_job.root)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("no round yet")


def test_the_same_as_json(played, capsys):
    assert main(["status", str(played.root), "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)
    assert (job["name"], job["stage"], job["condition"]) == ("toy", "Train", "Waiting")
    assert job["output"] == str(played.output)
    assert job["rounds"][0]["outcome"] == "refused"


def test_no_job_is_a_usage_error(tmp_path, capsys):
    assert main(["status", str(tmp_path)]) == 2
    assert "no job has run below" in capsys.readouterr().err


def test_how_sure_it_was_is_shown(toy_job, capsys):
    toy_job.plan({1: {"accuracy": 0.9, "correct": [[1.0] * 7, [0.0] * 5 + [1.0] * 2]}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    assert main(["status", str(toy_job.root)]) == 0  # on a line of any length
    assert (
        "samples that only the new model gets right: 5, only the old one: 0; 93.8 % sure that they "
        "differ, 95 % are asked for"
    ) in capsys.readouterr().out
    assert main(["status", str(toy_job.root), "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)
    assert job["rounds"][0]["test"] == {"only_new": 5, "only_old": 0, "confidence": 0.9375}


def test_what_the_rounds_forgot_is_shown(toy_job, capsys):
    toy_job.plan({1: {"accuracy": 0.9, "correct": [[1.0, 1.0], [0.0, 1.0]]}})
    toy_job.add_samples(10)
    toy_job.runner(rounds=1, annotations={"deploy-confidence": "0"}).run()
    assert main(["status", str(toy_job.root)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "accuracy 1.000, forgetting not measured, backward transfer not measured, "
        "forward transfer not measured"
    )
    assert main(["status", str(toy_job.root), "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)
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


def test_a_round_that_nobody_plays_any_more_is_interrupted(interrupted, capsys):
    assert main(["status", str(interrupted.root)]) == 0
    *_, line, why = capsys.readouterr().out.splitlines()
    assert (line.split()[-1], why.strip()) == ("interrupted", "interrupted: SIGTERM")
    assert main(["status", str(interrupted.root), "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)
    assert job["rounds"][0]["outcome"] == "interrupted"


def test_the_next_run_would_go_on_with_it(interrupted, capsys):
    words = ["run", str(interrupted.yaml()), "--root", str(interrupted.root), "--dry-run"]
    assert main(words) == 0
    assert "round 1 would go on from its train step\n" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    would = json.loads(capsys.readouterr().out)
    assert (would["step"], would["begins"], would["reason"]) == ("train", True, "it was cut short")
