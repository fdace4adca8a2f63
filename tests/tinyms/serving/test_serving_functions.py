import base64
import os
import signal
import socket
import subprocess
import sys

import pytest
import requests
from servables import Servables
from serving_http import free_port, start

from sedna_tinyms.errors import (
    ConfigurationError,
    DatasetError,
    EndpointError,
    MissingExtraError,
)
from sedna_tinyms.tinyms import serving
from sedna_tinyms.tinyms.serving import Client, Server
from sedna_tinyms.tinyms.vision import as_rgb, imagefolder_transform


def test_the_first_generations_program(parts, picture, tmp_path, monkeypatch, raises):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYMS_SERVING_PATH", str(parts.directory))
    before = set(tmp_path.iterdir())
    port = free_port()
    assert serving.shutdown() == "No server detected"
    serving.start_server("127.0.0.1", port)
    try:
        serving.start_server("127.0.0.1", port)  # a second time changes nothing
        assert serving.server_started() is True
        [servable] = serving.list_servables()
        assert servable["name"] == "parts"
        with raises(ConfigurationError, "wrong-shape", status=400):  # it takes grey 32 x 32
            serving.predict(picture, "parts", "imagenet2012")
    finally:
        assert serving.shutdown() == "Server shutting down..."
    assert serving.server_started("127.0.0.1", port) is False
    assert serving.shutdown() == "No server detected"
    assert set(tmp_path.iterdir()) == before


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a client of a server of `photos`, which takes 224 x 224, and the small `parts`."""
    servables = Servables(tmp_path_factory.mktemp("photos"))
    servables.add("photos", seed=2, input_size=224)
    servables.add_small("parts")
    with start(servables) as http:
        client = Client(port=http.server.port)
        client.servables = servables
        yield client


@pytest.mark.parametrize(("name", "label"), [("parts", "gear"), ("photos", "nut")])
def test_by_default_a_picture_is_transformed_and_named_as_the_servable_says(
    photos, http, picture, name, label
):
    client = photos if name == "photos" else Client(port=http.server.port)
    words = client.predict(picture, name)
    sent = base64.b64encode(picture.read_bytes()).decode()
    body = {"data": sent, "servable_name": name}
    answer = requests.post(f"http://127.0.0.1:{client.port}/predict", json=body, timeout=60)
    assert words == answer.json()["instance"]["res_msg"]
    assert words.startswith(f"TOP1: {label}, score: ")  # the checkpoint's own class


def test_a_file_that_is_no_picture_is_refused(photos, tmp_path, raises):
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    with raises(ConfigurationError, "unknown-format", status=400):
        photos.predict(path, "photos")
    missing = tmp_path / "missing.png"
    with raises(DatasetError, "missing-file", path=missing):
        photos.predict(missing, "photos")


def test_a_client_transforms_and_words_what_it_predicts(photos, picture):
    words = photos.predict(picture, "photos", dataset_name="imagenet2012")
    output = photos.servables.outputs("photos", imagefolder_transform(as_rgb(picture))[None])
    assert words[:-2] == imagefolder_transform.postprocess(output)[:-2]  # but for rounding
    assert words.startswith("TOP1: Boletus")  # TinyMS's own labels for photos
    assert photos.predict(str(picture), "photos", "imagefolder", "TOP3_CLASS").count("\t") == 3


@pytest.mark.parametrize(
    ("changes", "error", "code", "fields"),
    [
        ({"img_path": "missing.png"}, DatasetError, "missing-file", {"path": "missing.png"}),
        (
            {"dataset_name": "imagefolde"},
            ConfigurationError,
            "unknown-name",
            {"name": "dataset", "value": "imagefolde"},
        ),
        (
            {"strategy": "TOP2_CLASS"},
            ConfigurationError,
            "unknown-name",
            {"name": "strategy", "value": "TOP2_CLASS"},
        ),
        # There are four classes.
        ({"strategy": "TOP5_CLASS"}, ConfigurationError, "unknown-name", {"status": 400}),
        ({"servable_name": "photo"}, ConfigurationError, "unknown-name", {"status": 404}),
        ({"servable_name": "parts"}, ConfigurationError, "wrong-shape", {"status": 400}),
    ],
)
def test_what_goes_wrong_is_raised(photos, picture, changes, error, code, fields, raises):
    arguments = {"img_path": picture, "servable_name": "photos", "dataset_name": "imagefolder"}
    with raises(error, code, **fields):
        photos.predict(**arguments | changes)


def test_no_server_is_raised(raises):
    port = free_port()
    with raises(EndpointError, "unreachable", url=f"http://127.0.0.1:{port}"):
        Client(port=port).list_servables()


def test_something_else_on_the_port_is_left_alone(tmp_path, raises):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(10)
        port = other.getsockname()[1]
        from threading import Thread

        def answer():
            for _ in range(2):
                connection, _ = other.accept()
                with connection:
                    connection.sendall(b"220 mail.example\r\n")

        thread = Thread(target=answer)
        thread.start()
        server = Server(port=port, serving_path=tmp_path)
        with raises(EndpointError, "foreign-server", port=port):
            server.start_server()
        assert server.shutdown() is False
        thread.join()


def test_a_server_that_runs_already_is_used_and_not_ended(http, parts):
    second = Server(port=http.server.port, serving_path=parts.directory)
    second.start_server()
    assert second.started is False
    assert second.shutdown() is False
    assert http.server.started is True


def test_a_server_that_cannot_start_says_why(tmp_path, raises):
    server = Server(port=0, serving_path=tmp_path)
    # The message ends with its log, which ends with argparse's words.
    with raises(EndpointError, "cannot-start", golden=False) as raised:
        server.start_server("--nonsense")
    assert raised.value.fields["log"] == server.log
    assert "--nonsense" in str(raised.value)
    assert server.started is False


def test_a_server_too_slow_to_start_is_ended(tmp_path, raises):
    server = Server(port=0, serving_path=tmp_path)
    with raises(EndpointError, "timeout", golden=False):
        server.start_server(timeout=0.01)
    assert server.started is False


def test_sigterm_ends_a_server_in_order(served, parts):
    http = served(parts)
    process = http.server._process
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Traceback" not in http.server.log.read_text()


def test_the_server_outlives_the_program_that_started_it(parts):
    script = (
        "from sedna_tinyms.tinyms.serving import Server\n"
        f"server = Server(port=0, serving_path={str(parts.directory)!r})\n"
        "server.start_server()\n"
        "print(server.port, server._process.pid)\n"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    port, pid = map(int, output.split())
    try:
        assert [s["name"] for s in Client(port=port).list_servables()] == ["parts"]
    finally:
        os.kill(pid, signal.SIGTERM)


def test_importing_serving_brings_no_web_framework():
    script = (
        "import sys, sedna_tinyms.tinyms.serving\n"
        "heavy = {'flask', 'werkzeug', 'waitress', 'prometheus_client', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert output == b"[]\n"


def test_importing_the_core_brings_no_serving():
    script = "import sys, sedna_tinyms.tinyms\nprint('sedna_tinyms.tinyms.serving' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert output == b"False\n"


def test_a_missing_extra_is_named(tmp_path):
    (tmp_path / "flask.py").write_text("raise ModuleNotFoundError('none', name='flask')\n")
    command = [sys.executable, "-m", "sedna_tinyms.tinyms.serving", "--port", "0"]
    result = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "TINYMS_SERVING_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == MissingExtraError.exit_code
    assert "pip install 'sedna-tinyms[serving]'" in result.stderr
