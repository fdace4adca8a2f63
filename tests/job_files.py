"""A job YAML that has nothing wrong with it, and a way to change one thing."""

from __future__ import annotations

from pathlib import Path

JOB = """\
apiVersion: sedna.io/v1alpha1
kind: Dataset
metadata:
  name: parts-data
spec:
  url: /data/train.txt
  format: txt
  nodeName: edge-1
---
apiVersion: sedna.io/v1alpha1
kind: Model
metadata:
  name: initial
spec:
  url: /models/initial/model.ckpt
  format: ckpt
---
apiVersion: sedna.io/v1alpha1
kind: Model
metadata:
  name: deployed
spec:
  url: /models/deployed/model.ckpt
  format: ckpt
---
apiVersion: sedna.io/v1alpha1
kind: IncrementalLearningJob
metadata:
  name: parts
spec:
  initialModel:
    name: initial
  dataset:
    name: parts-data
    trainProb: 0.8
  trainSpec:
    template:
      spec:
        restartPolicy: Never
        activeDeadlineSeconds: 600
        containers:
          - image: worker:1
            name: train-worker
            args: ["train.py"]
            env:
              - name: BACKEND_TYPE
                value: TINYMS
              - name: EPOCHS
                value: "3"
    trigger:
      timer:
        start: 02:00
        end: 24:00
      condition:
        operator: ">"
        threshold: 500
        metric: num_of_samples
  evalSpec:
    template:
      spec:
        restartPolicy: Never
        containers:
          - image: worker:1
            name: eval-worker
            command: ["python"]
            args: ["eval.py"]
            env:
              - {name: BACKEND_TYPE, value: TINYMS}
  deploySpec:
    model:
      name: deployed
      hotUpdateEnabled: true
      pollPeriodSeconds: 5
    trigger:
      condition:
        operator: gt
        threshold: 0.01
        metric: accuracy_delta[0]
    hardExampleMining:
      name: CrossEntropy
      parameters:
        - key: threshold_cross_entropy
          value: "0.7"
    template:
      spec:
        containers:
          - image: worker:1
            name: inference-worker
            args: ["infer.py"]
            env:
              - {name: BACKEND_TYPE, value: TINYMS}
  outputDir: /output
"""


def changed(old: str, new: str, text: str = JOB) -> str:
    """Return the job with the one place `old` replaced by `new`."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the job"
    return text.replace(old, new)


def line_of(part: str, text: str = JOB) -> int:
    """Return the line in which `part` begins, counted from 1."""
    return text[: text.index(part)].count("\n") + 1


def write_job(directory: Path, text: str = JOB) -> Path:
    """Write the job, with its worker scripts beside it, and return its path."""
    path = directory / "job.yaml"
    path.write_text(text, encoding="utf-8")
    for script in ("train.py", "eval.py", "infer.py"):
        (directory / script).write_text("", encoding="utf-8")
    return path


def write_data(root: Path) -> Path:
    """Write the dataset and both models below `root`, and return it."""
    for file in ("data/train.txt", "models/initial/model.ckpt", "models/deployed/model.ckpt"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("x\n", encoding="utf-8")
    return root
