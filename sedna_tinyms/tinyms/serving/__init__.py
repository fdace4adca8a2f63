"""Serves networks over HTTP: a server in a process of its own, and clients for it.

Two generations of TinyMS's interface stand side by side. The functions::

    start_server()
    predict("picture.png", "lenet5_mnist")
    shutdown()

and the classes::

    server = Server(serving_path="servables")
    server.start_server()
    Client().predict("picture.png", "lenet5_mnist")
    server.shutdown()

``python -m sedna_tinyms.tinyms.serving --help`` runs the server itself. Importing this module
brings no web framework: only the server's process does.
"""

from sedna_tinyms.tinyms.serving.client import Client
from sedna_tinyms.tinyms.serving.functions import (
    list_servables,
    predict,
    server_started,
    shutdown,
    start_server,
)
from sedna_tinyms.tinyms.serving.server import Server

__all__ = [
    "Client",
    "Server",
    "list_servables",
    "predict",
    "server_started",
    "shutdown",
    "start_server",
]
