"""Throughput and latency of the server, against a network that is rebuilt for every request.

The peer does what TinyMS's server does: one process that, for each request, builds the network,
reads the checkpoint, predicts, and forgets both. Its requests wait for each other, because
MindSpore runs one network at a time. Everything else (web server, routes, JSON) is shared, so that
the difference is the networks' keeping alone; ``--batch-limit 1`` shows what batching adds.

    python benchmarks/serving_load.py --seconds 10 --json serving.json

Clients are processes, each with one connection, asking again as soon as they are answered.
"""

from __future__ import annotations

import argparse
import base64
import io
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import requests
from PIL import Image

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.onednn import limit_instruction_set
from sedna_tinyms.tinyms.serving import Server

CLIENTS = (1, 8, 32)
SERVABLES = {"small": (0.35, 96), "full": (1.0, 224)}
"""Width and input size of the MobileNetV2 in each servable."""

CLASSES = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--clients", type=int, nargs="+", default=CLIENTS)
    parser.add_argument("--servables", nargs="+", choices=SERVABLES, default=list(SERVABLES))
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    limit_instruction_set()
    rows = []
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        prepare(Path(directory), options.servables)
        ports = {name: stack.enter_context(serve(Path(directory))) for name, serve in SERVERS}
        for servable in options.servables:
            for port in ports.values():
                ask(port, servable, picture())  # the first request is nobody's measure
            for clients in options.clients:
                for name, port in ports.items():  # in turn, so that all see the same machine
                    row = measure(port, servable, clients, options.seconds)
                    rows.append({"name": name, "servable": servable, **row})
                    print(line(rows[-1]), flush=True)
    if options.json:
        report = {"benchmark": "serving", "cores": len(os.sched_getaffinity(0)), "rows": rows}
        write_json(options.json, report)
    return 0


def prepare(directory: Path, servables: list[str]) -> None:
    """Write servable.json and the checkpoints, in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(
        target=write_servables, args=(directory, servables)
    )
    process.start()
    process.join()


def write_servables(directory: Path, servables: list[str]) -> None:
    from sedna_tinyms.tinyms.model import mobilenetv2, save_weights

    entries = []
    for name in servables:
        width, size = SERVABLES[name]
        network = mobilenetv2(CLASSES, width_mult=width)
        save_weights(network, directory / name / "mobilenetv2.ckpt")
        model = {"name": "mobilenetv2", "format": "ckpt", "class_num": CLASSES}
        entries.append({"name": name, "model": model | {"width_mult": width, "input_size": size}})
    write_json(directory / "servable.json", entries)


def picture() -> str:
    """Return a photo-sized JPEG as base64 text."""
    pixels = np.random.RandomState(0).randint(0, 256, (60, 80, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((640, 480)).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


@contextmanager
def served(directory: Path, *options: str) -> Iterator[int]:
    """Run the server; yield its port."""
    server = Server(port=0, serving_path=directory)
    server.start_server(*options)
    try:
        yield server.port
    finally:
        server.shutdown()


@contextmanager
def served_one_by_one(directory: Path) -> Iterator[int]:
    """Run the server without batches; yield its port."""
    with served(directory, "--batch-limit", "1") as port:
        yield port


@contextmanager
def rebuilt_per_request(directory: Path) -> Iterator[int]:
    """Run the peer in a process of its own; yield its port."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=run_peer, args=(directory, sending), daemon=True)
    process.start()
    try:
        yield receiving.recv()
    finally:
        process.terminate()
        process.join()


SERVERS = (
    ("ours", served),
    ("ours, one by one", served_one_by_one),
    ("rebuilt per request", rebuilt_per_request),
)


def run_peer(directory: Path, announce: Any) -> None:
    os.environ["GLOG_v"] = "3"  # noqa: SIM112 - MindSpore's spelling; it warns for every network
    import mindspore
    from flask import Flask, request
    from waitress import create_server

    from sedna_tinyms.tinyms.model import load_weights, mobilenetv2
    from sedna_tinyms.tinyms.serving.pictures import as_data_url, decode_picture
    from sedna_tinyms.tinyms.vision import ImageFolderTransform

    app, one_at_a_time = Flask(__name__), threading.Lock()

    @app.post("/predict")
    def predict() -> dict[str, Any]:
        body = request.get_json()
        width, size = SERVABLES[body["servable_name"]]
        pixels = decode_picture(body["data"], 30_000_000)
        transform = ImageFolderTransform(size=size)
        with one_at_a_time:
            # As TinyMS's server: no compiled graph, which would cost seconds for each request.
            mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
            network = mobilenetv2(CLASSES, is_training=False, width_mult=width)
            load_weights(network, directory / body["servable_name"] / "mobilenetv2.ckpt")
            network.set_train(False)
            output = network(mindspore.Tensor(transform(pixels)[None])).asnumpy()
        words = f"TOP1: {int(output.argmax())}"
        return {"status": 0, "instance": {"res_msg": words, "data": as_data_url(pixels)}}

    server = create_server(app, host="127.0.0.1", port=0, threads=68)
    announce.send(server.effective_port)
    server.run()


def ask(port: int, servable: str, data: str, session: requests.Session | None = None) -> None:
    body = {"data": data, "servable_name": servable, "strategy": "TOP1_CLASS"}
    url = f"http://127.0.0.1:{port}/predict"
    answer = (session or requests).post(url, json=body, timeout=600)
    answer.raise_for_status()


def measure(port: int, servable: str, clients: int, seconds: float) -> dict[str, Any]:
    """Return throughput and latencies while so many clients ask."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(clients + 1), context.Queue()
    arguments = (port, servable, seconds, barrier, queue)
    processes = [context.Process(target=run_client, args=arguments) for _ in range(clients)]
    for process in processes:
        process.start()
    barrier.wait()
    answers = [queue.get() for _ in processes]
    latencies = [latency for times, _ in answers for latency in times]
    # The last requests end after `seconds`, and with a slow server long after.
    elapsed = max(elapsed for _, elapsed in answers)
    for process in processes:
        process.join()
    return {
        "clients": clients,
        "requests": len(latencies),
        "per_second": len(latencies) / elapsed,
        "median_ms": 1e3 * float(np.percentile(latencies, 50)),
        "p99_ms": 1e3 * float(np.percentile(latencies, 99)),
    }


def run_client(port: int, servable: str, seconds: float, barrier: Any, queue: Any) -> None:
    data, latencies = picture(), []
    with requests.Session() as session:
        session.trust_env = False
        barrier.wait()
        start = time.perf_counter()
        while (began := time.perf_counter()) < start + seconds:
            ask(port, servable, data, session)
            latencies.append(time.perf_counter() - began)
    queue.put((latencies, time.perf_counter() - start))


def line(row: dict[str, Any]) -> str:
    latency = f"median {row['median_ms']:8.1f} ms   p99 {row['p99_ms']:8.1f} ms"
    asked = f"{row['servable']:6} {row['name']:20} {row['clients']:3} clients"
    return f"{asked} {row['per_second']:8.1f}/s   {latency}"


if __name__ == "__main__":
    sys.exit(main())
