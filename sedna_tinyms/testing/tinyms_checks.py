"""That a Sedna worker library and the TINYMS backend work together; these checks need MindSpore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sedna_tinyms.testing.controller import Controller
from sedna_tinyms.testing.hot_update import play_hot_update
from sedna_tinyms.testing.library import JOB, Library

__all__ = ["TINYMS_CHECKS"]


def check_tinyms_backend(library: Library, directory: Path) -> None:
    """BACKEND_TYPE=TINYMS, in any case, gives `TinyMSBackend`, also at its own import path."""
    facts = library.run(
        """
        import sedna.core.base
        from sedna.backend import set_backend
        from sedna.backend.tinyms import TinyMSBackend
        import sedna_tinyms.backend
        facts["same"] = TinyMSBackend is sedna_tinyms.backend.TinyMSBackend
        for select in (set_backend, sedna.core.base.set_backend):
            backend = select(estimator=OneNumber)
            facts[str(len(facts))] = [type(backend) is TinyMSBackend, backend.model_save_path,
                                      backend.default_name, backend.has_load]
        """,
        directory,
        **{**JOB, "BACKEND_TYPE": "TinyMS"},
        MODEL_URL=directory / "out",
        MODEL_NAME="m.ckpt",
    )
    made = [True, str(directory / "out"), "m.ckpt", False]
    assert facts == {"same": True, "1": made, "2": made}


NETWORK = """
import mindspore as ms, numpy as np
from mindspore import nn

ms.set_seed(1)
x = np.random.default_rng(1).normal(size=(64, 2)).astype(np.float32)
y = (x[:, 0] > 0).astype(np.int32)

def network():
    return nn.SequentialCell(nn.Dense(2, 8), nn.ReLU(), nn.Dense(8, 2))

from sedna.core.incremental_learning import IncrementalLearning
"""


def check_tinyms_job(library: Library, directory: Path) -> None:
    """A network is trained, compared with an older one, and serves, all through MindSpore."""
    (directory / "out").mkdir()
    with Controller() as controller:
        job: dict[str, Any] = {
            **JOB,
            "BACKEND_TYPE": "TINYMS",
            "LC_SERVER": controller.url,
            "DATA_PATH_PREFIX": directory,
        }
        library.run(
            f"{NETWORK}\n"
            "ms.save_checkpoint(network(), 'out/old.ckpt')\n"
            "IncrementalLearning(network).train("
            "train_data=(x, y), epochs=20, learning_rate=0.1, batch_size=16)",
            directory,
            **job,
            MODEL_URL=directory / "out" / "train" / "1",
        )
        new = controller.wait_for(1)[0].body["results"][0]["url"]
        served = library.run(
            f"{NETWORK}\nIncrementalLearning(network).evaluate((x, y))\n"
            "job = IncrementalLearning(network)\n"
            "facts['right'] = float((job.inference(x)[0].argmax(1) == y).mean())",
            directory,
            **job,
            MODEL_URLS=f"{directory}{new};{directory}/out/old.ckpt",
            MODEL_URL=f"{directory}{new}",
        )
    results = controller.reports[1].body["results"]
    assert new == "/out/train/1/model_finetune_tinyms.ckpt"
    assert [entry["url"] for entry in results] == [new, "/out/old.ckpt"]
    better, worse = (entry["metrics"]["accuracy"] for entry in results)
    assert better > worse, f"training reached {better}, from {worse}"
    assert [served["right"]] == better


def check_tinyms_hot_update(library: Library, directory: Path) -> None:
    """`TinyMSBackend` takes a hot update over, under whatever name the library gives the file."""
    with Controller() as controller:
        play_hot_update(
            library,
            directory,
            controller,
            NETWORK
            + """
import os, pathlib
for bias, name in ((0.0, "deployed"), (1.0, "better")):
    net = network()
    net[2].weight.set_data(ms.ops.zeros_like(net[2].weight))
    net[2].bias.set_data(ms.Tensor([bias, bias], ms.float32))
    ms.save_checkpoint(net, name + ".ckpt")
    os.chmod(name + ".ckpt", 0o644)
job = IncrementalLearning(network)
while not os.path.exists("stop"):
    pathlib.Path("seen").write_text(str(float(job.inference(x[:1])[0][0][0])))
os._exit(0)
""",
            models={"broken": "half a mod"},
            seen={"deployed": "0.0", "better": "1.0"},
            BACKEND_TYPE="TINYMS",
        )


TINYMS_CHECKS: tuple[Callable[[Library, Path], None], ...] = (
    check_tinyms_backend,
    check_tinyms_job,
    check_tinyms_hot_update,
)
"""That the library and the TINYMS backend work together; these need MindSpore."""
