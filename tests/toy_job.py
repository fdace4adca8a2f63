"""A whole job with workers that take milliseconds: a model is a file with its accuracy in it.

`ToyJob.plan` says what a worker does in a round: ``{1: {"accuracy": 0.9}, 2: {"train": "crash"}}``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sedna_tinyms.jobs import load_job
from sedna_tinyms.jobs.events import Noted
from sedna_tinyms.jobs.ledger import SampleLedger
from sedna_tinyms.jobs.lines import read_line
from sedna_tinyms.jobs.manifest.spec import Job
from sedna_tinyms.jobs.runner import JobRunner

YAML = """
apiVersion: sedna.io/v1alpha1
kind: Dataset
metadata: {name: toys}
spec: {url: /data/toys.txt, format: txt, nodeName: laptop}
---
apiVersion: sedna.io/v1alpha1
kind: Model
metadata: {name: initial}
spec: {url: /models/initial/model.ckpt, format: ckpt}
---
apiVersion: sedna.io/v1alpha1
kind: Model
metadata: {name: deployed}
spec: {url: /models/deployed/model.ckpt, format: DEPLOY_FORMAT}
---
apiVersion: sedna.io/v1alpha1
kind: Model
metadata: {name: compared}
spec: {url: /models/compared/model.ckpt, format: ckpt}
---
apiVersion: sedna.io/v1alpha1
kind: IncrementalLearningJob
metadata:
  name: toy
  namespace: default
  annotations: ANNOTATIONS
spec:
  initialModel: {name: initial}
  dataset: {name: toys, trainProb: 0.8}
  trainSpec:
    template: TRAIN
    trigger: {condition: {operator: ">", threshold: 3, metric: num_of_samples}}
  evalSpec:
    initialEvalModel: {name: COMPARED}
    template: EVAL
  deploySpec:
    model: {name: deployed, hotUpdateEnabled: HOT, pollPeriodSeconds: 1}
    trigger: {condition: {operator: ">", threshold: 0, metric: "accuracy_delta[0]"}}
    hardExampleMining: {name: Random}
    template: INFERENCE
  outputDir: /output
"""

TOOLS = """
import json, os, pathlib, signal, socket, sys, time

HERE = pathlib.Path(__file__).parent
PREFIX = os.environ["DATA_PATH_PREFIX"]


def plan(number):
    return json.loads((HERE / "plan.json").read_text()).get(str(number), {})


def act(what):
    if what == "crash":
        print("Traceback: it broke", file=sys.stderr)
        sys.exit(3)
    if what == "quiet":
        sys.exit(0)
    if what == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("hanging", flush=True)
        time.sleep(600)
    if what == "wait":
        print("waiting", flush=True)
        try:
            while not (HERE / "go").exists():
                time.sleep(0.01)
        except SystemExit:
            print("saved what there was", flush=True)
            raise


def post(body):
    # By hand: to import http.client takes as long as all the rest.
    host, port = os.environ["LC_SERVER"].removeprefix("http://").split(":")
    head = (f"POST /sedna/workers/{os.environ['WORKER_NAME']}/info HTTP/1.1\\r\\n"
            f"Host: {host}\\r\\nContent-Length: {len(body.encode())}\\r\\n\\r\\n")
    with socket.create_connection((host, int(port))) as server:
        server.sendall((head + body).encode())
        return int(server.recv(9999).split()[1])


def report(kind, results=None, status="completed"):
    body = {"name": os.environ["WORKER_NAME"], "namespace": os.environ["NAMESPACE"],
            "ownerName": os.environ["JOB_NAME"], "ownerKind": "incrementallearningjob",
            "kind": kind, "status": status, "results": results}
    assert post(json.dumps(body)) == 200


def entry(path, metrics, form="ckpt"):
    return {"format": form, "url": str(path).removeprefix(PREFIX), "metrics": metrics}


def as_onnx(text):
    # The smallest whole ONNX file: nothing but a graph's name.
    name = text + " as an ONNX graph"
    return f":{chr(len(name) + 2)}\\x12{chr(len(name))}{name}"


def accuracy(model, planned):
    try:
        return float(model.read_text())
    except ValueError:  # a real checkpoint
        return planned


def remember(**what):
    with (HERE / "seen.jsonl").open("a") as file:
        file.write(json.dumps(what | {"env": dict(os.environ), "cwd": os.getcwd()}) + "\\n")
"""

TRAIN = """
from toy_tools import *

directory = pathlib.Path(os.environ["MODEL_URL"])
todo = plan(directory.name)
lines = pathlib.Path(os.environ["TRAIN_DATASET_URL"]).read_text().splitlines()
remember(kind="train", lines=lines, base=pathlib.Path(os.environ["BASE_MODEL_URL"]).read_text())
what = todo.get("train")
act(what)
memory = b"x" * todo.get("bytes", 0)
if what == "stay unreported":
    time.sleep(600)
