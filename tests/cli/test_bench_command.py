import subprocess
import sys

import pytest

from sedna_tinyms.cli import bench_command, main


def test_a_benchmark_gets_its_options_and_gives_its_exit_code(capfd):
    assert main(["bench", "update", "--help"]) == 0
    assert "usage: sedna-tinyms bench update" in capfd.readouterr().out
    assert main(["bench", "update", "--rows", "nothing"]) == 2
    assert "the rows are head, latent, full-mindspore-stock" in capfd.readouterr().err


def test_the_help_names_every_benchmark(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    said = capsys.readouterr().out
    assert all(f"  {name}" in said for name in ("update", "stream", "scale", "edge", "mining"))


def test_without_the_source_it_says_where_benchmarks_come_from(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_command, "SOURCE", tmp_path / "benchmarks")
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "update"]) == 2
    said = capsys.readouterr().err
    assert str(tmp_path / "benchmarks") in said
    assert "benchmarks come with the source" in said


def test_a_clone_in_the_working_directory_is_found(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(bench_command, "SOURCE", tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "harness.py").touch()
    (folder / "update.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    assert main(["bench", "update", "--images", "3"]) == 7
    assert "['--images', '3']" in capfd.readouterr().out


def test_the_command_itself_imports_no_mindspore():
    code = "import sys, sedna_tinyms.cli.bench_command; sys.exit('mindspore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
