"""What of the worker images can be checked without a container engine."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "docker" / "Dockerfile"
BAKE = (ROOT / "docker" / "docker-bake.hcl").read_text()
IMAGES = ("cloud", "edge")
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "HEALTHCHECK", "ENTRYPOINT"}


class Instruction(NamedTuple):
    name: str
    rest: str


class Stage(NamedTuple):
    base: str
    instructions: list


def read_stages():
    """Return the Dockerfile's stages by name."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", "", text)
    stages = {}
    for line in filter(str.strip, text.splitlines()):
        instruction = Instruction(*line.split(maxsplit=1))
        assert instruction.name in INSTRUCTIONS, line
        if instruction.name == "FROM":
            base, _, name = instruction.rest.split()
            stages[name] = Stage(base, [])
        else:
            stages[name].instructions.append(instruction)
    return stages


STAGES = read_stages()


def instructions(name, *wanted):
    """Return the instructions of a stage after those of the stages below it."""
    below = instructions(STAGES[name].base, *wanted) if STAGES[name].base in STAGES else []
    return below + [each for each in STAGES[name].instructions if each.name in wanted]


def copied_from_the_repository(stage):
    """Return the sources of a stage's COPY instructions."""
    for instruction in STAGES[stage].instructions:
        words = shlex.split(instruction.rest)
        if instruction.name == "COPY" and not words[0].startswith("--from"):
            yield from words[:-1]


def test_nothing_but_python_s_own_image_is_built_upon():
    bases = {stage.base for stage in STAGES.values()} - set(STAGES)
    assert bases == {"python:3.11-slim-bookworm"}
    assert "://" not in DOCKERFILE.read_text() + BAKE


@pytest.mark.parametrize("image", IMAGES)
def test_a_worker_is_not_root(image):
    last = instructions(image, "USER")[-1].rest
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last), "Kubernetes checks runAsNonRoot by number"
    created = " ".join(each.rest for each in instructions(image, "RUN"))
    assert f"--uid {last.partition(':')[0]}" in created


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_copied_is_there_and_in_the_build_context(stage):
    kept = [
        line[1:]
        for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for source in copied_from_the_repository(stage):
        assert (ROOT / source).exists()
        assert any(PurePosixPath(source).match(pattern) for pattern in kept), source


@pytest.mark.parametrize("image", IMAGES)
def test_kubeedge_s_library_comes_from_a_build_context(image):
    copies = [each.rest for each in instructions(image, "COPY")]
    assert "--from=sedna sedna /opt/kubeedge/sedna" in copies
    path = instructions(image, "ENV")
    assert any("PYTHONPATH=/opt/kubeedge" in each.rest for each in path)
    assert "sedna = SEDNA_LIB" in BAKE


@pytest.mark.parametrize("image", IMAGES)
def test_bake_builds_the_stage_for_both_architectures(image):
    target = re.search(rf'target "{image}" {{(.*?)\n}}', BAKE, re.DOTALL)[1]
    assert re.search(rf'target\s*= "{image}"', target)
    assert f"sedna-tinyms/{image}:" in target
    worker = re.search(r'target "worker" {(.*?)\n}', BAKE, re.DOTALL)[1]
    assert '["linux/amd64", "linux/arm64"]' in worker


@pytest.mark.parametrize("image", IMAGES)
def test_pip_is_asked_for_extras_that_exist(image):
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    (line,) = [each.rest for each in instructions(f"{image}-packages", "RUN") if "[" in each.rest]
    asked = re.search(r"pip install '\.\[(.*)\]'", line)[1].split(",")
    assert set(asked) <= set(extras)
    assert {"cloud": "mindspore", "edge": "edge"}[image] in asked


@pytest.mark.parametrize("image", IMAGES)
def test_the_health_check_passes_here(image):
    command = instructions(image, "HEALTHCHECK")[-1].rest.partition("CMD ")[2]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs}
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout
    failed = subprocess.run(
        ["/bin/sh", "-c", command.replace("--quick", "--quick --root /proc")],
        env=environment,
        capture_output=True,
        timeout=60,
    )
    assert failed.returncode == 1, "an engine knows 0 and 1 only"


@pytest.mark.parametrize("image", IMAGES)
def test_the_health_check_finds_a_worker_that_hangs(image, tmp_path):
    variables = dict(
        word.split("=", 1)
        for each in instructions(image, "ENV")
        for word in shlex.split(each.rest)
        if word.startswith("SEDNA_TINYMS_")
    )
    assert PurePosixPath(variables["SEDNA_TINYMS_HEARTBEAT"]).parent == PurePosixPath("/tmp")
    heart = tmp_path / "heartbeat"
    environment = os.environ | {
        "SEDNA_TINYMS_HEARTBEAT": str(heart),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = instructions(image, "HEALTHCHECK")[-1].rest.partition("CMD ")[2]

    def check(option=""):
        return subprocess.run(
            ["/bin/sh", "-c", command.replace("--quick", f"--quick {option}")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    subprocess.run(
        [sys.executable, "-c", "from sedna_tinyms.heartbeat import beat; beat()"],
        env=environment,
        check=True,
        timeout=60,
    )
    assert check().returncode == 0
    past = heart.stat().st_mtime - 200
    os.utime(heart, (past, past))
    assert check().returncode == 1
    found = json.loads(check("--json").stdout)["findings"]
    assert [each["check"] for each in found if each["level"] == "problem"] == ["worker"]


@pytest.mark.parametrize("image", IMAGES)
def test_the_scripts_of_the_job_are_in_the_image_with_all_that_they_import(image, tmp_path):
    names = [each.rpartition("/")[2] for each in copied_from_the_repository("worker")]
    for source in copied_from_the_repository("worker"):
        shutil.copy(ROOT / source, tmp_path)
    job = (ROOT / "examples" / "incremental_mobilenetv2" / "job.yaml").read_text()
    scripts = re.findall(r'args: \["(.*?)"\]', job)
    assert len(scripts) == 3
    assert set(scripts) <= set(names)
    assert json.loads(instructions(image, "ENTRYPOINT")[-1].rest) == ["python"]
    (tmp_path / "imports.py").write_text("".join(f"import {name[:-3]}\n" for name in names))
    done = subprocess.run(
        [sys.executable, "-m", "sedna_tinyms", "exec", "imports.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
