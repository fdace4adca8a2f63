import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from uuid import uuid4

import pytest
from toy_job import wait_until

from sedna_tinyms.errors import WorkerError
from sedna_tinyms.jobs.workers.processes import MemoryLimit, memory_of
from sedna_tinyms.jobs.workers.worker import Worker, WorkerExit, worker_name

IGNORE_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SLEEP = "import time; print('ready', flush=True); time.sleep(60)\n"
WAIT_FOR_GO = (
    "import os, time\n"
    "while not os.path.exists('go'): time.sleep(0.01)\n"
    "print('after', flush=True)\n"
)


@pytest.fixture(autouse=True)
def _looks_often_at_the_memory(monkeypatch):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.worker.MEMORY_LOOK_SECONDS", 0.02)


def unique_name():
    """A worker ends every process of its name, also one of a test beside this one."""
    return f"train-worker-{uuid4().hex[:8]}"


@pytest.fixture
def start(tmp_path):
    workers = []

    def start(
        script,
        *,
        name=None,
        environment=None,
        command=None,
        grace=30.0,
        memory=None,
    ):
        ended = SimpleQueue()
        worker = Worker(
            name or unique_name(),
            "train",
            command or [sys.executable, "-c", script],
            environment=environment or {"PATH": os.environ["PATH"]},
            directory=tmp_path,
            log=tmp_path / "logs" / "1-train.log",
            on_exit=ended.put,
            grace_seconds=grace,
            memory=memory and MemoryLimit(memory, "job.yaml:7"),
        )
        worker.ended = ended
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.stop()


