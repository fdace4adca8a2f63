from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.cli import main
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


def test_a_valid_job_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(write(tmp_path))]) == 0
    output = capsys.readouterr().out
    assert "default/workshop-parts: valid" in output
    assert "when num_of_samples >= 72" in output
    assert "when accuracy_delta[0] > 0.02" in output
    assert "better with 95 % confidence; a canary within 120 s" in output
    assert "error" not in output
    assert "warning" not in output


def test_problems_are_printed_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "trainProb: 0.75", "trainProb: 75")
    assert main(["validate", str(path)]) == 3
    output = capsys.readouterr().out
    line = path.read_text(encoding="utf-8").split("trainProb")[0].count("\n") + 1
    assert f"{path}:{line}: spec.dataset.trainProb: is 75" in output
    assert "valid" not in output


def test_warnings_do_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "metric: accuracy_delta[0]", "metric: accuracy_delta")
    assert main(["validate", str(path)]) == 0
    assert "warning: spec.deploySpec.trigger.condition.metric" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "meant"), [("STRATEGI", "STRATEGY"), ("strategy", "STRATEGY")])
def test_a_misspelt_setting_is_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, meant: str
) -> None:
    path = write(tmp_path, "{name: STRATEGY,", f"{{name: {name},")
    assert main(["validate", str(path)]) == 0
    line = path.read_text(encoding="utf-8").split(name)[0].count("\n") + 1
    (said,) = [each for each in capsys.readouterr().out.splitlines() if "warning: " in each]
    assert said.startswith(f"{path}:{line}: warning: spec.trainSpec.template.")
    assert f"{name} is none of the known settings (did you mean '{meant}'?)" in said


def test_a_setting_of_the_scripts_own_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "{name: STRATEGY,", "{name: CAMERA_ANGLE,")
    assert main(["validate", str(path)]) == 0
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("trainProb: 0.75", "trainProb: 75", "spec.dataset.trainProb"),
        ("trainProb: 0.75", "trainProb: [", "not YAML"),
    ],
)
def test_the_outcome_can_be_had_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, error: str
) -> None:
    assert main(["validate", str(write(tmp_path)), "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["valid"], outcome["job"], outcome["error"]) == (True, "workshop-parts", None)
    assert {finding["severity"] for finding in outcome["findings"]} == {"note"}

    assert main(["validate", str(write(tmp_path, old, new)), "--json"]) == 3
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["valid"], outcome["job"]) == (False, None)
    assert error in outcome["error"]


def test_with_a_root_the_files_are_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, root = write(tmp_path), tmp_path / "root"
    deployed = write_classifier(root / "models/deploy/deploy.onnx")
    write_checkpoint(root / "models/initial/initial.ckpt")
    dataset = root / "data" / "workshop" / "samples.txt"
    assert main(["validate", str(path), "--root", str(root)]) == 4
    assert f"/data/workshop/samples.txt, which is {dataset} here" in capsys.readouterr().err
    dataset.parent.mkdir(parents=True)
    dataset.touch()
    assert main(["validate", str(path), "--root", str(root)]) == 0
    deployed.write_bytes(b"")
    assert main(["validate", str(path), "--root", str(root)]) == 5
    assert f"{deployed} is empty (0 bytes)" in capsys.readouterr().err


def test_a_root_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(write(tmp_path)), "--root", str(tmp_path / "absent")]) == 2
    said = capsys.readouterr()
    assert f"--root is {tmp_path / 'absent'}, which does not exist" in said.err
    assert "valid" not in said.out


def test_a_missing_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path / "none.yaml")]) == 3
    assert "none.yaml: No such file" in capsys.readouterr().err


def test_every_variable_of_the_worker_library_is_a_known_setting() -> None:
    variables = {each.variable for each in vars(BaseConfig).values() if hasattr(each, "variable")}
    assert len(variables) > 20
    assert variables <= SETTINGS | INJECTED
