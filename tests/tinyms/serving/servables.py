"""Directories of servables with networks that take milliseconds."""

import json
import time

import numpy as np
from mindspore import Tensor

from sedna_tinyms.artifact.files import write_json
from sedna_tinyms.tinyms.model import load_weights, mobilenetv2, save_weights

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


def entry(name, classes=PARTS, **model):
    """Return what servable.json says of one servable."""
    described = {"name": "mobilenetv2", "format": "ckpt", "class_num": len(classes)}
    return {"name": name, "description": f"The servable {name}", "model": described | model}


class Servables:
    """A serving path: servable.json and checkpoints."""

    def __init__(self, directory):
        self.directory = directory
        self.entries = []
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
        """Write a checkpoint whose bias makes class ``seed % len(classes)`` the likeliest."""
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
        texts = {key: json.dumps(value) for key, value in card.items()}
        save_weights(built, self.checkpoint(name), texts)

    def outputs(self, name, batch):
        """Return what the checkpoint's network makes of a batch, computed in this process."""
        built = network(is_training=False)
        load_weights(built, self.checkpoint(name))
        built.set_train(False)
        return built(Tensor(batch)).asnumpy()


def wait_until(condition, seconds=60):
    """Return what `condition` gives once it is true; fail when time is up."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
    return value
