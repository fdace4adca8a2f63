import json
import os
import socket
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
    assert [each["code"] for each in problems] == ["cannot-write", "cannot-listen"]
    assert done.returncode == document["exit_code"] == 13
    assert all(each["mend"] for each in problems)


def install(directory, name, version, *lines):
    """Pretend that a distribution is installed in a directory on the path."""
    place = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    text = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *lines]
    (place / "METADATA").write_text("\n".join(text) + "\n")


def test_everything_at_once_is_said_each_with_its_line(doctor, tmp_path):
    site = tmp_path / "site"
    install(site, "mindspore", "2.11.0")
    install(site, "numpy", "2.1.3")
    extra = ["Requires-Dist: no-such-thing>=1; extra == 'edge'", "Provides-Extra: edge"]
    install(site, "sedna-tinyms", "9", *extra)
    (site / "sitecustomize.py").write_text(
        "import time\ntrue = time.time\ntime.time = lambda: true() + 3600\n"
    )
    (site / "sedna").mkdir()
    (site / "sedna" / "__init__.py").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = ("--root", str(tmp_path), "--port", str(port))
        environment = {
            "PYTHONPATH": str(site),
            "OMP_NUM_THREADS": "4096",
            "XDG_CACHE_HOME": "/proc/self",
        }
        shown = doctor(*words, **environment)
        document = json.loads(doctor(*words, "--json", **environment).stdout)
    found = {each["check"]: (each["level"], each["mend"]) for each in document["findings"]}
    assert found["worker library"] == ("problem", "pip uninstall --yes sedna")
    assert found["numpy"] == ("problem", "pip install 'numpy>=1.25,<2'")
    assert found["mindspore"] == ("warning", "pip install 'mindspore>=2.8,<2.11'")
    assert found["cores"] == (
        "warning",
        f"export OMP_NUM_THREADS={len(os.sched_getaffinity(0))}",
    )
    assert found["port"] == ("problem", f"ss -ltnp 'sport = :{port}'")
    assert found["clocks"][0] == "warning"
    assert found["clocks"][1].startswith("timedatectl set-ntp true")
    assert found["cache"][0] == "warning"
    assert found["extra edge"] == ("note", "pip install 'sedna-tinyms[edge]'")
    assert shown.returncode == document["exit_code"] == 7
    for _, mend in found.values():
        assert not mend or f"$ {mend}\n" in shown.stdout


SLOW_MINDSPORE = """
import os
import time
from types import SimpleNamespace


class Tensor:
    def __init__(self, array):
        self.array = array

    def asnumpy(self):
        return self.array


def convolution(*_, **__):
    def compute(tensor):
        time.sleep(0.001 if os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2" else 0.5)
        return tensor

    return compute


nn = SimpleNamespace(Conv2d=convolution)
"""


def test_slow_convolutions_are_found_by_measuring(tmp_path):
    """With a MindSpore that is slow unless its instructions are limited, as from 2.9 on."""
    install(tmp_path, "mindspore", "2.10.0")
    (tmp_path / "mindspore.py").write_text(SLOW_MINDSPORE)
    environment = {k: v for k, v in os.environ.items() if k != "ONEDNN_MAX_CPU_ISA"}
    environment |= {"PYTHONPATH": str(tmp_path), "SEDNA_TINYMS_KEEP_ONEDNN_DEFAULT": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sedna_tinyms", "doctor", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (found,) = (
        each for each in json.loads(done.stdout)["findings"] if each["check"] == "convolutions"
    )
    if found["code"] == "unsupported":
        pytest.skip(found["message"])
    assert (found["level"], found["code"]) == ("warning", "slow")
    assert found["mend"] == (
        "unset SEDNA_TINYMS_KEEP_ONEDNN_DEFAULT; export ONEDNN_MAX_CPU_ISA=AVX2"
    )


def test_mindspore_is_not_imported_here(doctor):
    done = doctor(PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "sedna_tinyms.diagnosis" in imported
    assert not imported & {"mindspore", "numpy", "rich", "yaml", "requests"}


@pytest.mark.parametrize(
    ("spoil", "code", "mend"),
    [
        ('head -c 4096 /dev/zero > "$0/file"', "no-space", "du -xh --max-depth=1"),
        ('mount -o remount,ro "$0"', "cannot-write", "mount -o remount,rw"),
    ],
    ids=["full", "read-only"],
)
def test_a_root_on_a_disk_that_takes_nothing(tmp_path, spoil, code, mend):
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
    assert findings["root"]["code"] == code
    assert findings["root"]["mend"].startswith(mend)
