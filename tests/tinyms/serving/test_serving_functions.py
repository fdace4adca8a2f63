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

from sedna_tinyms.errors import ConfigurationError, DatasetError, EndpointError
from sedna_tinyms.tinyms import serving
from sedna_tinyms.tinyms.serving import Client, Server
from sedna_tinyms.tinyms.vision import as_rgb, imagefolder_transform


def test_the_first_generations_program(parts, picture, tmp_path, monkeypatch):
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
        with pytest.raises(ConfigurationError, match="shape"):  # it takes 32 x 32, not 224 x 224
            serving.predict(picture, "parts", "imagenet2012")
    finally:
        assert serving.shutdown() == "Server shutting down..."
    assert serving.server_started("127.0.0.1", port) is False
    assert serving.shutdown() == "No server detected"
    assert set(tmp_path.iterdir()) == before


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a client of a server of `photos`, for pictures of 224 x 224, and `small`, for 32."""
    servables = Servables(tmp_path_factory.mktemp("photos"))
    servables.add("photos", seed=2, input_size=224)
    servables.add("small", seed=2)
    with start(servables) as http:
        client = Client(port=http.server.port)
        client.servables = servables
        yield client


@pytest.mark.parametrize("name", ["small", "photos"])
def test_by_default_a_picture_is_transformed_and_named_as_the_servable_says(photos, picture, name):
    words = photos.predict(picture, name)
    sent = base64.b64encode(picture.read_bytes()).decode()
    body = {"data": sent, "servable_name": name}
    answer = requests.post(f"http://127.0.0.1:{photos.port}/predict", json=body, timeout=60)
    assert words == answer.json()["instance"]["res_msg"]
    assert words.startswith("TOP1: nut, score: ")  # the checkpoint's own class


def test_a_file_that_is_no_picture_is_refused(photos, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no picture")
    with pytest.raises(ConfigurationError, match="no picture"):
        photos.predict(path, "photos")
    with pytest.raises(DatasetError, match=r"missing\.png cannot be read"):
        photos.predict(tmp_path / "missing.png", "photos")


def test_a_client_transforms_and_words_what_it_predicts(photos, picture):
    words = photos.predict(picture, "photos", dataset_name="imagenet2012")
    output = photos.servables.outputs("photos", imagefolder_transform(as_rgb(picture))[None])
    assert words[:-2] == imagefolder_transform.postprocess(output)[:-2]  # but for rounding
    assert words.startswith("TOP1: Boletus")  # TinyMS's own labels for photos
    assert photos.predict(str(picture), "photos", "imagefolder", "TOP3_CLASS").count("\t") == 3


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"img_path": "missing.png"}, DatasetError, "missing.png"),
        ({"dataset_name": "imagefolde"}, ConfigurationError, "did you mean 'imagefolder'"),
        ({"strategy": "TOP2_CLASS"}, ConfigurationError, "did you mean"),
        ({"strategy": "TOP5_CLASS"}, ConfigurationError, "TOP3_CLASS"),  # there are four classes
        ({"servable_name": "photo"}, ConfigurationError, "did you mean 'photos'"),
        ({"servable_name": "small"}, ConfigurationError, "shape"),
    ],
)
def test_what_goes_wrong_is_raised(photos, picture, changes, error, words):
    arguments = {"img_path": picture, "servable_name": "photos", "dataset_name": "imagefolder"}
    with pytest.raises(error, match=words):
        photos.predict(**arguments | changes)


def test_no_server_is_raised():
    with pytest.raises(EndpointError, match="no server answers"):
        Client(port=free_port()).list_servables()


def test_something_else_on_the_port_is_left_alone(tmp_path):
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
        with pytest.raises(EndpointError, match="no TinyMS server"):
            server.start_server()
        assert server.shutdown() is False
        thread.join()


def test_a_server_that_runs_already_is_used_and_not_ended(http, parts):
    second = Server(port=http.server.port, serving_path=parts.directory)
    second.start_server()
    assert second.started is False
    assert second.shutdown() is False
    assert http.server.started is True


def test_a_server_that_cannot_start_says_why(tmp_path):
    server = Server(port=0, serving_path=tmp_path)
    with pytest.raises(EndpointError, match="--nonsense"):
        server.start_server("--nonsense")
    assert server.started is False


def test_a_server_too_slow_to_start_is_ended(parts):
    server = Server(port=0, serving_path=parts.directory)
    with pytest.raises(EndpointError, match=r"0\.01 seconds"):
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
    assert result.returncode == 8
    assert "pip install 'sedna-tinyms[serving]'" in result.stderr
