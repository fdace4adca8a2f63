"""The job's worker scripts, run by the runner with the worker library that is at hand."""

import json
import time

import demo
import numpy as np
import prepare
import pytest
import world
from PIL import Image, ImageDraw
from results import measure

from sedna_tinyms.jobs.manifest.loading import load_job

CLASSES = ("cross", "disc", "stripes")
PICTURES = 20
SETTINGS = {
    "INPUT_SHAPE": "32",
    "WIDTH": "0.35",
    "STRATEGY": "head",
    "EPOCHS": "30",
    "LEARNING_RATE": "0.1",
    "BATCH_SIZE": "8",
}


def paint(path, class_name, rng):
    """A shape in two greys: the backbone that it starts from cares little for colour."""
    picture = Image.new("L", (64, 64), int(rng.integers(170, 255)))
    draw, ink = ImageDraw.Draw(picture), int(rng.integers(0, 90))
    x, y = (int(v) for v in rng.integers(-3, 4, 2))
    if class_name == "disc":
        draw.ellipse((14 + x, 14 + y, 50 + x, 50 + y), fill=ink)
    elif class_name == "cross":
        draw.line((14 + x, 14 + y, 50 + x, 50 + y), fill=ink, width=6)
        draw.line((14 + x, 50 + y, 50 + x, 14 + y), fill=ink, width=6)
    else:
        for left in range(8, 56, 12):
            draw.rectangle((left + x, 10 + y, left + 4 + x, 54 + y), fill=ink)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Play two rounds, with pictures dropped in between, one of which is broken.

    The pictures of the second round are like those of the first, so that it can teach nothing.
    """
    base = tmp_path_factory.mktemp("example")
    rng = np.random.default_rng(0)
    rows = ["file,domain,class,split"]
    for domain in ("first", "second"):
        for class_name in CLASSES:
            for number in range(PICTURES):
                name = f"{domain}-{class_name}-{number}.png"
                paint(base / "images" / name, class_name, rng)
                rows.append(f"{name},{domain},{class_name},{'test' if number < 4 else 'train'}")
    (base / "images/labels.csv").write_text("\n".join(rows), encoding="utf-8")
    root = base / "root"
    settings = [word for pair in SETTINGS.items() for word in ("--set", "=".join(pair))]
    options = ["--images", str(base / "images"), "--weights", str(prepare.BACKBONE), *settings]
    assert prepare.main(["--root", str(root), *options]) == 0

    with demo.running_job(root, rounds=2) as job:
        camera = world.Camera(root)
        job.wait_for_round(1)
        for class_name in CLASSES:
            paint(base / f"{class_name}.png", class_name, rng)
        (base / "broken.png").write_bytes(b"no picture at all")
        camera.drop(sorted(base.glob("*.png")))
        results = root / "camera/results/results.jsonl"
        job.wait_until(
            "four answers", lambda: results.exists() and len(results.read_text().splitlines()) >= 4
        )
        demo.play_arrivals(root, job, sorted((root / "arrivals").iterdir()))
    return root


def test_models_that_get_as_many_pictures_right_are_deployed(run):
    report = json.loads((run / "output/workshop/report.json").read_text())
    assert [record["round"] for record in report["rounds"]] == [1, 2]
    for record in report["rounds"]:
        assert record["new"].keys() == record["old"].keys()
        assert record["train_samples"] == 36
        # None where this process, which the workers descend from, is the larger one.
        assert (record["stages"]["train"]["peak_bytes"] or 0) < 2e9
        assert (record["stages"]["eval"]["peak_bytes"] or 0) < 300e6, "MindSpore evaluates"
    first, second = report["rounds"]
    assert (first["outcome"], first["code"]) == ("deployed", "met"), first["reason"]
    assert first["new"]["accuracy"][0] > 0.8 > first["old"]["accuracy"][0]
    assert (second["outcome"], second["code"]) == ("deployed", "met"), second["reason"]
    assert second["test"]["only_new"] >= second["test"]["only_old"]
    assert second["old"]["accuracy"][0] > 0.8
    assert second["eval_samples"] == 24


def test_the_worker_answers_every_picture_and_survives_a_broken_one(run):
    began = (run / "prepared.json").stat().st_mtime
    lines = (run / "camera/results/results.jsonl").read_text().splitlines()
    entries = {entry["picture"]: entry for entry in map(json.loads, lines)}
    assert set(entries) == {"cross.png", "broken.png", "disc.png", "stripes.png"}
    assert "broken.png" in entries["broken.png"]["error"]
    assert (run / "camera/results/broken/broken.png").exists()
    answers = world.read_answers(run)
    assert [answer.picture for answer in answers] == ["cross.png", "disc.png", "stripes.png"]
    for answer in answers:
        assert answer.class_name in CLASSES
        assert 1 / 3 <= answer.score <= 1
        assert began <= answer.time <= time.time()
        assert (run / "camera/hard_examples" / answer.picture).exists() == answer.hard
    assert not list((run / "camera/incoming").iterdir())


def test_what_is_in_service_is_the_last_rounds_model(run):
    rounds = json.loads((run / "output/workshop/report.json").read_text())["rounds"]
    served = (run / "models/deploy/deploy.onnx").read_bytes()
    first, second = ((run / each["new_model"].lstrip("/")).read_bytes() for each in rounds)
    assert served == second != first


def test_held_out_pictures_show_what_was_learnt(run):
    job = load_job(run / "job.yaml")
    rounds = json.loads((run / "output/workshop/report.json").read_text())["rounds"]
    accuracy = measure(run, job, rounds)
    learnt = accuracy["/models/deploy/deploy.onnx"]
    assert set(learnt) == {"first", "second"}
    assert min(learnt.values()) > 0.6
    assert json.loads((run / "held_out.json").read_text()) == accuracy
