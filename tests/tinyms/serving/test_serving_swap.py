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


def infinite_logits(servables):
    built = network()
    for parameter in built.get_parameters():
        if parameter.name == "head.head.1.bias":
            parameter.set_data(parameter + 3e38)
        if parameter.name == "head.head.1.weight":
            parameter.set_data(parameter * 0 + 3e38)
    card = {"input_size": str(SIZE), "width": str(WIDTH), "pad_mode": '"pad"'}
    save_weights(built, servables.checkpoint("parts"), card)


def truncated(servables):
    content = servables.checkpoint("parts").read_bytes()
    servables.checkpoint("parts").write_bytes(content[: len(content) // 2])


BAD_CHECKPOINTS = {
    "empty": (lambda s: s.checkpoint("parts").write_bytes(b""), "empty"),
    "truncated": (truncated, "damaged"),
    "text": (lambda s: s.checkpoint("parts").write_text("weights"), "damaged"),
    "missing": (lambda s: s.checkpoint("parts").unlink(), "missing-file"),
    "a directory": (
        lambda s: (s.checkpoint("parts").unlink(), s.checkpoint("parts").mkdir()),
        "not-a-file",
    ),
    "a pipe": (
        lambda s: (s.checkpoint("parts").unlink(), os.mkfifo(s.checkpoint("parts"))),
        "not-regular-file",
    ),
    "a device without end": (
        lambda s: (s.checkpoint("parts").unlink(), s.checkpoint("parts").symlink_to("/dev/zero")),
        "not-regular-file",
    ),
    "of another width": (lambda s: relabel(s) or s.save("parts", width=0.2), "foreign-model"),
    "of other classes": (lambda s: s.save("parts", classes=("a", "b")), "class-mismatch"),
    "with outputs that are NaN": (infinite_logits, "not-finite"),
}


def relabel(servables):
    """Let the checkpoint be read as one of the width before."""
    servables.entries[0]["model"]["width_mult"] = WIDTH
    servables.write()


@pytest.mark.parametrize(("spoil", "code"), BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_a_bad_checkpoint_leaves_the_old_one_in_service(watched, picture, spoil, code):
    http, servables = watched
    version = states(http)["parts"]["version"]
    spoil(servables)
    state = wait_until(lambda: (s := states(http)["parts"])["reason"] and s)
    assert state["code"] == code, state["reason"]
    assert str(servables.directory.parent) not in state["reason"]
    assert "/tmp" not in state["reason"]
    assert state["version"] == version
    assert best(http, picture) == "bolt"
    assert http.get("/v2/health/ready").status_code == 200
    metrics = http.get("/metrics").text
    assert 'tinyms_servable_current{servable="parts"} 0.0' in metrics
    assert state["reason"][:40] in http.server.log.read_text()

    if servables.checkpoint("parts").is_dir():
        servables.checkpoint("parts").rmdir()
    servables.save("parts", seed=2)  # and a good one is taken again
    wait_until(lambda: not states(http)["parts"]["reason"])
    assert best(http, picture) == "nut"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "not-json"),
        ('{"name": "parts"}', "wrong-type"),
        ('[{"name": "../parts"}]', "invalid-value"),
        ('[{"name": "a"}, {"name": "a"}]', "duplicate"),
        ("[5]", "invalid-value"),
    ],
)
def test_a_bad_catalogue_leaves_everything_in_service(watched, picture, text, code):
    http, servables = watched
    (servables.directory / "servable.json").write_text(text)
    health = wait_until(lambda: (h := http.get("/health").json())["reason"] and h)
    assert health["code"] == code
    reason = health["reason"]
    assert "servable.json" in reason
    assert str(servables.directory) not in reason
    assert http.get("/v2/health/ready").status_code == 503
    assert best(http, picture) == "bolt"
    servables.write()
    wait_until(lambda: http.get("/v2/health/ready").status_code == 200)


