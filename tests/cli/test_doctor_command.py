import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def doctor(tmp_path):
    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "sedna_tinyms", "doctor", "--quick", *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_each_finding_is_a_line_and_each_remedy_another(doctor, tmp_path):
    done = doctor("--root", str(tmp_path))
    assert done.returncode == 0, done.stdout
    for line in done.stdout.splitlines():
        assert line.split()[0] in ("ok", "note", "warning", "$"), line


def test_the_stranger_called_sedna_is_found(doctor, tmp_path):
    (tmp_path / "sedna").mkdir()
    (tmp_path / "sedna" / "__init__.py").touch()
    done = doctor()
    assert done.returncode == 7
    assert "$ pip uninstall --yes sedna" in done.stdout


def test_the_same_as_json(doctor):
    done = doctor("--root", "/proc/self", "--port", "70000", "--json")
    document = json.loads(done.stdout)
    problems = [each for each in document["findings"] if each["level"] == "problem"]
    assert [each["check"] for each in problems] == ["root", "port"]
    assert [each["exit_code"] for each in problems] == [13, 11]
    assert done.returncode == document["exit_code"] == 13
    assert all(each["mend"] for each in problems)


def test_mindspore_is_not_imported_here(doctor):
    done = doctor(PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "sedna_tinyms.diagnosis" in imported
    assert not imported & {"mindspore", "numpy", "rich", "yaml", "requests"}


@pytest.mark.parametrize(
    ("spoil", "message", "mend"),
    [
        ('head -c 4096 /dev/zero > "$0/file"', "No space left", "du -xh --max-depth=1"),
        ('mount -o remount,ro "$0"', "Read-only file system", "mount -o remount,rw"),
    ],
    ids=["full", "read-only"],
)
def test_a_root_on_a_disk_that_takes_nothing(tmp_path, spoil, message, mend):
    """On a small file system that only this process sees; modes would not stop root."""
    script = (
        f'mount -t tmpfs -o size=4k tmpfs "$0" && {spoil} || exit 77\n'
        'exec "$1" -m sedna_tinyms doctor --quick --json --root "$0"'
    )
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    words = ["unshare", *as_root, "--mount", "sh", "-c", script, str(tmp_path), sys.executable]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"this machine lets nobody mount: {done.stderr}")
    assert done.returncode == 13
    findings = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    assert message in findings["root"]["message"]
    assert findings["root"]["mend"].startswith(mend)