directory.mkdir(parents=True)
model = directory / "model.ckpt"
model.write_text(str(todo.get("accuracy", 0.5)))
results = [entry(model, {"loss": 0.1}, todo.get("format", "ckpt"))]
if what == "missing model":
    results = [entry(directory / "nothing.ckpt", None)]
if what == "two formats":
    other = directory / "model.onnx"
    other.write_text(as_onnx(model.read_text()))
    if "onnx" in todo:
        other.write_bytes(pathlib.Path(todo["onnx"]).read_bytes())
    if "ckpt" in todo:
        model.write_bytes(pathlib.Path(todo["ckpt"]).read_bytes())
    results.insert(0, entry(other, {"loss": 0.1}, "onnx"))
if what == "odd url":
    results = [entry("/\\ud800" + "x" * 5000, None)]
if what == "garbage":
    print("status", post("{garbage"))
    sys.exit(0)
if what == "failed":
    report("train", status="failed")
    sys.exit(1)
report("train", results)
if what == "twice":
    report("train", [entry(directory / "other.ckpt", None)])
if what == "stay":
    time.sleep(600)
if what == "crash after report":
    sys.exit(9)
"""

EVAL = """
from toy_tools import *

samples = pathlib.Path(os.environ["TEST_DATASET_URL"])
todo = plan(samples.parent.name)
remember(kind="eval", lines=samples.read_text().splitlines())
what = todo.get("eval")
act(what)
models = [pathlib.Path(url) for url in os.environ["MODEL_URLS"].split(";")]
results = [entry(m, {"accuracy": [accuracy(m, todo.get("accuracy"))]}) for m in models]
for result, outcomes in zip(results, todo.get("correct", [])):
    result["metrics"]["correct"] = outcomes
for result in results if "contradicts" in todo else ():
    lines = samples.read_text().splitlines()
    wrong = [any(word in line for word in todo["contradicts"]) for line in lines]
    result["metrics"]["contradiction"] = [0.9 if each else 0.0 for each in wrong]
    result["metrics"].setdefault("correct", [0.0 if each else 1.0 for each in wrong])
for result in results if "engines" in todo else ():
    result["engines"] = todo["engines"]
if what == "scalar":
    results = [entry(m, {"accuracy": float(m.read_text())}) for m in models]
if what == "one":
    results = results[:1]
report("eval", results)
"""

INFERENCE = """
from toy_tools import *

todo = plan("inference")
served = pathlib.Path(os.environ["MODEL_URL"])
remember(kind="inference", model=served.read_text(), pid=os.getpid())
print("serving", flush=True)
starts = sum('"inference"' in line for line in (HERE / "seen.jsonl").open())
if starts <= todo.get("crashes", 0):
    act("crash")
memory = b"x" * todo.get("bytes", 0)
if served.read_text() in todo.get("dies of", []):
    act("crash")
config, last = os.environ.get("MODEL_HOT_UPDATE_CONFIG"), None
model = served.read_text()
while True:
    time.sleep(0.02)
    if todo.get("beats"):
        pathlib.Path(os.environ["SEDNA_TINYMS_HEARTBEAT"]).touch()
    if model in todo.get("hangs with", []):
        remember(kind="hangs", pid=os.getpid())
        time.sleep(600)
    if not config:
        continue
    try:
        news = json.loads(pathlib.Path(config).read_text())["model_config"]
        model = pathlib.Path(news["model_path"]).read_text()
    except OSError:
        continue
    if news["model_update_time"] != last:
        last = news["model_update_time"]
        remember(kind="hot", model=model, version=last)
        answer = plan("inference").get("update", "completed")
        if answer != "silent":
            report("deploy", status=answer)
        if model in todo.get("dies of", []):
            act("crash")