def alive(pid):
    """Whether a process runs; one that is dead and unreaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_end_is_recorded_and_told_once(start, snapshot):
    worker = start("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert worker.ended.get(timeout=60) is worker
    assert worker.exit.code == 3
    assert str(worker.exit) == snapshot
    assert worker.exit.seconds > 0
    assert sorted(worker.last_lines()) == ["err", "out"]
    assert worker.ended.empty()


def test_it_is_asked_to_end_once(start):
    worker = start(
        "import signal, time\n"
        "asked = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: asked.append(print('asked', flush=True)))\n"
        "print('ready', flush=True)\n"
        "while not asked: time.sleep(0.01)\n"
        "time.sleep(0.3)\n"
    )
    wait_until(lambda: worker.last_lines() == ["ready"])
    worker.terminate()
    wait_until(lambda: worker.last_lines() == ["ready", "asked"])
    assert worker.stop().code == 0
    assert worker.last_lines() == ["ready", "asked"]


def test_peak_memory_is_that_of_the_process(tmp_path):
    # Of a small process: what this one took already may be more than a worker needs.
    size = 100 * MEBIBYTE
    program = (
        "import pathlib, queue, sys\n"
        "from sedna_tinyms.jobs.workers.worker import Worker\n"
        "ended = queue.SimpleQueue()\n"
        f"Worker('w', 'train', [sys.executable, '-c', 'b = bytearray({size})'], environment={{}},"
        " directory=pathlib.Path('/'), log=pathlib.Path(sys.argv[1]), on_exit=ended.put)\n"
        "print(ended.get().exit.peak_bytes)\n"
    )
    # By a shell in between: Linux counts the memory of whoever starts a process as its own.
    words = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", program]
    words.append(str(tmp_path / "worker.log"))
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert size < int(done.stdout) < size + (50 << 20), done.stderr


def test_peak_memory_below_this_processs_own_is_not_known(start):
    worker = start("pass")
    worker.ended.get(timeout=60)
    assert worker.exit.peak_bytes is None


def test_the_environment_is_the_one_given_and_nothing_more(start, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_RUNNER", "x")
    worker = start(
        "import os; print(*sorted(k for k in os.environ if k != 'LC_CTYPE'))",
        environment={"ONLY": "this", "PATH": "/usr/bin"},
    )
    worker.ended.get(timeout=60)
    assert worker.last_lines() == ["ONLY PATH"]


def test_a_worker_that_was_started_again_adds_to_its_log_and_shows_its_own_lines(start):
    for word in ("first", "second"):
        worker = start(f"print({word!r})")
        worker.ended.get(timeout=60)
        assert worker.last_lines() == [word]
    assert worker.log.read_text() == "first\nsecond\n"


def test_last_lines_are_few_clean_and_of_bounded_cost(start):
    worker = start(
        "import sys\n"
        "for i in range(20000): print('line', i)\n"
        "sys.stdout.write('1%\\r50%\\r100%\\n\\n\\x1b[31mred\\x1b[0m\\x00\\n')\n"
        "sys.stdout.flush()\n"
        "sys.stdout.buffer.write(b'\\xff last')\n"
    )
    worker.ended.get(timeout=60)
    assert worker.last_lines(4) == ["line 19999", "100%", "red", "\ufffd last"]


def test_a_log_that_became_too_long_begins_anew(start, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.worker.MOST_LOG_BYTES", 100)
    worker = start("print('x' * 200, flush=True)\n" + WAIT_FOR_GO)
    wait_until(worker.last_lines)
    worker.limit_log()
    assert worker.last_lines() == []
    (worker.log.parent.parent / "go").touch()
    worker.ended.get(timeout=60)
    worker.limit_log()
    assert worker.log.read_text() == "after\n"
    assert worker.log.with_name("1-train.log.1").read_text() == "x" * 200 + "\n"


def test_a_program_that_does_not_exist_is_an_exit_with_a_reason(start):
    worker = start("", command=["no-such-program-here"])
    worker.ended.get(timeout=60)
    assert worker.exit.code == 127
    (line,) = worker.last_lines()
    assert "no-such-program-here" in line


def test_a_log_that_cannot_be_written_is_a_worker_error(tmp_path, start, raises):
    (tmp_path / "logs").write_text("in the way")
    with raises(WorkerError, "cannot-start", kind="train", golden=False):
        start("pass")


def test_a_worker_ends_politely_when_asked(start):
    worker = start(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit(0)))\n" + SLEEP
    )
    wait_until(lambda: worker.last_lines() == ["ready"])
    assert worker.stop().code == 0
    assert worker.last_lines() == ["ready", "bye"]


def test_what_a_worker_started_is_asked_to_end_as_well(start):
    child = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True); time.sleep(600)\n"
    )
    command = f"subprocess.run([sys.executable, '-c', {child!r}])"
    worker = start(IGNORE_TERM + f"import subprocess, sys\nprint({command}.returncode)")
    wait_until(worker.last_lines)
    worker.terminate()
    worker.ended.get(timeout=60)
    assert worker.last_lines() == ["ready", "7"]


def test_a_worker_that_will_not_end_is_killed_after_its_grace(start):
    worker = start(IGNORE_TERM + SLEEP, grace=0.1)
    wait_until(worker.last_lines)
    end = worker.stop()
    assert end.code == -signal.SIGKILL
    assert end.seconds >= 0.1


def test_stopping_twice_or_late_is_harmless(start):
    worker = start("pass")
    worker.ended.get(timeout=60)
    assert worker.stop() is worker.stop() is worker.exit


@pytest.mark.parametrize("script", ["pass", "time.sleep(60)"])
def test_what_a_worker_started_ends_with_it(start, script):
    worker = start(
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {IGNORE_TERM + SLEEP!r}],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n" + script
    )
    wait_until(worker.last_lines)
    child = int(worker.last_lines()[0])
    if script != "pass":
        assert alive(child)
        worker.stop()
    worker.ended.get(timeout=60)
    wait_until(lambda: not alive(child))


DAEMON = (
    "import subprocess, sys, time\n"
    f"child = subprocess.Popen([sys.executable, '-c', {IGNORE_TERM + SLEEP!r}],"
    " stdout=subprocess.PIPE, start_new_session=True)\n"
    "child.stdout.readline()\n"
    "print(child.pid, flush=True)\n"
)


def test_what_left_the_workers_session_ends_with_it_too(start):
    name, another = unique_name(), unique_name()
    environment = {"PATH": os.environ["PATH"], "WORKER_NAME": name}
    other = start(
        DAEMON + "time.sleep(60)", name=another, environment={**environment, "WORKER_NAME": another}
    )
    wait_until(other.last_lines)
    worker = start(DAEMON, name=name, environment=environment)
    worker.ended.get(timeout=60)
    child = int(worker.last_lines()[0])
    wait_until(lambda: not alive(child))
    assert alive(int(other.last_lines()[0])), "of another worker"


MEBIBYTE = 1 << 20
EAT = "memory = []\nfor _ in range(500): memory.append(b'x' * (1 << 20))\n"


def test_a_worker_that_takes_too_much_memory_is_ended(start):
    worker = start(EAT + SLEEP, memory=100 * MEBIBYTE)
    worker.ended.get(timeout=60)
    assert worker.exit.code == -signal.SIGTERM
    assert worker.exit.excess.used > 100 * MEBIBYTE
    assert worker.exit.excess.limit == MemoryLimit(100 * MEBIBYTE, "job.yaml:7")


def test_how_a_worker_ended_is_said(snapshot):
    excess = MemoryLimit(100 * MEBIBYTE, "job.yaml:7").excess(150 * MEBIBYTE)
    ends = [WorkerExit(code, 1.0, None) for code in (3, -signal.SIGTERM, -63)]
    ends.append(WorkerExit(-signal.SIGTERM, 1.0, None, excess))
    assert "\n".join(map(str, ends)) == snapshot


def test_one_that_will_not_end_is_killed_soon_whatever_its_grace(start, monkeypatch):
    monkeypatch.setattr("sedna_tinyms.jobs.workers.worker.MEMORY_GRACE_SECONDS", 0.1)
    worker = start(IGNORE_TERM + EAT + SLEEP, memory=100 * MEBIBYTE, grace=600)
    worker.ended.get(timeout=60)
    assert worker.exit.code == -signal.SIGKILL
    assert worker.exit.excess


def test_the_memory_of_what_a_worker_started_counts(start):
    child = EAT.replace("500", "70") + SLEEP
    worker = start(
        "import subprocess, sys, time\n"
        f"for _ in range(3): subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "time.sleep(60)",
        memory=150 * MEBIBYTE,
    )
    worker.ended.get(timeout=60)
    assert worker.exit.excess


def test_memory_that_processes_share_counts_once(start, tmp_path, monkeypatch):
    looks = []

    def look(processes, enough):
        looks.append(len(processes))
        return memory_of(processes, enough)

    monkeypatch.setattr("sedna_tinyms.jobs.workers.worker.memory_of", look)
    worker = start(
        EAT.replace("500", "70") + "import os\n"
        "children = [os.fork()]\n"
        "if children[0]: children.append(os.fork())\n" + WAIT_FOR_GO,
        memory=150 * MEBIBYTE,
    )
    wait_until(lambda: looks.count(3) > 3)
    (tmp_path / "go").touch()
    worker.ended.get(timeout=60)
    assert (worker.exit.code, worker.exit.excess) == (0, None)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_a_worker_does_not_outlive_a_killed_runner(tmp_path):
    log = tmp_path / "worker.log"
    runner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys, time\n"
            "from sedna_tinyms.jobs.workers.worker import Worker\n"
            f"w = Worker('w', 'train', [sys.executable, '-c', {IGNORE_TERM + SLEEP!r}],"
            " environment={}, directory=pathlib.Path('/'), on_exit=print,"
            f" log=pathlib.Path({str(log)!r}))\n"
            "print(w.pid, flush=True)\n"
            "time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE,
    )
    with runner:
        pid = int(runner.stdout.readline())
        wait_until(lambda: log.exists() and "ready" in log.read_text())
        assert alive(pid)
        runner.send_signal(signal.SIGKILL)
    wait_until(lambda: not alive(pid))


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [("train", "train-worker"), ("eval", "eval-worker"), ("inference", "inferworker")],
)
def test_names_are_of_sednas_form_and_differ(kind, prefix):
    names = {worker_name(kind) for _ in range(50)}
    assert len(names) > 40
    assert all(re.fullmatch(prefix + "-[a-z0-9]{5}", name) for name in names)
