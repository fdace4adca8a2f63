"""Every exit code comes out of a real process, and has a page that says what to do."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toy_job import wait_until

import sedna_tinyms
from sedna_tinyms import errors
from sedna_tinyms.diagnosis.installation import installed_version

PAGES = Path(sedna_tinyms.__file__).parent / "exit_codes"
SIGNALLED = {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}


def documented():
    """Return the codes of the error tree, of success, and of the signals."""
    kinds = (getattr(errors, name) for name in errors.__all__)
    tree = {kind.exit_code for kind in kinds if hasattr(kind, "exit_code")}
    return sorted(tree | {0} | SIGNALLED)


class Shop:
    """Where a process ends with the code that is asked for."""

    def __init__(self, toy_job, directory):
        self.toy_job = toy_job
        self.directory = directory
        self.errors = ""

    def command(self, *words, **environment):
        done = subprocess.run(
            [sys.executable, "-m", "sedna_tinyms", *words],
            cwd=self.directory,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.errors = done.stderr
        return done.returncode

    def script(self, code, *before, **environment):
        (self.directory / "script.py").write_text(code)
        return self.command("exec", *before, "script.py", **environment)

    def run(self, *options):
        yaml = str(self.toy_job.yaml(through_exec=True))
        return self.command("run", yaml, "--root", str(self.toy_job.root), *options)

    def signalled(self, number):
        yaml = str(self.toy_job.yaml(through_exec=True))
        words = ["run", yaml, "--root", str(self.toy_job.root)]
        status = self.toy_job.output / "status.json"
        with subprocess.Popen(
            [sys.executable, "-m", "sedna_tinyms", *words],
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            wait_until(lambda: status.exists() and self.toy_job.seen("inference"))
            process.send_signal(number)
            _, self.errors = process.communicate(timeout=30)
        return process.returncode

    def produce(self, code):
        return getattr(self, f"end_with_{code}")()

    def end_with_0(self):
        return self.command("--version")

    def end_with_1(self):
        return self.script("1 / 0")

    def end_with_2(self):
        return self.command("exec", "absent.py")

    def end_with_3(self):
        (self.directory / "job.yaml").write_text("kind: IncrementalLearningJob")
        return self.command("validate", "job.yaml")

    def end_with_4(self):
        self.toy_job.dataset.unlink()
        return self.run("--dry-run")

    def end_with_5(self):
        self.toy_job.deployed.unlink()
        return self.run("--dry-run")

    def end_with_6(self):
        return self.script(
            "from sedna_tinyms.controller_metrics import plain_metrics\n"
            "plain_metrics({'accuracy': float('nan')}, source='evaluate')\n"
        )

    def end_with_7(self):
        (self.directory / "sedna").mkdir()
        (self.directory / "sedna" / "__init__.py").touch()
        return self.script("", PYTHONPATH=str(self.directory))

    def end_with_8(self):
        (self.directory / "s3fs.py").write_text("raise ImportError('not here', name='s3fs')")
        code = "from sedna.common.file_ops import FileOps\nFileOps.download('s3://bucket/file')\n"
        return self.script(code, PYTHONPATH=str(self.directory))

    def end_with_9(self):
        if installed_version("mindspore") is None:
            pytest.skip("MindSpore is not installed, and chooses the device")
        code = (
            "from sedna_tinyms.backend.device import select_target, wanted_target\n"
            "select_target(wanted_target())\n"
        )
        return self.script(code, DEVICE_CATEGORY="TPU")

    def end_with_10(self):
        self.toy_job.plan({1: {"train": "crash"}})
        self.toy_job.add_samples(10)
        return self.run("--rounds", "1")

    def end_with_11(self):
        return self.run("--port", "70000")

    def end_with_12(self):
        return self.run("--rounds", "0")

    def end_with_13(self):
        self.toy_job.output.write_text("a file in the directory's place")
        return self.run()

    def end_with_14(self):
        return self.script(
            "from pathlib import Path\n"
            "from sedna_tinyms.artifact.fetch import fetch\n"
            "fetch(['http://models.example/x'], Path('x'), check=print, most_bytes=9)\n"
        )

    def end_with_129(self):
        return self.signalled(signal.SIGHUP)

    def end_with_130(self):
        return self.signalled(signal.SIGINT)

    def end_with_143(self):
        return self.signalled(signal.SIGTERM)


@pytest.mark.parametrize("code", documented())
def test_a_real_process_ends_with_it(toy_job, tmp_path, code):
    directory = tmp_path / "shop"
    directory.mkdir()
    shop = Shop(toy_job, directory)
    assert shop.produce(code) == code, shop.errors


@pytest.mark.parametrize("code", [code for code in documented() if code])
def test_it_has_a_page_and_stands_in_the_index(code):
    page = (PAGES / f"{code}.md").read_text()
    title = page.splitlines()[0].removeprefix(f"# Exit code {code}: ")
    assert re.findall("^## (.*)", page, re.MULTILINE) == [
        "What happened",
        "Usual causes",
        "What to do",
    ]
    assert f"| [{code}]({code}.md) | {title} |" in (PAGES / "README.md").read_text()


def test_there_is_no_page_of_a_code_that_nothing_ends_with():
    pages = {int(path.stem) for path in PAGES.glob("[0-9]*.md")}
    assert pages == {code for code in documented() if code}


def test_an_error_names_its_page(toy_job, tmp_path):
    shop = Shop(toy_job, tmp_path)
    assert shop.end_with_12() == 12
    assert shop.errors.endswith("run: sedna-tinyms help exit-code 12)\n")
    assert shop.end_with_10() == 10
    assert shop.errors.endswith("run: sedna-tinyms help exit-code 10)\n")
    assert shop.end_with_2() == 2
    assert "exit code" not in shop.errors
