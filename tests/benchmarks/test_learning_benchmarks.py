"""The benchmarks of learning and of the edge, whole, on a tiny network and a few drawn pictures."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scale import draw_pictures

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a directory of two domains, and the file of a network that knows nothing."""
    directory = tmp_path_factory.mktemp("world")
    listed = ["file,domain,class,split"]
    (directory / "data").mkdir()
    for number, domain in enumerate(("day", "night")):
        drawn = draw_pictures(directory / "data" / domain, 40, number)
        for place, (path, label) in enumerate(drawn):
            if label in ("class-0", "class-3", "class-6"):
                listed.append(f"{path},{domain},{label},{'test' if place >= 30 else 'train'}")
    (directory / "data" / "labels.csv").write_text("\n".join(listed))
    weights = directory / "weights.ckpt"
    code = """if True:
        import sys
        from sedna_tinyms.tinyms.model import mobilenetv2, save_weights
        save_weights(mobilenetv2(1000, width_mult=0.35), sys.argv[1])
    """
    subprocess.run([sys.executable, "-c", code, weights], check=True)
    return directory / "data", weights


def bench(name, world, tmp_path, *arguments):
    data, weights = world
    given = ["--data", data, "--weights", weights, "--size", "32", "--width", "0.35"]
    out = tmp_path / "out.json"
    command = [sys.executable, BENCHMARKS / f"{name}.py", *given, "--repeat", "1", *arguments]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--json", out], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()) | {"elapsed": time.monotonic() - began}


@pytest.mark.slow
def test_update_measures_a_round_against_its_floor(world, tmp_path):
    report = bench("update", world, tmp_path, "--rows", "head,floor,full-pytorch", "--images", "9")
    assert (report["domain"], report["train_images"], report["classes"]) == ("day", 9, 3)
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["head"]["ratio_to_floor"] == rows["head"]["seconds"] / rows["floor"]["seconds"]
    assert rows["floor"]["ratio_to_floor"] == 1
    for row in (rows["head"], rows["floor"]):
        assert row["processor_seconds"] <= 1.1 * row["seconds"] * os.cpu_count() + 0.1
    assert rows["head"]["seconds"] + rows["floor"]["seconds"] < report["elapsed"]
    parts = rows["head"]["seconds_forward"] + rows["head"]["seconds_training"]
    assert parts <= rows["head"]["seconds"]
    assert 0 <= rows["head"]["accuracy"] <= 1
    assert rows["head"]["peak_memory_mb"] > rows["floor"]["peak_memory_mb"] > 50
    left_out = [row["name"] for row in report["left_out"]]
    assert ("full-pytorch" in rows) != (left_out == ["full-pytorch"])


@pytest.mark.slow
def test_edge_measures_each_engine_and_batch(world, tmp_path):
    rows = "onnxruntime,onnxruntime-alone"
    options = ("--batch-sizes", "1,3", "--seconds", "0.1")
    report = bench("edge", world, tmp_path, "--rows", rows, *options)
    found = {(row["name"], row["batch_size"]): row for row in report["rows"]}
    assert list(found) == [(name, batch) for name in rows.split(",") for batch in (1, 3)]
    ours, alone = found["onnxruntime", 3], found["onnxruntime-alone", 3]
    assert ours["accuracy"] == alone["accuracy"]
    assert ours["install_mb"] > alone["install_mb"] > 20
    for (_, batch), row in found.items():
        # A tenth of a second or ten batches were measured, and the first answer before them.
        assert row["ms_per_image"] <= row["ms_per_image_median"]
        seconds = 10 * batch * row["ms_per_image"] / 1000 + row["first_answer_seconds"]
        assert seconds < report["elapsed"]
        assert row["resident_mb"] > 20


@pytest.mark.slow
def test_a_stream_is_learnt_round_after_round(world, tmp_path):
    rows = "latent-20,joint,classes-head"
    options = ("--rows", rows, "--seeds", "0", "--epochs", "1")
    report = bench("stream", world, tmp_path, *options)
    found = {row["name"]: row for row in report["rows"]}
    assert report["domains"] == ["day", "night"]
    matrix = found["latent-20"]["accuracy_matrix"]
    assert [len(line) for line in matrix] == [2, 2]
    assert found["latent-20"]["mean_accuracy"] == pytest.approx(sum(matrix[-1]) / 2)
    assert found["latent-20"]["bytes_kept"] > 0
    assert found["latent-20"]["mean_accuracy_std"] is None  # of one seed
    assert len(found["joint"]["accuracy_matrix"]) == 1
    assert found["joint"]["forgetting"] is None
    groups = found["classes-head"]["accuracy_matrix"]
    assert groups[0][1:] == [None]  # two classes, then the third
    assert None not in groups[1]


@pytest.mark.slow
def test_scale_begins_each_round_from_the_last(world, tmp_path):
    options = ("--images", "20", "--most", "40", "--strategy", "head")
    report = bench("scale", world, tmp_path, *options)
    assert [row["name"] for row in report["rows"]] == ["0", "20", "40"]
    assert [row["replayed"] for row in report["rows"]] == [0, 20, 40]
    assert report["twentieth_to_second"] is None


def test_installed_files_are_counted_with_all_that_is_required():
    code = f"""if True:
        import sys
        sys.path.append({str(BENCHMARKS)!r})
        import json, requests
        from installed import distributions_in_use, install_mb
        print(json.dumps([distributions_in_use(), distributions_in_use(["requests"]),
                          install_mb(), install_mb(["requests"])]))
    """
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    all_names, others, all_mb, other_mb = json.loads(said.stdout)
    assert {"requests", "urllib3", "certifi"} <= set(all_names)
    assert "requests" not in others
    assert all_mb > other_mb > 0
