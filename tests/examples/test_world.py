import json

import pytest
import world

from sedna_tinyms.errors import WorkerError

CLASSES = ("bolt", "gear", "nut")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data/workshop/pictures").mkdir(parents=True)
    (tmp_path / "data/workshop/samples.txt").write_text("pictures/old.jpg gear\n")
    (tmp_path / "stock").mkdir()
    rows = ["picture,class,domain"]
    for number, class_name in enumerate(CLASSES):
        (tmp_path / f"stock/{number}.jpg").write_bytes(b"picture")
        rows.append(f"{number}.jpg,{class_name},night")
    (tmp_path / "truth.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.parametrize(("slipped", "said"), [(0, CLASSES), (1, ("gear", "nut", "bolt"))])
def test_a_labeller_appends_lines_rightly_or_one_row_off(root, slipped, said):
    labeller = world.Labeller(root, CLASSES)
    assert labeller.label((root / "stock").iterdir(), slipped=slipped) == 3
    lines = (root / "data/workshop/samples.txt").read_text().splitlines()
    assert lines[0] == "pictures/old.jpg gear"
    assert lines[1:] == [f"pictures/{n}.jpg {name}" for n, name in enumerate(said)]
    assert len(list((root / "data/workshop/pictures").iterdir())) == 3
    assert not list((root / "stock").iterdir())


def test_a_picture_counts_as_answered_once_it_is_out_of_the_way(root):
    camera = world.Camera(root)
    camera.drop([root / "stock/0.jpg"])
    assert not camera.answered()
    answer = {"picture": "0.jpg", "time": 0.0, "class": "bolt", "score": 0.9, "hard": True}
    (root / "camera/results").mkdir()
    (root / "camera/results/results.jsonl").write_text(json.dumps(answer) + "\n")
    assert not camera.answered()
    (root / "camera/incoming/0.jpg").unlink()
    assert camera.answered()


def test_the_camera_goes_on_until_it_is_stopped(root):
    camera = world.Camera(root)
    camera.keep_dropping(sorted((root / "stock").iterdir()), every_seconds=0.001)
    job = world.Job(root, lambda: None)
    job.wait_until("a picture", lambda: len(camera.dropped) > 0)
    camera.stop()
    seen = list(camera.dropped)
    assert seen == [f"{number}.jpg" for number in range(len(seen))]


def test_a_failed_round_ends_the_wait_with_its_reason(root, raises):
    output = root / "output/workshop"
    output.mkdir(parents=True)
    rounds = [{"outcome": "deployed", "reason": ""}, {"outcome": "failed", "reason": "no memory"}]
    (output / "report.json").write_text(json.dumps({"rounds": rounds}))
    job = world.Job(root, lambda: None)
    assert job.wait_for_round(1)["outcome"] == "deployed"
    with raises(WorkerError, "worker-failed", round=2):
        job.wait_for_round(2)


def test_waiting_ends_when_the_runner_has_ended(root, raises):
    def check():
        raise WorkerError("the runner ended with 3", code="worker-failed", exit_code=3)

    with raises(WorkerError, "worker-failed", golden=False, exit_code=3):
        world.Job(root, check).wait_for_round(1)
