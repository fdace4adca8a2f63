import hashlib
import json
import os
import socket
import subprocess
import sys

import pytest
from rights import without_the_rights_of_root

from sedna_tinyms.errors import StorageError


def files_of(directory):
    """Return a directory and every path below it with its content, times, mode and size."""
    found = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (digest, status.st_mtime_ns, status.st_mode, status.st_size)
    return found


@pytest.fixture
def dry_run(toy_job, tmp_path):
    """Return a dry run that fails if it changes the job, the root, the home, a cache or /tmp."""
    own = {
        "HOME": "home",
        "XDG_CACHE_HOME": "home/cache",
        "XDG_RUNTIME_DIR": "run",
        "TMPDIR": "tmp",
    }
    for name in own.values():
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    environment = os.environ | {name: str(tmp_path / place) for name, place in own.items()}

    def run(*arguments, **settings):
        yaml = toy_job.here / "job.yaml"
        if not yaml.exists():
            toy_job.yaml(through_exec=True)
        before = files_of(tmp_path)
        words = ["run", str(yaml), "--root", str(toy_job.root), "--dry-run", *arguments]
        done = subprocess.run(
            [sys.executable, "-m", "sedna_tinyms", *words],
            cwd=tmp_path / "run",
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            **settings,
        )
        assert files_of(tmp_path) == before
        return done

    return run


def test_it_says_what_would_be_done(toy_job, dry_run, snapshot):
    toy_job.add_samples(10)
    done = dry_run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace(sys.executable, "python") == snapshot
    would = json.loads(dry_run("--json").stdout)
    assert (would["round"], would["new"], would["waiting"]) == (1, 10, 8)
    assert would["begins"]
    assert would["output"] == str(toy_job.output)
    for kind in ("train", "eval", "inference"):
        assert f"{toy_job.here}/toy_{kind}.py" in would["commands"][kind]
    assert not toy_job.output.exists()
    assert toy_job.seen("inference") == []


def test_after_a_round_it_goes_on_from_there(toy_job, dry_run):
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    toy_job.add_samples(2)
    would = json.loads(dry_run("--json").stdout)
    assert (would["round"], would["new"], would["waiting"]) == (2, 2, 1)
    assert not would["begins"]
    assert would["base_model"].startswith("/output/train/1/")


def test_what_would_fail_fails(toy_job, dry_run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert dry_run("--port", str(taken.getsockname()[1])).returncode == 11
    assert dry_run("--rounds", "0").returncode == 12
    toy_job.deployed.unlink()
    assert dry_run().returncode == 5


def test_beside_a_runner_at_work_it_is_refused(toy_job, dry_run):
    """As a second run would be."""
    toy_job.yaml(through_exec=True)
    toy_job.add_samples(10)
    refused = []

    def look(event):
        if not refused:
            refused.append(second())

    def second():
        words = ["run", str(toy_job.here / "job.yaml"), "--root", str(toy_job.root), "--dry-run"]
        return subprocess.run(
            [sys.executable, "-m", "sedna_tinyms", *words], capture_output=True, text=True
        )

    from sedna_tinyms.jobs.events import RoundStarted

    toy_job.on(RoundStarted, look)
    toy_job.runner(rounds=1).run()
    assert refused[0].returncode == StorageError.exit_code
    assert str(toy_job.output) in refused[0].stderr
    assert dry_run().returncode == 0


def test_an_output_directory_that_cannot_be_written(toy_job, dry_run):
    toy_job.output.parent.mkdir(exist_ok=True)
    toy_job.output.write_text("a file")
    done = dry_run()
    assert done.returncode == 13
    assert str(toy_job.output) in done.stderr


def test_a_read_only_output_directory(toy_job, dry_run):
    toy_job.output.mkdir(mode=0o555)
    done = dry_run(preexec_fn=without_the_rights_of_root)
    assert done.returncode == StorageError.exit_code
    assert str(toy_job.output) in done.stderr
