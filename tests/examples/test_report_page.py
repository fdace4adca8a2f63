"""The report of a run that is told by its files alone."""

import io
import json
import re
import shutil
from datetime import datetime, timezone
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import prepare
import pytest
import report
from parts import CLASS_NAMES
from PIL import Image
from results import gather
from rich.console import Console
from words import learning

from sedna_tinyms.errors import StorageError
from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix

BEGAN = 1_800_000_000
ROUNDS = (
    # starts at, outcome, accuracies of the new and the old model
    (2, "deployed", 0.97, 0.18),
    (40, "deployed", 0.95, 0.71),
    (80, "rejected", 0.61, 0.83),
)
STATES = (
    *("Train Ready", "Train Completed", "Eval Ready", "Eval Completed"),
    *("Deploy Waiting", "Deploy Ready", "Deploy Completed", "Train Waiting"),
)
REFUSED = tuple(state for state in STATES if state != "Deploy Ready")
HELD_OUT = {
    "/models/initial/initial.ckpt": {"day": 0.167, "night": 0.172},
    "/output/workshop/train/1/m.ckpt": {"day": 0.983, "night": 0.361},
    "/output/workshop/train/2/m.ckpt": {"day": 0.978, "night": 0.944},
    "/output/workshop/train/3/m.ckpt": {"day": 0.644, "night": 0.511},
    "/models/deploy/deploy.onnx": {"day": 0.978, "night": 0.944},
}


def condition(stage, kind, seconds):
    time = datetime.fromtimestamp(BEGAN + seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"stage": stage, "type": kind, "status": "True", "lastTransitionTime": time}


def stage(seconds, peak=None):
    return {"seconds": seconds, "peak_bytes": peak, "exit_code": 0}


def told_by_files(root):
    """Write what a run of three rounds leaves behind."""
    prepare.write_job(root / "job.yaml", {}, None)
    conditions = [condition("Train", "Waiting", 0)]
    rounds = []
    for number, (start, outcome, new, old) in enumerate(ROUNDS, 1):
        for step, state in enumerate(STATES if outcome == "deployed" else REFUSED):
            conditions.append(condition(*state.split(), start + 5 * step))
        rounds.append(
            {
                "round": number,
                "train_samples": 216,
                "eval_samples": 72,
                "outcome": outcome,
                "reason": f"accuracy_delta[0] {new - old:.3f} <is> what decided",
                "new": {"accuracy": [new]},
                "old": {"accuracy": [old]},
                "new_model": f"/output/workshop/train/{number}/m.ckpt",
                "stages": {
                    "train": stage(19.6, 1_310_000_000),
                    "eval": stage(7.9, 980_000_000) | {"engines": {"predictions": "abacus <fast>"}},
                },
            }
        )
    files = {
        "output/workshop/report.json": {"rounds": rounds, "inference": [stage(120.0, 7e8)]},
        "output/workshop/status.json": {"status": {"conditions": conditions}},
        "held_out.json": HELD_OUT,
        "prepared.json": {"domains": ["day", "night"], "seed": 1},
    }
    truth, answers = ["picture,class,domain"], []
    for number, class_name in enumerate(CLASS_NAMES):
        for domain in ("day", "night"):
            picture = root / "held_out" / domain / class_name / "0.jpg"
            picture.parent.mkdir(parents=True)
            Image.fromarray(np.full((16, 16, 3), 20 * number, np.uint8)).save(picture)
        name = f"{number}.jpg"
        truth.append(f"{name},{class_name},night")
        said = class_name if number % 2 else CLASS_NAMES[0]
        answer = {"picture": name, "time": BEGAN + 35 + number, "class": said, "score": 0.4}
        answers.append(json.dumps(answer | {"hard": number > 1}))
        if number != 2:
            labelled = root / "data/workshop/pictures" / name
            labelled.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, labelled)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(content))
    (root / "truth.csv").write_text("\n".join(truth) + "\n")
    (root / "camera/results").mkdir(parents=True)
    (root / "camera/incoming").mkdir()
    (root / "camera/results/results.jsonl").write_text("\n".join(answers) + '\n{"picture": "half')
    return root


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    root = told_by_files(tmp_path_factory.mktemp("run"))
    console = Console(record=True, width=400, file=io.StringIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "time", SimpleNamespace(monotonic=lambda: 1141.0))
        report.write(root, console, began=1000.0)
    return root, console.export_text()


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def test_the_page_is_whole_and_fetches_nothing(reported):
    root, _ = reported
    text = (root / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object")]
    links = [v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href")]
    assert links
    assert all(link.startswith("data:image/") for link in links)
    assert not re.search(r"https?:|url\(|@import", text)


def test_the_page_says_what_happened(reported, snapshot):
    root, _ = reported
    lines = Page((root / "report.html").read_text(encoding="utf-8")).words
    words = "\n".join(filter(None, (" ".join(line.split()) for line in lines)))
    for figure in ("98.3%", "36%", "94%", "61.0%", "1.31 GB", "141 s"):
        assert figure in words
    for given in ("<is> what decided", "abacus <fast>"):
        assert given in words
    assert words == snapshot


def test_the_tables_on_the_terminal_say_the_same(reported, snapshot):
    _, printed = reported
    rows = [re.findall(r"[\w.%]+", line) for line in printed.splitlines()]
    assert ["round", "1", "98.3%", "36.1%", "deployed"] in rows
    assert ["round", "3", "64.4%", "51.1%", "rejected"] in rows
    _, _, sentences = printed.rpartition("┘")
    assert sentences.replace(str(reported[0]), "ROOT").strip() == snapshot


def test_what_was_forgotten_is_said_and_saved(reported):
    root, printed = reported
    told = learning(gather(root))
    assert re.findall(r"-?\d\.\d+", told) == ["0.961", "0.003", "-0.003", "0.189"]
    words = " ".join(
        " ".join(Page((root / "report.html").read_text(encoding="utf-8")).words).split()
    )
    assert told in " ".join(printed.split())
    assert told in words
    matrix = AccuracyMatrix.load(root / "held_out_matrix.json")
    assert matrix.learned == ["day", "night", "round 3 (rejected)"]
    assert matrix.values.tolist() == [[0.983, 0.361], [0.978, 0.944], [0.978, 0.944]]
    assert matrix.baseline.tolist() == [0.167, 0.172]


def test_the_picture_is_one(reported):
    root, _ = reported
    with Image.open(root / "report.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_stages_and_answers_are_on_one_clock(reported):
    results = gather(reported[0])
    assert [(s.round, s.stage, s.start, s.end) for s in results.spans][:3] == [
        (1, "train", 2, 7),
        (1, "eval", 12, 17),
        (1, "deploy", 27, 32),
    ]
    assert [s.stage for s in results.spans if s.round == 3] == ["train", "eval"]  # rejected
    assert [round(answer.time) for answer in results.answers] == [35, 36, 37, 38, 39, 40]


def test_a_root_without_a_finished_run_is_refused(tmp_path, raises):
    prepare.write_job(tmp_path / "job.yaml", {}, None)
    with raises(StorageError, "missing-file"):
        gather(tmp_path)
