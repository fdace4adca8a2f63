"""The demo's inference worker where only ``sedna-tinyms[edge]`` is installed."""

import json
import re
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper, save
from PIL import Image

from estimators.model_card import ModelCard
from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.cli import COMMANDS
from sedna_tinyms.testing import Controller

EXAMPLE = Path(__file__).parents[2] / "examples" / "incremental_mobilenetv2"
NAMES = ("bolt", "gear", "nut")
LOGITS = {"sure": [0.0, 0.0, 20.0], "unsure": [1.0, 0.0, 0.0]}
"""Two models: one is sure that everything is a nut, the other is sure of nothing."""
LIMIT_SECONDS = 120.0
MOST_RESIDENT_MB = 150


def write_networks(directory):
    """Write the whole network, at 224 pixels: what the figures are about."""
    from sedna_tinyms.tinyms.model.mobilenetv2_onnx import mobilenetv2_onnx

    card = ModelCard(NAMES)
    network = card.build(0)
    for name, bias in LOGITS.items():
        weights = {p.name: p.asnumpy() for p in network.get_parameters()}
        weights["head.head.1.weight"] = np.zeros_like(weights["head.head.1.weight"])
        weights["head.head.1.bias"] = np.array(bias, np.float32)
        model = mobilenetv2_onnx(weights, input_size=224, metadata=card.metadata())
        (directory / f"{name}.onnx").write_bytes(model)


def write_small_models(directory):
    """Write models of one layer, without MindSpore."""
    for name, bias in LOGITS.items():
        constants = {"weights": np.zeros((3, 3), np.float32), "bias": np.array(bias, np.float32)}
        graph = helper.make_graph(
            [
                helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
                helper.make_node("GlobalAveragePool", ["floats"], ["pooled"]),
                helper.make_node("Flatten", ["pooled"], ["features"]),
                helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]),
            ],
            name,
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["N", 3, 32, 32])],
            [
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
                helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3]),
            ],
            [numpy_helper.from_array(array, key) for key, array in constants.items()],
        )
        opset = helper.make_opsetid("", 13)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        helper.set_model_props(model, ModelCard(NAMES, 1.0, 32).metadata())
        save(model, directory / f"{name}.onnx")


