import base64
import hashlib
import os
import shutil
import threading

import numpy as np
import pytest
import requests
from servables import PARTS, SIZE, WIDTH, Servables, entry, network, wait_until
from serving_http import start

from sedna_tinyms.tinyms.model import save_weights


def states(http):
    return http.get("/health").json()["servables"]


def best(http, picture, servable="parts"):
    answer = http.picture(picture, servable)
    assert answer.status_code == 200, answer.text
    return answer.json()["instance"]["predictions"][0]["label"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    servables = Servables(tmp_path_factory.mktemp("watched"))
    servables.add("parts", seed=0)
    with start(servables) as http:
        yield http, servables


@pytest.fixture
def watched(running):
    """Return a server whose files the test may change, `parts` saying bolt, and its directory."""
    http, servables = running
    servables.entries = servables.entries[:1]
    servables.entries[0] = entry("parts")
    servables.save("parts", seed=0)
    servables.write()
    version = hashlib.sha256(servables.checkpoint("parts").read_bytes()).hexdigest()[:12]

    def is_reset():
        health = http.get("/health").json()
        states = health["servables"]
        return (
            list(states) == ["parts"]
            and (states["parts"]["version"], states["parts"]["reason"]) == (version, None)
            and health["reason"] is None
        )

    wait_until(is_reset)
    return running


def test_a_new_checkpoint_takes_over_without_a_lost_request(watched, picture):
    http, servables = watched
    seen, failed, done = [], [], threading.Event()

    def ask():
        with requests.Session() as session:
            session.trust_env = False
            while not done.is_set():
                answer = session.post(f"{http.url}/predict", json=body, timeout=60)
                if answer.status_code == 200:
                    instance = answer.json()["instance"]
                    seen.append((instance["version"], instance["predictions"][0]["label"]))
                else:
                    failed.append(answer.text)

    data = base64.b64encode(picture.read_bytes()).decode()
    body = {"data": data, "servable_name": "parts", "strategy": "TOP1_CLASS"}
    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    wait_until(lambda: seen)
    versions = [states(http)["parts"]["version"]]
    for seed in (1, 2, 3):
        servables.save("parts", seed)
        versions.append(
            wait_until(lambda: {states(http)["parts"]["version"]} - set(versions)).pop()
        )
        wait_until(lambda: seen[-1][0] == versions[-1])
    done.set()
    for client in clients:
        client.join()
    assert failed == []
    # Each answer is wholly of one version.
    assert set(seen) == set(zip(versions, PARTS, strict=True))


def test_another_width_and_other_classes_take_over_too(watched, picture):
    http, servables = watched
    servables.save("parts", 1, ("cat", "dog"), width=0.15, size=48)
    servables.entries[0]["model"]["class_num"] = 2
    servables.write()
    wait_until(lambda: http.get("/v2/models/parts").json()["outputs"][0]["shape"] == [-1, 2])
    assert http.get("/v2/models/parts").json()["inputs"][0]["shape"] == [-1, 3, 48, 48]
    assert best(http, picture) == "dog"


def infinite_logits(servables):
    built = network()
    for parameter in built.get_parameters():
        if parameter.name == "head.head.1.bias":
            parameter.set_data(parameter + 3e38)
        if parameter.name == "head.head.1.weight":
            parameter.set_data(parameter * 0 + 3e38)
    card = {"input_size": str(SIZE), "width": str(WIDTH)}
    save_weights(built, servables.checkpoint("parts"), card)


def truncated(servables):
    content = servables.checkpoint("parts").read_bytes()
    servables.checkpoint("parts").write_bytes(content[: len(content) // 2])


BAD_CHECKPOINTS = {
    "empty": (lambda s: s.checkpoint("parts").write_bytes(b""), "empty"),
    "truncated": (truncated, "truncated"),
    "text": (lambda s: s.checkpoint("parts").write_text("weights"), "weights file"),
    "missing": (lambda s: s.checkpoint("parts").unlink(), "cannot be read"),
    "a directory": (
        lambda s: (s.checkpoint("parts").unlink(), s.checkpoint("parts").mkdir()),
        "cannot be read",
    ),
    "a pipe": (
        lambda s: (s.checkpoint("parts").unlink(), os.mkfifo(s.checkpoint("parts"))),
        "no ordinary file",
    ),
    "a device without end": (
        lambda s: (s.checkpoint("parts").unlink(), s.checkpoint("parts").symlink_to("/dev/zero")),
        "no ordinary file",
    ),
    "of another width": (lambda s: relabel(s) or s.save("parts", width=0.2), "another network"),
    "of other classes": (lambda s: s.save("parts", classes=("a", "b")), "2 classes"),
    "with outputs that are NaN": (infinite_logits, "NaN"),
}


def relabel(servables):
    """Let the checkpoint be read as one of the width before."""
    servables.entries[0]["model"]["width_mult"] = WIDTH
    servables.write()


@pytest.mark.parametrize(("spoil", "word"), BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_a_bad_checkpoint_leaves_the_old_one_in_service(watched, picture, spoil, word):
    http, servables = watched
    version = states(http)["parts"]["version"]
    spoil(servables)
    state = wait_until(lambda: (s := states(http)["parts"])["reason"] and s)
    assert word in state["reason"]
    assert str(servables.directory.parent) not in state["reason"]
    assert "/tmp" not in state["reason"]
    assert state["version"] == version
    assert best(http, picture) == "bolt"
    assert http.get("/v2/health/ready").status_code == 200
    metrics = http.get("/metrics").text
    assert 'tinyms_servable_current{servable="parts"} 0.0' in metrics
    assert word in http.server.log.read_text()

    if servables.checkpoint("parts").is_dir():
        servables.checkpoint("parts").rmdir()
    servables.save("parts", seed=2)  # and a good one is taken again
    wait_until(lambda: not states(http)["parts"]["reason"])
    assert best(http, picture) == "nut"


@pytest.mark.parametrize(
    "text",
    ["{", '{"name": "parts"}', '[{"name": "../parts"}]', '[{"name": "a"}, {"name": "a"}]', "[5]"],
)
def test_a_bad_catalogue_leaves_everything_in_service(watched, picture, text):
    http, servables = watched
    (servables.directory / "servable.json").write_text(text)
    reason = wait_until(lambda: http.get("/health").json()["reason"])
    assert "servable.json" in reason
    assert str(servables.directory) not in reason
    assert http.get("/v2/health/ready").status_code == 503
    assert best(http, picture) == "bolt"
    servables.write()
    wait_until(lambda: http.get("/v2/health/ready").status_code == 200)


def test_servables_come_and_go_with_the_catalogue(watched, picture):
    http, servables = watched
    servables.add("fruit_imagefolder", 1, ("apple", "pear"))
    wait_until(lambda: http.get("/v2/models/fruit_imagefolder/ready").status_code == 200)
    assert best(http, picture, "fruit_imagefolder") == "pear"
    assert best(http, picture) == "bolt"
    del servables.entries[0]
    servables.write()
    wait_until(lambda: http.picture(picture).status_code == 404)
    assert best(http, picture, "fruit_imagefolder") == "pear"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": 5}, "object"),
        ({"model": {"name": "mobilenet"}}, "did you mean 'mobilenetv2'"),
        ({"model": {"name": "cycle_gan", "format": "ckpt"}}, "unknown model"),
        ({"model": {"name": "mobilenetv2", "format": ""}}, "'ckpt'"),
        ({"model": {"name": "mobilenetv2", "format": "kp"}}, "'ckpt'"),
        ({"model": {"name": "mobilenetv2", "class_num": "4"}}, "class_num"),
        ({"model": {"name": "mobilenetv2", "class_num": True}}, "class_num"),
        ({"model": {"name": "mobilenetv2", "input_size": 10**6}}, "input_size"),
        ({"model": {"name": "mobilenetv2", "width_mul": 1}}, "did you mean 'width_mult'"),
        ({"model": {"name": "mobilenetv2", "width_mult": "wide"}}, "width_mult"),
        ({"model": {"name": "mobilenetv2", "class_num": 7}}, "4 classes"),
        ({"dataset": "mnis"}, "did you mean 'mnist'"),
        ({"labels": "bolt"}, "labels"),
        ({"lables": []}, "did you mean 'labels'"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong_and_spoils_no_other(watched, picture, change, words):
    http, servables = watched
    shutil.copytree(
        servables.directory / "parts", servables.directory / "wrong", dirs_exist_ok=True
    )
    servables.entries[1:] = [servables.entries[0] | change | {"name": "wrong"}]
    servables.write()
    state = wait_until(lambda: words in str(s := states(http).get("wrong")) and s)
    assert state["ready"] is False
    assert best(http, picture) == "bolt"
    answer = http.picture(picture, "wrong")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert words in answer.json()["err_msg"]
    [_, listed] = http.get("/servables").json()["servables"]
    assert (listed["name"], listed["ready"]) == ("wrong", False)


def test_labels_of_the_catalogue_go_before_the_checkpoints(watched, picture):
    http, servables = watched
    servables.entries[0]["labels"] = ["Schraube", "<b>Mutter</b>"]
    servables.write()
    wait_until(lambda: best(http, picture) == "Schraube")
    labels = [p["label"] for p in http.picture(picture).json()["instance"]["predictions"]]
    assert sorted(labels) == ["<b>Mutter</b>", "Schraube", "class 2", "class 3"]


def test_nothing_to_serve_yet_is_said_and_looked_for_again(served, own_servables, picture):
    (own_servables.directory / "servable.json").unlink()
    http = served(own_servables)
    assert http.get("/servables").json() == {"status": 0, "servables": []}
    assert "servable.json" in http.get("/health").json()["reason"]
    assert http.get("/v2/health/ready").status_code == 503
    assert http.get("/v2/health/live").status_code == 200
    own_servables.add("parts", seed=3)
    wait_until(lambda: http.get("/v2/health/ready").status_code == 200)
    assert best(http, picture) == "screw"


def test_waiting_predictions_share_a_batch(watched):
    http, _ = watched
    batch = np.zeros((3, SIZE, SIZE), np.float32)
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, *batch.shape]}
    body = {"inputs": [tensor | {"data": batch.ravel().tolist()}]}

    def batches():
        lines = http.get("/metrics").text.splitlines()
        wanted = 'tinyms_batch_pictures_{}{{servable="parts"}} '
        values = {}
        for kind in ("sum", "count"):
            start = wanted.format(kind)
            values[kind] = sum(float(x[len(start) :]) for x in lines if x.startswith(start))
        return values

    def burst():
        def ask():
            answer = requests.post(f"{http.url}/v2/models/parts/infer", json=body, timeout=60)
            answers.append(answer.status_code)

        answers = []
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [200] * 8
        counted = batches()
        return counted["sum"] > counted["count"]

    wait_until(burst)
