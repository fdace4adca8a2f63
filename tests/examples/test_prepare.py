import json
import re

import folders
import numpy as np
import prepare
import pytest
from PIL import Image

from sedna_tinyms.errors import DatasetError, StorageError
from sedna_tinyms.jobs.manifest.loading import load_job
from sedna_tinyms.tinyms.model import read_weights

COLOURS = {"red": (220, 40, 30), "blue": (30, 60, 220)}


def paint(path, class_name, seed=0):
    rng = np.random.default_rng(seed)
    pixels = np.array(COLOURS[class_name]) + rng.integers(-20, 20, (40, 40, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def classes_folder(root, count, prefix=""):
    for class_name in COLOURS:
        for number in range(count):
            paint(root / prefix / class_name / f"{number}.png", class_name, number)
    return root


def run(root, *options):
    return prepare.main(["--root", str(root), *map(str, options)])


def test_one_folder_a_class(tmp_path):
    images = classes_folder(tmp_path / "images", 10)
    root = tmp_path / "root"
    assert run(root, "--images", images, "--set", "INPUT_SHAPE=32", "--set", "WIDTH=0.25") == 0

    lines = (root / "data/workshop/samples.txt").read_text().splitlines()
    assert len(lines) == 16
    for line in lines:
        picture, class_name = line.split()
        mean = np.asarray(Image.open(root / "data/workshop" / picture)).mean((0, 1))
        assert np.abs(mean - COLOURS[class_name]).max() < 15
    assert [line.split()[1] for line in lines] != sorted(line.split()[1] for line in lines)
    held_out = sorted(p.parent.name for p in (root / "held_out/all").rglob("*.png"))
    assert held_out == ["blue"] * 2 + ["red"] * 2

    job = load_job(root / "job.yaml")
    assert job.spec.train_template.env["CLASS_NAMES"] == "blue,red"
    assert job.spec.inference_template.env["INPUT_SHAPE"] == "32"
    assert job.spec.train_trigger.condition.threshold == 12
    metadata = read_weights(root / "models/initial/initial.ckpt").metadata
    assert json.loads(metadata["class_names"]) == ["blue", "red"]
    assert json.loads(metadata["width"]) == 0.25


def test_a_setting_that_no_worker_has_is_refused(tmp_path, capsys, snapshot):
    with pytest.raises(SystemExit):
        run(tmp_path / "root", "--set", "strategi=head")
    assert capsys.readouterr().err.rpartition("argument ")[2] == snapshot
    assert not (tmp_path / "root").exists()


def test_every_setting_that_a_worker_reads_can_be_set():
    scripts = [(prepare.HERE / name).read_text() for name in ("job.py", "infer.py")]
    read = {name for text in scripts for name in re.findall(r'(?:setting|mounted)\("(\w+)"', text)}
    assert read - {"BASE_MODEL_URL"} <= set(prepare._known_settings())  # that one is the runner's


def test_splits_given_by_folders(tmp_path):
    classes_folder(tmp_path, 3, "train")
    classes_folder(tmp_path, 2, "val")
    found = folders.read_pictures(tmp_path)
    assert sum(picture.held_out for picture in found) == 4
    assert all(picture.held_out == ("val" in picture.path.parts) for picture in found)


def table(folder, *rows, head="file,domain,class,split"):
    for row in rows:
        file, _, class_name, _ = row.split(",")
        if class_name.strip() in COLOURS:
            paint(folder / file, class_name.strip())
    (folder / "labels.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder


def domain_rows(domain):
    return [
        f"{domain}-{class_name}-{split}.png,{domain},{class_name},{split}"
        for class_name in COLOURS
        for split in ("train", "test")
    ]


def test_a_table_with_domains_arrives_domain_after_domain(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    table(images, *domain_rows("photo"), *domain_rows("art"), *domain_rows("sketch"))
    root = tmp_path / "root"
    options = ("--domains", "sketch,photo", "--set", "INPUT_SHAPE=32", "--set", "WIDTH=0.25")
    assert run(root, "--images", images, *options) == 0
    assert json.loads((root / "prepared.json").read_text())["domains"] == ["sketch", "photo"]
    assert len((root / "data/workshop/samples.txt").read_text().splitlines()) == 2
    assert [path.name for path in (root / "arrivals").iterdir()] == ["2-photo.txt"]
    assert sorted(path.name for path in (root / "held_out").iterdir()) == ["photo", "sketch"]


def test_a_name_with_blanks_stays_one_word_in_the_dataset(tmp_path):
    paint(tmp_path / "ladder truck" / "1 a.png", "red")
    (names,) = {picture.class_name for picture in folders._from_folders(tmp_path)}
    assert names == "ladder_truck"


HEAD = "file,domain,class,split"


@pytest.mark.parametrize(
    ("row", "head", "code", "line"),
    [
        ("gone.png,photo,green,train", HEAD, "missing-file", 2),
        ("a.png,photo,red,train", "file,domain,klass,split", "missing-key", 1),
        ("a.png,photo,red,trian", HEAD, "unknown-name", 2),
        ("a.png,photo,,train", HEAD, "missing-label", 2),
    ],
    ids=["missing file", "unknown class column", "unknown split", "no class"],
)
def test_a_faulty_table_is_refused_with_its_line(tmp_path, row, head, code, line, raises):
    paint(tmp_path / "a.png", "red")
    with raises(DatasetError, code) as raised:
        folders.read_pictures(table(tmp_path, row, head=head))
    [problem] = raised.value.problems
    assert problem.fields["path"] == tmp_path / "labels.csv"
    assert problem.fields["line"] == line


def test_one_class_cannot_be_told_apart(tmp_path, raises):
    with raises(DatasetError, "dataset") as raised:
        folders.read_pictures(table(tmp_path, "a.png,photo,red,train"))
    assert [each.code for each in raised.value.problems] == ["empty", "wrong-length"]


def test_an_empty_folder_and_a_missing_one_are_refused(tmp_path, raises):
    with raises(DatasetError, "empty", path=tmp_path):
        folders.read_pictures(tmp_path)
    with raises(DatasetError, "not-a-directory", path=tmp_path / "nowhere"):
        folders.read_pictures(tmp_path / "nowhere")


def test_an_unknown_domain_is_refused_with_the_nearest(tmp_path, raises):
    table(tmp_path, *domain_rows("photo"))
    with raises(DatasetError, "unknown-name") as raised:
        folders.read_pictures(tmp_path, ["foto"])
    assert [each.fields["name"] for each in raised.value.problems] == ["foto"]


def test_a_root_with_other_things_is_left_alone(tmp_path, capsys, snapshot):
    (tmp_path / "thesis.tex").write_text("mine")
    assert run(tmp_path, "--replace") == StorageError.exit_code
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    assert capsys.readouterr().err == snapshot


def test_the_example_job_is_valid_and_says_the_same_whatever_trains(tmp_path):
    job = load_job(prepare.HERE / "job.yaml")
    assert job.spec.deploy_trigger.condition.metric == "gate_delta[0]"
    assert not [finding for finding in job.findings if finding.severity.name == "ERROR"]
    prepare.write_job(tmp_path / "job.yaml", {}, None, "MINDSPORE")
    other = load_job(tmp_path / "job.yaml")
    templates = (other.spec.train_template, other.spec.eval_template, other.spec.inference_template)
    assert [t.env["BACKEND_TYPE"] for t in templates] == ["MINDSPORE", "ONNX", "ONNX"]
    assert (other.initial_model.format, other.deploy_model.format) == ("ckpt", "onnx")
    assert other.spec.deploy_trigger == job.spec.deploy_trigger


def test_a_root_that_is_a_file_is_left_alone(tmp_path, capsys, snapshot):
    (tmp_path / "job.yaml").write_text("mine")
    assert run(tmp_path / "job.yaml", "--replace") == StorageError.exit_code
    assert (tmp_path / "job.yaml").read_text() == "mine"
    assert capsys.readouterr().err == snapshot


@pytest.mark.parametrize("name", ["prepare.py/below", "r" * 300])
def test_a_root_that_can_be_no_directory_is_one_clear_line(tmp_path, capsys, name, raises):
    (tmp_path / "prepare.py").touch()
    assert run(tmp_path / name) == StorageError.exit_code
    [line] = capsys.readouterr().err.splitlines()
    assert len(line) < 400
    with raises(StorageError, "cannot-write", golden=False, path=tmp_path / name):
        prepare._clear(tmp_path / name, replace=False)
