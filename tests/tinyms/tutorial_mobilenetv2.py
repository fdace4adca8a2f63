# A program as users of TinyMS 0.1 wrote it for the MobileNetV2 tutorial, with its defaults; only
# the pictures are few and small. It knows nothing of this package.
import json
import os
import sys
from pathlib import Path

import tinyms as ts
from PIL import Image
from tinyms import context
from tinyms.data import GeneratorDataset
from tinyms.losses import CrossEntropyWithLabelSmooth
from tinyms.metrics import Accuracy
from tinyms.model import Model, mobilenetv2
from tinyms.optimizers import Momentum
from tinyms.serving import list_servables, predict, server_started, shutdown, start_server
from tinyms.utils.train.cb_config import mobilenetv2_cb
from tinyms.utils.train.loss_manager import FixedLossScaleManager
from tinyms.utils.train.lr_generator import mobilenetv2_lr
from tinyms.vision import Resize, cifar10_transform

EPOCHS, BATCH_SIZE = 2, 4
port = int(sys.argv[1])
ts.set_seed(1)
context.set_context(mode=context.GRAPH_MODE, device_target="CPU")

shrink = Resize((32, 32))
colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)]
pictures = [
    (shrink(ts.ones((40, 40, 3)).asnumpy() * c).astype("uint8"), i) for i, c in enumerate(colours)
]
dataset = cifar10_transform.apply_ds(
    GeneratorDataset(pictures * 2, ["image", "label"]), batch_size=BATCH_SIZE, is_training=True
)

net = mobilenetv2(10, is_training=True)
model = Model(net)
net_loss = CrossEntropyWithLabelSmooth(0.1, 10)
steps = dataset.get_dataset_size()
lr = mobilenetv2_lr(0, 1e-5, 1e-5, 1e-3, 1, EPOCHS, steps)
loss_scale = FixedLossScaleManager(1024, drop_overflow_update=False)
net_opt = Momentum(net.trainable_params(), lr, 0.9, weight_decay=4e-5, loss_scale=1024)
model.compile(
    loss_fn=net_loss,
    optimizer=net_opt,
    metrics={"Accuracy": Accuracy()},
    loss_scale_manager=loss_scale,
)
callbacks = mobilenetv2_cb("CPU", lr, True, 1, steps)
model.train(EPOCHS, dataset, callbacks=callbacks, dataset_sink_mode=False)

serving_path = Path(os.environ["TINYMS_SERVING_PATH"])
(serving_path / "mobilenetv2").mkdir()
checkpoint = f"{serving_path}/mobilenetv2/mobilenetv2.ckpt"
model.save_checkpoint(checkpoint)
model.load_checkpoint(checkpoint)
print("accuracy", model.eval(dataset, dataset_sink_mode=False)["Accuracy"])

servable = {
    "name": "mobilenetv2",
    "description": "This servable hosts a mobilenetv2 model predicting ten classes",
    "model": {"name": "mobilenetv2", "format": "ckpt", "class_num": 10},
}
(serving_path / "servable.json").write_text(json.dumps([servable]))

start_server("127.0.0.1", port)
print("listed", [s["name"] for s in list_servables()])
Image.new("RGB", (50, 40), colours[0]).save("picture.jpg")
if server_started("127.0.0.1", port):
    print(predict("picture.jpg", "mobilenetv2", "cifar10", "TOP1_CLASS"))
    print(predict("picture.jpg", "mobilenetv2", "cifar10", "TOP5_CLASS"))
print(shutdown())
print("still there:", server_started("127.0.0.1", port))