@pytest.fixture(scope="module")
def models(edge, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    (write_networks if edge.installed else write_small_models)(directory)
    return directory


def wait_until(what, condition, process, log):
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"no {what}: {log.read_text()}"
        time.sleep(0.02)


class Camera:
    """Drops pictures, and reads what the worker says of them."""

    def __init__(self, root):
        self.root = root / "camera"
        (self.root / "incoming").mkdir(parents=True)

    def drop(self, name, content=None):
        hidden = self.root / "incoming" / f".{name}"
        pixels = np.random.default_rng(0).integers(0, 256, (227, 227, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(hidden, "JPEG")
        if content is not None:
            hidden.write_bytes(content)
        hidden.rename(hidden.with_name(name))

    def said(self, name):
        file = self.root / "results" / "results.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return next((e for e in map(json.loads, lines) if e["picture"] == name), None)


@contextmanager
def ending(process):
    """End a process as a cluster does, and make sure that it goes in peace."""
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT_SECONDS)
    finally:
        process.kill()
        process.wait()


def memory_mb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return {
        name: int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024
        for name in ("VmRSS", "VmHWM")
    }


def test_mindspore_is_absent_and_everything_for_the_edge_is_there(edge):
    program = (
        "import importlib.util, sys\n"
        "from sedna_tinyms.errors import MissingExtraError\n"
        "for name in ('mindspore', 'onnx', 'torch', 'openvino'):\n"
        "    assert importlib.util.find_spec(name) is None, name\n"
        "import sedna_tinyms.backend, sedna_tinyms.sedna, sedna_tinyms.jobs, estimators\n"
        "from estimators import OnnxClassifier, Prediction, line_parser\n"
        "from sedna_tinyms.backend import ONNXBackend\n"
        "for module, name in ((estimators, 'TinyMSMobileNetV2'),\n"
        "                     (sedna_tinyms.backend, 'TinyMSBackend')):\n"
        "    try:\n"
        "        getattr(module, name)\n"
        "    except MissingExtraError as error:\n"
        "        print(error.code, error.fields['extra'])\n"
    )
    refusals = edge.run(edge.python, "-W", "error", "-c", program).splitlines()
    assert refusals == ["missing-extra mindspore"] * 2


def test_the_command_works(edge):
    assert "run" in edge.run(edge.command, "--help")
    for command in COMMANDS:
        assert "usage:" in edge.run(edge.command, command, "--help")
    assert "## What to do" in edge.run(edge.command, "help", "exit-code", "13")
    edge.run(edge.command, "validate", EXAMPLE / "job.yaml")


def test_the_demo_worker_answers_is_updated_and_keeps_hard_examples(edge, models, tmp_path):
    camera, log, config = Camera(tmp_path), tmp_path / "log", tmp_path / "hot" / "model_config.json"
    camera.drop("first.jpg")
    with Controller() as controller:
        began = time.time()
        worker = edge.start(
            *(edge.command, "exec", EXAMPLE / "infer.py"),
            log=log,
            BACKEND_TYPE="ONNX",
            CLASS_NAMES=",".join(NAMES),
            DATA_PATH_PREFIX=tmp_path,
            INCOMING_URL="/camera/incoming",
            HE_SAVED_URL="/camera/hard_examples",
            RESULT_SAVED_URL="/camera/results",
            MODEL_URL=models / "sure.onnx",
            MODEL_HOT_UPDATE="true",
            MODEL_HOT_UPDATE_CONFIG=config,
            MODEL_POLL_PERIOD_SECONDS=1,
            HEM_NAME="CrossEntropy",
            HEM_PARAMETERS='[{"key": "threshold_cross_entropy", "value": "0.5"}]',
            WORKER_NAME="infer-worker",
            JOB_NAME="workshop",
            NAMESPACE="default",
            LC_SERVER=controller.url,
        )
        with ending(worker):
            wait_until("first answer", lambda: camera.said("first.jpg"), worker, log)
            first = camera.said("first.jpg")
            assert (first["class"], first["hard"]) == ("nut", False)

            entry = {"model_path": str(models / "unsure.onnx"), "model_update_time": "2"}
            write_json(config, {"model_config": entry})
            (report,) = controller.wait_for(1, LIMIT_SECONDS)
            assert (report.body["kind"], report.body["status"]) == ("deploy", "completed")
            camera.drop("second.jpg")
            camera.drop("torn.jpg", b"\xff\xd8 no more")
            wait_until("last answer", lambda: camera.said("torn.jpg"), worker, log)
            memory = memory_mb(worker)
            assert "mindspore" not in Path(f"/proc/{worker.pid}/maps").read_text()
    second = camera.said("second.jpg")
    assert (second["class"], second["hard"]) == ("bolt", True)
    assert second["score"] == pytest.approx(0.576, abs=1e-3)
    hard_examples = (camera.root / "hard_examples").glob("*.jpg")
    assert [path.name for path in hard_examples] == ["second.jpg"]
    assert "torn.jpg" in camera.said("torn.jpg")["error"]
    assert worker.returncode == 0, log.read_text()
    figures = {**memory, "first_answer_seconds": first["time"] - began}
    print({name: round(value, 2) for name, value in figures.items()}, file=sys.stderr)
    assert memory["VmHWM"] < MOST_RESIDENT_MB


def test_a_job_starts_its_inference_worker(edge, models, tmp_path):
    root = tmp_path / "root"
    camera, log = Camera(root), tmp_path / "log"
    for place in ("data/workshop", "models/initial", "models/deploy", "output/workshop"):
        (root / place).mkdir(parents=True)
    (root / "data/workshop/samples.txt").touch()
    (root / "models/initial/initial.ckpt").write_text("for train workers, which run elsewhere")
    (root / "models/deploy/deploy.onnx").write_bytes((models / "sure.onnx").read_bytes())
    documents = list(yaml.safe_load_all((EXAMPLE / "job.yaml").read_text()))
    for part in ("trainSpec", "evalSpec", "deploySpec"):
        container = documents[-1]["spec"][part]["template"]["spec"]["containers"][0]
        container["args"] = [str(EXAMPLE / container["args"][0])]
        for entry in container["env"]:
            if entry["name"] == "CLASS_NAMES":
                entry["value"] = ",".join(NAMES)
    (root / "job.yaml").write_text(yaml.safe_dump_all(documents))
    camera.drop("only.jpg")
    runner = edge.start(edge.command, "run", root / "job.yaml", "--root", root, log=log)
    with ending(runner):
        wait_until("answer", lambda: camera.said("only.jpg"), runner, log)
    assert camera.said("only.jpg")["class"] == "nut"
    assert runner.returncode == 143, log.read_text()
