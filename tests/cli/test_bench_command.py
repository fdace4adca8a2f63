import subprocess
import sys

import pytest

from sedna_tinyms.cli import bench_command, main
from sedna_tinyms.errors import UsageError


def bench(*arguments, directory=None):
    return subprocess.run(
        [sys.executable, "-P", "-m", "sedna_tinyms", "bench", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_benchmark_gets_its_options_and_gives_its_exit_code():
    helped = bench("update", "--help")
    assert helped.returncode == 0
    assert "usage: sedna-tinyms bench update" in helped.stdout
    refused = bench("update", "--rows", "nothing")
    assert refused.returncode == 2
    assert "'nothing'" in refused.stderr


def test_the_help_names_every_benchmark(cli):
    said = cli("bench", "--help").out
    assert all(f"  {name}" in said for name in bench_command.SCRIPTS)


def test_without_the_source_it_says_where_benchmarks_come_from(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(bench_command, "SOURCE", tmp_path / "benchmarks")
    monkeypatch.chdir(tmp_path)
    refused(UsageError, "missing-file", "bench", "update", name="update")


class BecameError(Exception):
    """Raised where the command would become another program."""


def test_a_clone_in_the_working_directory_is_found(tmp_path, monkeypatch):
    def become(_, command):
        raise BecameError(command[1:])

    monkeypatch.setattr(bench_command, "SOURCE", tmp_path / "elsewhere")
    monkeypatch.setattr("os.execv", become)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    for name in ("harness.py", "update.py"):
        (folder / name).touch()
    with pytest.raises(BecameError, match=r"update\.py', '--images', '3'"):
        main(["bench", "update", "--images", "3"])


def test_the_command_itself_imports_no_mindspore():
    code = "import sys, sedna_tinyms.cli.bench_command; sys.exit('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