"""


def as_onnx(text: str) -> str:
    """Return the content of the ONNX file that a toy worker makes of a model."""
    name = f"{text} as an ONNX graph"
    return f":{chr(len(name) + 2)}\x12{chr(len(name))}{name}"


YAML_OPTIONS = ("hot", "two_formats", "annotations", "memory", "grace_seconds")
"""What `ToyJob.yaml` takes that `ToyJob.runner` takes too."""


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to come true, and fail if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


class ToyJob:
    """The files of a toy job, and a runner for it that keeps its events."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.here = directory / "job"
        self.output = self.root / "output"
        self.dataset = self.root / "data" / "toys.txt"
        self.deployed = self.root / "models" / "deployed" / "model.ckpt"
        self.compared = self.root / "models" / "compared" / "model.ckpt"
        self.events: list[Any] = []
        self._reactions: list[tuple[type, Callable[[Any], object]]] = []
        for path, text in (
            (self.dataset, ""),
            (self.root / "models" / "initial" / "model.ckpt", "0.1"),
            (self.deployed, "0.2"),
            (self.compared, "0.3"),
            (self.here / "toy_tools.py", TOOLS),
            (self.here / "toy_train.py", TRAIN),
            (self.here / "toy_eval.py", EVAL),
            (self.here / "toy_inference.py", INFERENCE),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.plan({})

    def plan(self, plan: dict[Any, Any]) -> None:
        """Say what the workers shall do, by round, and under ``inference``."""
        path = self.here / "plan.json"
        path.with_suffix(".new").write_text(json.dumps(plan))
        path.with_suffix(".new").replace(path)

    def add_samples(self, count: int) -> list[str]:
        """Append lines to the dataset, as if that was a minute ago, and return them.

        So a runner that starts now does not wait for more to come.
        """
        before = len(self.dataset.read_text().splitlines())
        lines = [f"picture-{number}.png {number % 3}" for number in range(before, before + count)]
        with self.dataset.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))
        long_ago = time.time() - 60
        os.utime(self.dataset, (long_ago, long_ago))
        return lines

    def shares(self, size: int = 10) -> list[tuple[list[str], list[str]]]:
        """Return the lines to train on and to evaluate with of each arrival of so many lines."""
        ledger, lines = SampleLedger(0.8), self.dataset.read_text().splitlines()
        found = []
        for start in range(0, len(lines), size):
            arrival = [read_line(line) for line in lines[start : start + size]]
            held_out = ledger.split(arrival)
            ledger.arrive(arrival, held_out)
            sides: tuple[list[str], list[str]] = ([], [])
            for sample, side in zip(arrival, held_out, strict=True):
                sides[side].append(sample.line)
            found.append(sides)
        return found

    def yaml(
        self,
        *,
        hot: bool = False,
        through_exec: bool = False,
        two_formats: bool = False,
        annotations: dict[str, str] | None = None,
        memory: dict[str, str] | None = None,
        grace_seconds: int = 1,
    ) -> Path:
        """Write the job's YAML.

        With `two_formats`, onnx is deployed, and ckpt compared with a Model of its own. The
        `annotations` are those of sedna-tinyms.io; there is no canary without one. `memory` is
        what a kind of worker may take, and `grace_seconds` how long it may take to end.
        """
        ours = {"canary-timeout-seconds": "0"} | (annotations or {})
        noted = {f"sedna-tinyms.io/{name}": value for name, value in ours.items()}
        text = YAML.replace("HOT", str(hot).lower()).replace("ANNOTATIONS", json.dumps(noted))
        text = text.replace("DEPLOY_FORMAT", "onnx" if two_formats else "ckpt")
        if not two_formats:
            text = text.replace("    initialEvalModel: {name: COMPARED}\n", "")
        text = text.replace("COMPARED", "compared")
        for kind in ("train", "eval", "inference"):
            command = (
                f'args: ["toy_{kind}.py"]'
                if through_exec
                else f'command: ["python", "-S", "-m", "toy_{kind}"]'
            )
            if memory and kind in memory:
                command += f", resources: {{limits: {{memory: {memory[kind]}}}}}"
            template = (
                f"{{spec: {{restartPolicy: Never, terminationGracePeriodSeconds: {grace_seconds}, "
                f"containers: [{{name: {kind}, image: toy, {command}}}]}}}}"
            )
            text = text.replace(f"template: {kind.upper()}", f"template: {template}")
        path = self.here / "job.yaml"
        path.write_text(text)
        return path

    def job(self, **yaml: Any) -> Job:
        """Return the job as loaded from its YAML."""
        return load_job(self.yaml(**yaml))

    def runner(self, **options: Any) -> JobRunner:
        """Return a runner that looks often and keeps its events in `events`.

        The `options` are those of `yaml` and the settings of the runner.
        """
        yaml = {name: options.pop(name) for name in YAML_OPTIONS if name in options}
        settings = {"poll_seconds": 0.01, "quiet_seconds": 0.0, "on_event": self._react} | options
        return JobRunner(self.job(**yaml), self.root, **settings)

    def on(self, kind: type, reaction: Callable[[Any], object]) -> None:
        """Do something, on the runner's thread, at each event of a kind."""
        self._reactions.append((kind, reaction))

    def _react(self, event: Any) -> None:
        self.events.append(event)
        for kind, reaction in self._reactions:
            if isinstance(event, kind):
                reaction(event)

    def heard(self, kind: type) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def noted(self, code: str) -> list[Noted]:
        """Return what was noted with a code."""
        return [event for event in self.heard(Noted) if event.code == code]

    def seen(self, kind: str) -> list[dict[str, Any]]:
        """Return what the workers of a kind have seen: their samples, base, environment."""
        path = self.here / "seen.jsonl"
        text = path.read_text() if path.exists() else ""
        *lines, _being_written = text.split("\n")
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def conditions(self) -> list[dict[str, str]]:
        """Return the conditions of ``status.json``."""
        document = json.loads((self.output / "status.json").read_text())
        conditions: list[dict[str, str]] = document["status"]["conditions"]
        return conditions

    def states(self) -> list[str]:
        """Return the conditions as ``Train Waiting`` and so on."""
        return [f"{each['stage']} {each['type']}" for each in self.conditions()]
