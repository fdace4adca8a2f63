"""A server in a process of its own, and requests to it."""

import base64
import socket
from contextlib import contextmanager

import requests

from sedna_tinyms.tinyms.serving import Server

QUICK = ("--poll-seconds", "0.02")


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Http:
    """Talks to one server."""

    def __init__(self, server):
        self.server = server
        self.url = f"http://127.0.0.1:{server.port}"
        self.session = requests.Session()
        self.session.trust_env = False

    def get(self, path, **options):
        return self.session.get(self.url + path, timeout=60, **options)

    def post(self, path, body, **options):
        content = {"data": body} if isinstance(body, bytes | str) else {"json": body}
        return self.session.post(self.url + path, timeout=60, **content, **options)

    def picture(self, file, servable="parts", strategy="TOP1_CLASS"):
        content = file if isinstance(file, bytes) else file.read_bytes()
        data = base64.b64encode(content).decode()
        body = {"data": data, "servable_name": servable, "strategy": strategy}
        return self.post("/predict", body)


@contextmanager
def start(servables, *options, **keywords):
    """Yield an `Http` to a new server."""
    server = Server(port=0, serving_path=servables.directory, **keywords)
    server.start_server(*QUICK, *options)
    http = Http(server)
    try:
        yield http
    finally:
        http.session.close()
        server.shutdown()
        server.log.unlink()
