# A program as users of TinyMS 0.3 wrote it from its quick start: train, save, load, evaluate, serve
# by the classes, predict. It knows nothing of this package; MNIST's files lie in the directory.
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tinyms import Tensor
from tinyms.callbacks import CheckpointConfig, LossMonitor, ModelCheckpoint
from tinyms.data import MnistDataset
from tinyms.losses import SoftmaxCrossEntropyWithLogits
from tinyms.metrics import Accuracy
from tinyms.model import Model, lenet5
from tinyms.optimizers import Momentum
from tinyms.serving import Client, Server
from tinyms.vision import ImageViewer, mnist_transform

port = int(sys.argv[1])
train_dataset = mnist_transform.apply_ds(MnistDataset("mnist/train", shuffle=True), batch_size=8)
eval_dataset = mnist_transform.apply_ds(MnistDataset("mnist/test", shuffle=False), batch_size=8)

net = lenet5(class_num=10)
model = Model(net)
net_loss = SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
net_opt = Momentum(net.trainable_params(), 0.01, 0.9)
model.compile(loss_fn=net_loss, optimizer=net_opt, metrics={"Accuracy": Accuracy()})
config = CheckpointConfig(save_checkpoint_steps=4, keep_checkpoint_max=2)
checkpoint = ModelCheckpoint(prefix="checkpoint_lenet", config=config)
model.train(2, train_dataset, callbacks=[checkpoint, LossMonitor()], dataset_sink_mode=False)
print("metrics", model.eval(eval_dataset, dataset_sink_mode=False))

Path("serving/lenet5_mnist").mkdir(parents=True)
model.save_checkpoint("serving/lenet5_mnist/lenet5.ckpt")
fresh = Model(lenet5(class_num=10))
fresh.load_checkpoint("serving/lenet5_mnist/lenet5.ckpt")
digit = Image.fromarray(np.full((28, 28), 90, np.uint8))
digit.save("7.png")
output = fresh.predict(Tensor(np.expand_dims(mnist_transform(digit), 0))).asnumpy()
words = mnist_transform.postprocess(output)
assert ImageViewer(digit, words).label == words

model_json = {"name": "lenet5", "format": "ckpt", "class_num": 10}
servable = {"name": "lenet5_mnist", "description": "LeNet5 for MNIST", "model": model_json}
Path("serving/servable.json").write_text(json.dumps([servable]))
server = Server(host="127.0.0.1", port=port, serving_path="serving/")
server.start_server()
client = Client(host="127.0.0.1", port=port)
print("listed", [s["name"] for s in client.list_servables()])
served = client.predict("7.png", "lenet5_mnist", dataset_name="mnist", strategy="TOP1_CLASS")
print("alike", served.split(",")[0] == words.split(",")[0])
server.shutdown()
