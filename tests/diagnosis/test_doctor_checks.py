import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rights import without_the_rights_of_root

from sedna_tinyms.diagnosis import diagnose, worst_exit_code
from sedna_tinyms.diagnosis import installation as installed
from sedna_tinyms.diagnosis.convolutions import check_convolutions
from sedna_tinyms.diagnosis.finding import Level, note, problem, warning
from sedna_tinyms.diagnosis.machine import (
    check_clocks,
    check_cores,
    check_directory,
    check_port,
    check_worker,
)
from sedna_tinyms.errors import EndpointError, StorageError
from sedna_tinyms.heartbeat import beat


def tree(directory):
    return sorted(str(path) for path in directory.rglob("*"))


def test_all_checks_run_and_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    findings = diagnose(tmp_path / "host", quick=True)
    names = {finding.check for finding in findings}
    assert {"python", "worker library", "numpy", "cores", "root", "port", "clocks"} <= names
    assert "convolutions" not in names
    assert tree(tmp_path) == []


def test_a_root_that_is_not_there_is_no_good_one(tmp_path):
    (root,) = [each for each in diagnose(tmp_path / "absent", quick=True) if each.check == "root"]
    assert (root.level, root.code) == (Level.WARNING, "not-a-directory")
    assert str(tmp_path / "absent") in root.message


def test_the_first_problem_gives_the_exit_code():
    assert worst_exit_code([note("a", "b", code="d"), warning("a", "b", "c", code="d")]) == 0
    findings = [
        warning("a", "b", "c", code="d"),
        problem("a", EndpointError, "b", "c", code="d"),
        problem("a", StorageError, "b", "c", code="d"),
    ]
    assert worst_exit_code(findings) == 11


def test_a_directory_that_may_be_written(tmp_path):
    found = check_directory("root", tmp_path, least_bytes=1, comfortable_bytes=1)
    assert (found.level, found.exit_code) == (Level.OK, 0)
    below = check_directory("root", tmp_path / "a" / "b", least_bytes=1, comfortable_bytes=1)
    assert (below.level, below.code) == (Level.OK, "")
    assert tree(tmp_path) == []


def test_a_directory_without_space(tmp_path):
    found = check_directory("root", tmp_path, least_bytes=1 << 60)
    assert (found.level, found.exit_code, found.code) == (Level.PROBLEM, 13, "no-space")
    assert found.mend.startswith(f"du -xh --max-depth=1 {tmp_path}")
    found = check_directory("root", tmp_path, least_bytes=1, comfortable_bytes=1 << 60)
    assert (found.level, found.exit_code, found.code) == (Level.WARNING, 0, "low-space")


@pytest.mark.parametrize("directory", ["/proc/self", "/proc/no/such/directory"])
def test_a_directory_that_nobody_may_write_not_even_root(directory, snapshot):
    found = check_directory("root", Path(directory))
    assert (found.level, found.exit_code, found.code) == (Level.PROBLEM, 13, "cannot-write")
    assert "/proc" in found.message
    assert found.mend == snapshot


def test_a_directory_that_nothing_fails_without():
    found = check_directory("cache", Path("/proc/self"), needed=False)
    assert (found.level, found.exit_code) == (Level.WARNING, 0)


CHECK_DIRECTORY = """
import sys
from pathlib import Path
from sedna_tinyms.diagnosis.machine import check_directory
found = check_directory("root", Path(sys.argv[1]))
print(found.exit_code, found.mend)
"""


def test_a_directory_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", CHECK_DIRECTORY, str(tmp_path / "new")],
        capture_output=True,
        text=True,
        preexec_fn=without_the_rights_of_root,
    )
    assert done.stdout == f"13 sudo install -d -o {os.geteuid()} {tmp_path}/new\n", done.stderr


def test_clocks_of_a_directory_that_cannot_be_written():
    found = check_clocks(Path("/proc/self"))
    assert (found.level, found.code) == (Level.NOTE, "cannot-write")


def test_a_file_in_the_place_of_a_directory(tmp_path):
    (tmp_path / "file").touch()
    assert check_directory("root", tmp_path / "file" / "below").exit_code == 13


def test_a_taken_port_and_one_that_is_none():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = check_port(port)
        assert (found.level, found.exit_code, found.code) == (Level.PROBLEM, 11, "cannot-listen")
        assert str(port) in found.message
        assert str(port) in found.mend
    assert check_port(70000).exit_code == 11
    assert check_port().level is Level.OK


def test_clocks_agree_here(tmp_path):
    assert check_clocks(tmp_path).level is Level.OK


@pytest.mark.parametrize(
    ("clock", "code", "seconds"),
    [
        (lambda: time.time() - 3600, "clock-skew", 3600),
        (lambda: time.time() + 3600, "clock-skew", -3600),
        (iter([2e9, 2e9 + 100]).__next__, "clock-being-set", 100),
    ],
    ids=["behind", "ahead", "being set"],
)
def test_a_clock_that_is_off(tmp_path, clock, code, seconds):
    found = check_clocks(tmp_path, clock)
    assert (found.level, found.code) == (Level.WARNING, code)
    [number] = re.findall(r"[+-]\d+\.\d", found.message)
    assert float(number) == pytest.approx(seconds, abs=60)  # more or less what the write takes
    assert "set-ntp" in found.mend


def test_a_clock_that_was_never_set(tmp_path):
    found = check_clocks(tmp_path, lambda: 0.0)
    assert (found.level, found.code) == (Level.WARNING, "clock-not-set")
    assert "1970" in found.message


def test_more_threads_than_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    found = check_cores()
    assert (found.level, found.code) == (Level.WARNING, "too-many-threads")
    assert found.mend == f"export OMP_NUM_THREADS={len(os.sched_getaffinity(0))}"


