import json

from sedna_tinyms.errors import UsageError
from sedna_tinyms.jobs.events import RoundFinished, RoundStarted
from sedna_tinyms.jobs.status import find_jobs


def test_a_job_is_found_from_above_and_from_its_output(toy_job, tmp_path):
    toy_job.plan({1: {"accuracy": 0.7}, 2: {"train": "crash"}, 3: {"accuracy": 0.6}})
    toy_job.on(RoundFinished, lambda _: toy_job.add_samples(10))
    toy_job.add_samples(10)
    toy_job.runner(rounds=3).run()
    for directory in (tmp_path, toy_job.root, toy_job.output):
        (job,) = find_jobs(directory)
        assert (job.name, job.namespace, job.output) == ("toy", "default", toy_job.output)
        assert (job.stage, job.condition, job.runner) == ("Train", "Waiting", None)
        outcomes = [record.outcome for record in job.rounds]
        assert outcomes == ["deployed", "failed", "not proven"]
        assert job.rounds[0].stages["train"].seconds > 0
        report = json.loads((toy_job.output / "report.json").read_text())
        assert json.loads(json.dumps(job.as_json()))["rounds"] == report["rounds"]


def test_the_process_that_runs_a_job_is_named(toy_job):
    seen = []
    toy_job.add_samples(10)
    toy_job.on(RoundStarted, lambda _: seen.extend(find_jobs(toy_job.root)))
    toy_job.runner(rounds=1).run()
    lock = toy_job.output / "run.lock"
    assert seen[0].runner == int(lock.read_text())


def test_other_status_files_are_passed_over(toy_job, tmp_path, raises):
    for number, content in enumerate(
        [
            "",
            "[]",
            "[" * 100_000,
            '{"kind": "IncrementalLearningJob"}',
            '{"kind": "Pod", "status": {}}',
        ]
    ):
        path = tmp_path / "others" / str(number) / "status.json"
        path.parent.mkdir(parents=True)
        path.write_text(content)
    with raises(UsageError, "missing-file", path=tmp_path):
        find_jobs(tmp_path)


def test_a_directory_that_is_not_there_is_an_error(tmp_path, raises):
    with raises(UsageError, "not-a-directory", path=tmp_path / "nowhere"):
        find_jobs(tmp_path / "nowhere")
