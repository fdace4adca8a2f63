"""Directories of servables with networks that take milliseconds."""

import functools
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from mindspore import Tensor

from sedna_tinyms.artifact.files import write_file, write_json
from sedna_tinyms.tinyms.model import lenet5, load_weights, mobilenetv2, save_weights

PARTS = ("bolt", "gear", "nut", "screw")
SIZE, WIDTH = 32, 0.1


def network(classes=4, width=WIDTH, seed=0, is_training=True):
    """Return a small MobileNetV2 whose classes differ clearly from picture to picture."""
    np.random.seed(seed)
    built = mobilenetv2(classes, is_training, width_mult=width)
    for parameter in built.get_parameters():
        # As drawn, all features of so narrow a network are near 0.
        if parameter.name.endswith("gamma"):
            parameter.set_data(parameter * 2)
        elif parameter.name.endswith("beta"):
            drawn = np.random.rand(*parameter.shape).astype(np.float32)
            parameter.set_data(Tensor(drawn))
    return built


@functools.cache
def checkpoint(seed, classes, width, size):
    """Return a checkpoint whose bias makes class ``seed % len(classes)`` the likeliest."""
    built = network(len(classes), width, seed)
    bias = np.zeros(len(classes), np.float32)
    bias[seed % len(classes)] = 3
    for parameter in built.get_parameters():
        if parameter.name == "head.head.1.bias":
            parameter.set_data(Tensor(bias))
    card = {
        "class_names": classes,
        "width": width,
        "input_size": size,
        "pad_mode": "pad",
    }
    return content_of(built, {key: json.dumps(value) for key, value in card.items()})


@functools.cache
def small_checkpoint(seed, classes):
    """Return a checkpoint of a LeNet5 whose class ``seed % classes`` is the likeliest."""
    np.random.seed(seed)
    built = lenet5(classes)
    bias = np.zeros(classes, np.float32)
    bias[seed % classes] = 3
    built.fc3.bias.set_data(Tensor(bias))
    return content_of(built)


def content_of(network, metadata=None):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.ckpt")
        save_weights(network, path, metadata)
        return path.read_bytes()


def entry(name, classes=PARTS, **model):
    """Return what servable.json says of one servable."""
    described = {"name": "mobilenetv2", "format": "ckpt", "class_num": len(classes)}
    return {"name": name, "description": f"The servable {name}", "model": described | model}


class Servables:
    """A serving path: servable.json and checkpoints."""

    def __init__(self, directory):
        self.directory = directory
        self.entries = []
        self._networks = {}
        directory.mkdir(exist_ok=True)
        self.write()

    def write(self):
        write_json(self.directory / "servable.json", self.entries)

    def checkpoint(self, name):
        return self.directory / name / "mobilenetv2.ckpt"

    def add(self, name, seed=0, classes=PARTS, **model):
        """Put a servable in the directory, with a self-describing checkpoint."""
        self.save(name, seed, classes)
        self.entries.append(entry(name, classes, **model))
        self.write()

    def save(self, name, seed=0, classes=PARTS, width=WIDTH, size=SIZE):
        """Write a checkpoint, unless it is there."""
        content = checkpoint(seed, tuple(classes), width, size)
        path = self.checkpoint(name)
        if not (path.is_file() and path.read_bytes() == content):
            with write_file(path) as file:
                file.write_bytes(content)

    def add_small(self, name, seed=0, labels=PARTS):
        """Put a servable in the directory that a server compiles in a tenth of the time.

        It takes grey pictures of 32 x 32, and servable.json names its classes.
        """
        described = entry(name, labels) | {"labels": list(labels)}
        described["model"]["name"] = "lenet5"
        (self.directory / name).mkdir()
        path = self.directory / name / "lenet5.ckpt"
        path.write_bytes(small_checkpoint(seed, len(labels)))
        self.entries.append(described)
        self.write()

    def outputs(self, name, batch):
        """Return what the checkpoint's network makes of a batch, computed in this process."""
        if name not in self._networks:
            path = self.directory / name / "lenet5.ckpt"
            built = lenet5(len(PARTS)) if path.exists() else network(is_training=False)
            load_weights(built, path if path.exists() else self.checkpoint(name))
            built.set_train(False)
            self._networks[name] = built
        return self._networks[name](Tensor(batch)).asnumpy()


def wait_until(condition, seconds=60):
    """Return what `condition` gives once it is true; fail when time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return value