def test_a_worker_that_went_on_hangs_or_has_no_heartbeat(tmp_path, monkeypatch, snapshot):
    heart = tmp_path / "heartbeat"
    monkeypatch.setenv("SEDNA_TINYMS_HEARTBEAT", str(heart))
    assert check_worker().level is Level.OK
    assert check_worker().message == snapshot
    monkeypatch.setattr("sedna_tinyms.heartbeat._last", -1.0)
    beat()
    assert heart.exists()
    assert check_worker().level is Level.OK
    before = time.time() - 1000
    os.utime(heart, (before, before))
    beat()  # less than a second after the last: not written
    found = check_worker()
    assert (found.level, found.exit_code, found.code) == (Level.PROBLEM, 10, "hanging")
    assert str(heart) in found.message


def test_a_heart_that_cannot_beat_harms_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SEDNA_TINYMS_HEARTBEAT", str(tmp_path / "absent" / "heartbeat"))
    monkeypatch.setattr("sedna_tinyms.heartbeat._last", -1.0)
    beat()
    assert check_worker().level is Level.OK


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return what installs a distribution, as metadata shows it, in front of all others."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, version, *lines):
        directory = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        directory.mkdir()
        text = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *lines]
        (directory / "METADATA").write_text("\n".join(text) + "\n")
        return tmp_path

    return install


def test_numpy_2_beside_mindspore(site):
    site("mindspore", "2.10.0")
    site("numpy", "2.1.3")
    found = installed.check_numpy()
    assert (found.level, found.exit_code, found.code) == (Level.PROBLEM, 8, "wrong-version")
    assert found.mend == "pip install 'numpy>=1.25,<2'"


@pytest.mark.parametrize(
    ("version", "level"),
    [("2.7.1", Level.WARNING), ("2.8.0", Level.OK), ("2.10.0", Level.OK), ("2.11", Level.WARNING)],
)
def test_versions_of_mindspore(site, version, level):
    site("mindspore", version)
    found = installed.check_mindspore()
    assert found.level is level
    assert found.code == ("" if level is Level.OK else "wrong-version")
    assert version in found.message


def test_a_missing_extra_comes_with_its_line(site):
    site(
        "sedna-tinyms",
        "9",
        "Requires-Dist: no-such-thing>=1; extra == 'edge'",
        "Requires-Dist: pytest>=1; extra == 'report'",
        "Provides-Extra: edge",
        "Provides-Extra: report",
        "Provides-Extra: dev",
    )
    summary, edge = installed.check_extras()
    assert "report" in summary.message
    assert "edge" not in summary.message
    assert (edge.level, edge.check, edge.code) == (Level.NOTE, "extra edge", "missing-extra")
    assert "no-such-thing" in edge.message
    assert edge.mend == "pip install 'sedna-tinyms[edge]'"


def in_a_process(path, check):
    code = (
        f"from sedna_tinyms.diagnosis.installation import {check}\n"
        f"found = {check}()\n"
        "print(found.level.value, found.exit_code, found.code, found.message, found.mend, sep='|')"
    )
    environment = {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().split("|")


def test_the_stranger_called_sedna(tmp_path):
    (tmp_path / "sedna").mkdir()
    (tmp_path / "sedna" / "__init__.py").write_text("raise RuntimeError('imported')")
    level, exit_code, code, message, mend = in_a_process(tmp_path, "check_worker_library")
    assert (level, exit_code, code) == ("problem", "7", "wrong-library")
    assert str(tmp_path) in message
    assert mend == "pip uninstall --yes sedna"


def test_no_sedna_is_no_problem(tmp_path, snapshot):
    level, exit_code, code, message, mend = in_a_process(tmp_path, "check_worker_library")
    assert (level, exit_code, code, mend) == ("ok", "0", "", "")
    assert message == snapshot


@pytest.mark.parametrize(
    ("imports", "found"),
    [("colorlog", ["ok", "0", ""]), ("no-such-thing", ["problem", "8", "missing-extra"])],
)
def test_kubeedge_s_library_and_what_it_imports(site, imports, found, snapshot):
    path = site("sedna-tinyms", "9", f"Requires-Dist: {imports}; extra == 'kubeedge'")
    site("colorlog", "6")
    for part in ("backend", "core/incremental_learning"):
        for package in (Path("sedna"), Path("sedna") / part.split("/")[0], Path("sedna") / part):
            (path / package).mkdir(parents=True, exist_ok=True)
            (path / package / "__init__.py").touch()
    said = in_a_process(path, "check_worker_library")
    assert said[:3] == found
    assert said[3] == snapshot


@pytest.fixture
def pretended_mindspore(site):
    """Return what writes a module `mindspore` that the measuring child imports."""

    def pretend(code):
        path = site("mindspore", "2.10.0")
        (path / "mindspore.py").write_text(code)
        return path

    return pretend


def test_a_mindspore_that_cannot_be_imported(pretended_mindspore, monkeypatch):
    path = pretended_mindspore("raise OSError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(path))
    found = check_convolutions()
    assert (found.level, found.code) == (Level.WARNING, "worker-failed")
    assert "libgomp.so.1" in found.message


def test_a_measurement_is_bounded(pretended_mindspore, monkeypatch):
    path = pretended_mindspore("import threading; threading.Event().wait()")
    monkeypatch.setenv("PYTHONPATH", str(path))
    found = check_convolutions(0.2)
    assert (found.level, found.code) == (Level.WARNING, "timeout")
    assert "0.2 s" in found.message


@pytest.mark.slow
def test_a_convolution_is_measured_in_children():
    found = check_convolutions(limit_seconds=240)
    assert (found.level, found.code) in ((Level.OK, ""), (Level.NOTE, "unsupported")), found
    assert found.level is Level.NOTE or "ms" in found.message
