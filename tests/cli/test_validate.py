from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.errors import DatasetError, JobSpecError, ModelFileError, UsageError
from sedna_tinyms.jobs.manifest.templates import INJECTED, SETTINGS
from sedna_tinyms.sedna.common.config import BaseConfig

JOB = Path(__file__).parents[2] / "examples" / "incremental_mobilenetv2" / "job.yaml"


def write(directory: Path, old: str = "", new: str = "") -> Path:
    """Write the demo's job, its one place `old` replaced, with worker scripts beside it."""
    text = JOB.read_text(encoding="utf-8")
    assert not old or text.count(old) == 1
    path = directory / "job.yaml"
    path.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    for script in ("train.py", "eval.py", "infer.py"):
        (directory / script).write_text("", encoding="utf-8")
    return path


def outcome_of(cli: Any, path: Path, exit_code: int = 0) -> Any:
    """Return what ``validate --json`` says, which ends with the same code as without it."""
    assert cli("validate", path).exit_code == exit_code
    answer = cli("validate", path, "--json")
    assert answer.exit_code == exit_code
    return json.loads(answer.out)


def line_of(path: Path, text: str) -> int:
    return path.read_text(encoding="utf-8").split(text)[0].count("\n") + 1


def test_a_valid_job_is_summed_up(tmp_path: Path, cli: Any, snapshot: Any) -> None:
    answer = cli("validate", write(tmp_path))
    assert answer.exit_code == 0
    assert answer.out == snapshot


def test_problems_are_printed_with_file_and_line(tmp_path: Path, cli: Any, snapshot: Any) -> None:
    path = write(tmp_path, "trainProb: 0.75", "trainProb: 75")
    line = line_of(path, "trainProb")
    outcome = outcome_of(cli, path, exit_code=3)
    (found,) = [each for each in outcome["findings"] if each["severity"] == "error"]
    where = (found["rule"], found["line"], found["path"])
    assert where == ("out-of-range", line, "spec.dataset.trainProb")
    answer = cli("validate", path)
    assert f"{path}:{line}: spec.dataset.trainProb: " in answer.out
    assert answer.out == snapshot


def test_warnings_do_not_fail(tmp_path: Path, cli: Any) -> None:
    path = write(tmp_path, "metric: gate_delta[0]", "metric: accuracy_delta")
    outcome = outcome_of(cli, path)
    (found,) = [each for each in outcome["findings"] if each["severity"] == "warning"]
    assert found["path"] == "spec.deploySpec.trigger.condition.metric"


@pytest.mark.parametrize(("name", "meant"), [("STRATEGI", "STRATEGY"), ("strategy", "STRATEGY")])
def test_a_misspelt_setting_is_noticed(tmp_path: Path, cli: Any, name: str, meant: str) -> None:
    path = write(tmp_path, "{name: STRATEGY,", f"{{name: {name},")
    (found,) = [each for each in outcome_of(cli, path)["findings"] if each["severity"] == "warning"]
    assert (found["rule"], found["line"]) == ("unknown-name", line_of(path, name))
    assert found["path"].startswith("spec.trainSpec.template.")
    assert re.findall("'(.*?)'", found["message"]) == [meant]


def test_a_setting_of_the_scripts_own_is_left_alone(tmp_path: Path, cli: Any) -> None:
    outcome = outcome_of(cli, write(tmp_path, "{name: STRATEGY,", "{name: CAMERA_ANGLE,"))
    assert {each["severity"] for each in outcome["findings"]} == {"note"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("trainProb: 0.75", "trainProb: 75", "out-of-range"),
        ("trainProb: 0.75", "trainProb: [", "not-yaml"),
    ],
)
def test_the_outcome_can_be_had_as_json(
    tmp_path: Path, cli: Any, old: str, new: str, code: str
) -> None:
    outcome = outcome_of(cli, write(tmp_path))
    assert (outcome["valid"], outcome["job"]) == (True, "workshop-parts")
    assert (outcome["error"], outcome["code"]) == (None, None)
    assert {finding["severity"] for finding in outcome["findings"]} == {"note"}

    outcome = outcome_of(cli, write(tmp_path, old, new), exit_code=3)
    assert (outcome["valid"], outcome["job"]) == (False, None)
    assert outcome["error"]
    assert outcome["code"] == code


def test_with_a_root_the_files_are_looked_for(tmp_path: Path, cli: Any, refused: Any) -> None:
    path, root = write(tmp_path), tmp_path / "root"
    words = ("validate", path, "--root", root)
    deployed = write_classifier(root / "models/deploy/deploy.onnx")
    write_checkpoint(root / "models/initial/initial.ckpt")
    dataset = root / "data" / "workshop" / "samples.txt"
    answer = refused(DatasetError, "missing-file", *words)
    assert [each.fields["path"] for each in answer.error.problems] == [dataset]
    dataset.parent.mkdir(parents=True)
    dataset.touch()
    assert cli(*words).exit_code == 0
    deployed.write_bytes(b"")
    answer = refused(ModelFileError, "empty", *words)
    assert [str(each.fields["path"]) for each in answer.error.problems] == [str(deployed)]


def test_a_root_that_is_not_there_is_named(tmp_path: Path, refused: Any) -> None:
    absent = tmp_path / "absent"
    words = ("validate", write(tmp_path), "--root", absent)
    answer = refused(UsageError, "not-a-directory", *words, path=absent)
    assert "valid" not in answer.out


def test_a_missing_file_is_one_sentence(tmp_path: Path, refused: Any) -> None:
    missing = tmp_path / "none.yaml"
    refused(JobSpecError, "missing-file", "validate", missing, path=missing)


def test_every_variable_of_the_worker_library_is_a_known_setting() -> None:
    variables = {each.variable for each in vars(BaseConfig).values() if hasattr(each, "variable")}
    assert len(variables) > 20
    assert variables <= SETTINGS | INJECTED
