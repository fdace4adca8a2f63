import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from toy_job import wait_until

from sedna_tinyms.errors import ConfigurationError, EndpointError, JobSpecError, WorkerError


def command(toy_job, *arguments):
    words = ["run", str(toy_job.yaml(through_exec=True)), "--root", str(toy_job.root)]
    return [*words, "--poll", "0.02", *arguments]


def test_a_job_runs_its_workers_through_exec_and_ends_with_0(toy_job, cli):
    toy_job.plan({1: {"accuracy": 0.7}})
    toy_job.add_samples(10)
    answer = cli(*command(toy_job, "--rounds", "1"))
    assert (answer.exit_code, answer.out) == (0, "")
    assert "accuracy_delta[0] 0.5" in answer.err
    assert toy_job.deployed.read_text() == "0.7"


def test_the_report_goes_to_stdout_alone(toy_job, cli):
    toy_job.add_samples(10)
    answer = cli(*command(toy_job, "--rounds", "1", "--json"))
    assert answer.exit_code == 0
    report = json.loads(answer.out)
    assert report == json.loads((toy_job.output / "report.json").read_text())
    assert [each["outcome"] for each in report["rounds"]] == ["deployed"]


def test_a_failed_round_ends_with_10_and_shows_the_workers_last_lines(toy_job, cli, snapshot):
    toy_job.plan({1: {"train": "crash"}})
    toy_job.add_samples(10)
    answer = cli(*command(toy_job, "--rounds", "1", "--json"))
    assert answer.exit_code == WorkerError.exit_code
    [record] = json.loads(answer.out)["rounds"]
    assert (record["outcome"], record["code"]) == ("failed", "worker-failed")
    [last_words] = re.findall(r"^\S+ (.*\n    \|.*\n)", answer.err, re.MULTILINE)
    assert last_words == snapshot


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_a_signal_ends_every_child_and_writes_the_status(toy_job, number, code):
    toy_job.plan({1: {"train": "hang"}})
    toy_job.add_samples(10)
    words = [sys.executable, "-m", "sedna_tinyms", *command(toy_job, "--json")]
    log = toy_job.output / "logs" / "1-train.log"
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        wait_until(lambda: log.exists() and log.read_text() == "hanging\n")
        run.send_signal(number)
        output, errors = run.communicate(timeout=60)
    assert run.returncode == code
    assert json.loads(output)["rounds"][0]["outcome"] == "running"
    assert toy_job.states()[-1] == "Train Running"
    for pid in [seen["pid"] for seen in toy_job.seen("inference")] + pids(errors.decode()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    "redirection",
    [
        "2>/dev/full",
        pytest.param("2>&-", marks=pytest.mark.slow),
        pytest.param("2>&1 | head -1", marks=pytest.mark.slow),
        "--json 2>/dev/null | true",
    ],
)
def test_nothing_hangs_on_who_reads_what_it_says(toy_job, redirection):
    toy_job.plan({1: {"accuracy": 0.7}})
    toy_job.add_samples(10)
    line = shlex.join([sys.executable, "-m", "sedna_tinyms", *command(toy_job, "--rounds", "1")])
    run = subprocess.run(["/bin/bash", "-c", f"set -o pipefail; {line} {redirection}"])
    assert run.returncode == 0
    assert toy_job.deployed.read_text() == "0.7"


def test_a_failure_is_one_whoever_reads_of_it(toy_job):
    toy_job.plan({1: {"train": "crash"}})
    toy_job.add_samples(10)
    line = shlex.join(
        [sys.executable, "-m", "sedna_tinyms", *command(toy_job, "--rounds", "1", "--json")]
    )
    run = subprocess.run(["/bin/bash", "-c", f"set -o pipefail; {line} 2>/dev/full | true"])
    assert run.returncode == 10


def test_below_nohup_it_outlives_its_terminal(toy_job):
    toy_job.plan({1: {"train": "wait"}})
    toy_job.add_samples(10)
    words = ["nohup", sys.executable, "-m", "sedna_tinyms", *command(toy_job, "--rounds", "1")]
    log = toy_job.output / "logs" / "1-train.log"
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as run:
        wait_until(lambda: log.exists() and log.read_text() == "waiting\n")
        run.send_signal(signal.SIGHUP)
        (toy_job.here / "go").touch()
        run.communicate(timeout=60)
    assert run.returncode == 0
    report = json.loads((toy_job.output / "report.json").read_text())
    assert [each["outcome"] for each in report["rounds"]] == ["deployed"]


def test_a_run_is_resumed_with_the_rounds_that_it_was_to_play(toy_job, cli):
    toy_job.plan({1: {"train": "hang"}})
    toy_job.add_samples(10)
    words = [sys.executable, "-m", "sedna_tinyms", *command(toy_job, "--rounds", "1")]
    log = toy_job.output / "logs" / "1-train.log"
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as run:
        wait_until(lambda: log.exists() and log.read_text() == "hanging\n")
        run.kill()
    toy_job.plan({})
    words = command(toy_job, "--resume", "--json")
    answer = cli(*words)
    assert answer.exit_code == 0
    assert [each["outcome"] for each in json.loads(answer.out)["rounds"]] == ["deployed"]
    assert cli(*words).exit_code == 0


def pids(text):
    found = [int(words.split(",")[0]) for words in text.split("started as process ")[1:]]
    assert len(found) == 2
    return found


def test_a_job_that_is_none_ends_with_3(toy_job, refused):
    yaml = toy_job.yaml()
    yaml.write_text(yaml.read_text().replace("trainProb", "trainPorb"))
    answer = refused(JobSpecError, "job-spec", "run", yaml, "--root", toy_job.root)
    assert {each.code for each in answer.error.problems} == {"unknown-key", "missing-key"}


def test_a_taken_port_ends_with_11(toy_job, refused):
    # The message ends with the operating system's words, or Python's.
    refused(EndpointError, "cannot-listen", *command(toy_job, "--port", "70000"), golden=False)


def test_help_is_quick_and_imports_nothing_heavy():
    script = (
        "import sys\n"
        "from sedna_tinyms.cli import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'mindspore', 'numpy', 'rich', 'PIL', 'requests', 'fsspec'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "--worker-limit" in run.stdout


@pytest.mark.parametrize(
    ("option", "value"), [("--rounds", "0"), ("--poll", "nan"), ("--worker-limit", "-1.0")]
)
def test_an_option_out_of_range_is_named(toy_job, refused, option, value):
    words = command(toy_job, option, value)
    refused(ConfigurationError, "out-of-range", *words, name=option)