def test_servables_come_and_go_with_the_catalogue(watched, picture):
    http, servables = watched
    servables.add_small("fruit", 1, ("apple", "pear"))
    wait_until(lambda: http.get("/v2/models/fruit/ready").status_code == 200)
    assert best(http, picture, "fruit") == "pear"
    assert best(http, picture) == "bolt"
    del servables.entries[1]
    servables.write()
    wait_until(lambda: http.picture(picture, "fruit").status_code == 404)
    assert best(http, picture) == "bolt"


WRONG_ENTRIES = {
    "number": ({"model": 5}, "wrong-type"),
    "misspelt": ({"model": {"name": "mobilenet"}}, "unknown-name"),
    "unknown": ({"model": {"name": "cycle_gan", "format": "ckpt"}}, "unknown-name"),
    "no_format": ({"model": {"name": "mobilenetv2", "format": ""}}, "unknown-format"),
    "other_format": ({"model": {"name": "mobilenetv2", "format": "kp"}}, "unknown-format"),
    "text": ({"model": {"name": "mobilenetv2", "class_num": "4"}}, "out-of-range"),
    "truth": ({"model": {"name": "mobilenetv2", "class_num": True}}, "out-of-range"),
    "large": ({"model": {"name": "mobilenetv2", "input_size": 10**6}}, "out-of-range"),
    "option": ({"model": {"name": "mobilenetv2", "width_mul": 1}}, "unknown-key"),
    "wide": ({"model": {"name": "mobilenetv2", "width_mult": "wide"}}, "out-of-range"),
    "seven": ({"model": {"name": "mobilenetv2", "class_num": 7}}, "class-mismatch"),
    "dataset": ({"dataset": "mnis"}, "unknown-name"),
    "labels": ({"labels": "bolt"}, "wrong-type"),
    "key": ({"lables": []}, "unknown-key"),
}


def test_wrong_entries_say_what_is_wrong_and_spoil_no_other(watched, picture, snapshot):
    http, servables = watched
    for name, (change, _) in WRONG_ENTRIES.items():
        shutil.copytree(servables.directory / "parts", servables.directory / name)
        servables.entries.append(servables.entries[0] | change | {"name": name})
    servables.write()

    def said():
        found = {name: state for name, state in states(http).items() if name != "parts"}
        return len(found) == len(WRONG_ENTRIES) and found

    found = wait_until(
        lambda: (f := said()) and "loading" not in {state["code"] for state in f.values()} and f
    )
    codes = {name: code for name, (_, code) in WRONG_ENTRIES.items()}
    assert {name: state["code"] for name, state in found.items()} == codes
    reasons = {name: state["reason"] for name, state in found.items()}
    assert "\n".join(f"{name}: {reason}" for name, reason in reasons.items()) == snapshot
    assert best(http, picture) == "bolt"
    assert http.get("/v2/health/ready").status_code == 503
    ready = {each["name"]: each["ready"] for each in http.get("/servables").json()["servables"]}
    assert ready == {"parts": True} | dict.fromkeys(WRONG_ENTRIES, False)
    for name, reason in reasons.items():
        answer = http.picture(picture, name)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["code"] == "not-in-service"
        assert reason in answer.json()["err_msg"]


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
    assert http.get("/health").json()["code"] == "missing-file"
    assert http.get("/v2/health/ready").status_code == 503
    assert http.get("/v2/health/live").status_code == 200
    own_servables.add_small("parts", seed=3)
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


def test_another_width_and_other_classes_take_over_too(watched, picture):
    http, servables = watched
    servables.save("parts", 1, ("cat", "dog"), width=0.15, size=48)
    servables.entries[0]["model"]["class_num"] = 2
    servables.write()
    wait_until(lambda: http.get("/v2/models/parts").json()["outputs"][0]["shape"] == [-1, 2])
    assert http.get("/v2/models/parts").json()["inputs"][0]["shape"] == [-1, 3, 48, 48]
    assert best(http, picture) == "dog"
