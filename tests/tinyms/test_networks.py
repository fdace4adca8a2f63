import re
import sys

import numpy as np
import pytest
from mindspore import Tensor, nn

from sedna_tinyms.errors import ConfigurationError, ForeignModelError, MissingExtraError
from sedna_tinyms.tinyms import model
from sedna_tinyms.tinyms.callbacks import Callback
from sedna_tinyms.tinyms.context import GRAPH_MODE, PYNATIVE_MODE, set_context
from sedna_tinyms.tinyms.data import GeneratorDataset, NumpySlicesDataset
from sedna_tinyms.tinyms.losses import SoftmaxCrossEntropyWithLogits, net_with_loss
from sedna_tinyms.tinyms.metrics import Accuracy
from sedna_tinyms.tinyms.model import (
    Model,
    create_model,
    lenet5,
    list_models,
    load_weights,
    mobilenetv2,
    save_weights,
    settle_normalization,
    ssd300_infer,
    ssd300_mobilenetv2,
)
from sedna_tinyms.tinyms.optimizers import Adam, Momentum
from sedna_tinyms.tinyms.vision import VOCTransform, ssd_bboxes_encode


@pytest.fixture
def graph_mode():
    set_context(mode=GRAPH_MODE)
    yield
    set_context(mode=PYNATIVE_MODE)


def zeros(*shape):
    return Tensor(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("name", "parameters", "trainable", "elements", "some"),
    [
        ("lenet5", 8, 8, 61684, {"conv1.weight": (6, 1, 5, 5), "fc3.bias": (10,)}),
        ("alexnet", 11, 11, 57043658, {"features.15.weight": (4096, 9216)}),
        (
            "densenet100",
            501,
            301,
            796126,
            {"features.4.layer.15.layer.5.weight": (12, 48, 3, 3), "end_point.weight": (10, 342)},
        ),
        (
            "ssd300_mobilenetv2",
            409,
            255,
            3464185,
            {
                "backbone.expand_layer_conv_13.features.0.weight": (576, 96, 1, 1),
                "multi_residual.3.conv.2.weight": (128, 64, 1, 1),
                "multi_box.multi_cls_layers.0.3.weight": (63, 576, 1, 1),
            },
        ),
    ],
)
def test_a_network_has_tinyms_parameters(name, parameters, trainable, elements, some):
    network = getattr(model, name)()
    found = {parameter.name: tuple(parameter.shape) for parameter in network.get_parameters()}
    assert len(found) == parameters
    assert len(network.trainable_params()) == trainable
    assert sum(parameter.size for parameter in network.get_parameters()) == elements
    assert found.items() >= some.items()


@pytest.mark.parametrize(("name", "size"), [("lenet5", (1, 32, 32)), ("densenet100", (3, 32, 32))])
def test_a_network_gives_a_score_a_class(name, size):
    network = getattr(model, name)(3, is_training=False)
    assert network.set_train(False)(zeros(2, *size)).shape == (2, 3)


@pytest.mark.parametrize(
    "name", ["lenet5", "alexnet", "densenet100", "mobilenetv2", "ssd300_mobilenetv2"]
)
def test_what_a_factory_does_not_know_is_an_error(raises, name):
    factory = getattr(model, name)
    for keyword in ("num_classes", "is_trainig"):
        with raises(ConfigurationError, "unknown-key") as raised:
            factory(**{keyword: 5})
        assert [each.fields["name"] for each in raised.value.problems] == [keyword]
    for wrong in (0, -1, 2.5, True, "10"):
        with raises(ConfigurationError, "out-of-range", golden=False) as raised:
            factory(class_num=wrong)
        assert [each.fields for each in raised.value.problems] == [
            {"name": "class_num", "value": wrong}
        ]


def digits(count=64):
    """Pictures with a bright line whose height says the class."""
    labels = np.arange(count, dtype=np.int32) % 10
    pictures = np.random.RandomState(0).rand(count, 1, 32, 32).astype(np.float32) * 0.2
    pictures[np.arange(count), 0, 3 * labels] += 1
    return NumpySlicesDataset((pictures, labels), shuffle=False).batch(16)


def test_lenet5_learns_with_a_look_at_other_pictures_after_each_epoch(graph_mode):
    class Log(Callback):
        def __init__(self):
            super().__init__()
            self.accuracies = []

        def on_eval_end(self, run_context):
            self.accuracies.append(run_context.original_args().metrics["Accuracy"])

    network = lenet5()
    compiled = Model(network)
    compiled.compile(
        SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"),
        Adam(network.trainable_params(), 5e-3),
        {"Accuracy": Accuracy()},
    )
    log = Log()
    compiled.fit(12, digits(), digits(), valid_frequency=4, callbacks=[log])
    assert len(log.accuracies) == 3
    assert log.accuracies[-1] > 0.8


def test_networks_are_known_by_name():
    pytest.importorskip("mindcv")
    assert {"lenet5", "ssd300_mobilenetv2", "resnet18", "vgg16"} <= set(list_models())
    assert list_models("resnet?0") == ["resnet50"]
    assert isinstance(create_model("lenet5", 4), model.LeNet5)
    network = create_model("squeezenet1_1", 4, in_channels=1)
    assert network.set_train(False)(zeros(1, 1, 64, 64)).shape == (1, 4)
    head = model.resnet50(class_num=7, is_training=False).classifier
    assert head.weight.shape == (7, 2048)


def test_names_and_keywords_that_mindcv_does_not_know_are_an_error(raises):
    pytest.importorskip("mindcv")
    with raises(ConfigurationError, "unknown-name", name="name", value="resnet5O"):
        create_model("resnet5O")
    # Which keywords there are is for MindCV to say.
    for build, keyword, nearest in (
        (model.vgg13, "dropp_rate", "drop_rate"),
        (model.resnet50, "num_classes", "class_num"),
    ):
        with raises(ConfigurationError, "unknown-key", golden=False) as raised:
            build(**{keyword: 0.1})
        (problem,) = raised.value.problems
        assert problem.fields["name"] == keyword
        assert nearest in problem.fields["valid"]
    with raises(ConfigurationError, "out-of-range"):
        model.vgg16(0)


def test_weights_are_not_downloaded_unchecked(raises):
    pytest.importorskip("mindcv")
    # The message says where MindCV has them.
    with raises(ConfigurationError, "unsupported", golden=False, name="pretrained") as raised:
        model.resnet50(pretrained=True)
    assert re.search(r"https://\S+/resnet50\S+\.ckpt", str(raised.value))
    assert create_model("squeezenet1_1", 2, pretrained=False)


def test_without_mindcv_the_extra_is_named(raises, monkeypatch):
    monkeypatch.setitem(sys.modules, "mindcv", None)
    for build in (list_models, model.resnet50, lambda: create_model("vgg11")):
        with raises(MissingExtraError, "missing-extra", extra="zoo"):
            build()
    assert isinstance(create_model("lenet5"), model.LeNet5)


def settled(seed, **keywords):
    """An SSD300 for two classes with weights of its own."""
    np.random.seed(seed)
    return ssd300_mobilenetv2(2, **keywords)


@pytest.mark.slow
def test_an_ssd300_takes_steps_on_drawn_boxes_and_finds_boxes_after(tmp_path):
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:40, 20:60] = 255
    scene = (picture, np.array([[20, 10, 40, 30]], np.float32), np.array([0]))
    transform = VOCTransform(labels=["background", "box"])
    dataset = GeneratorDataset([scene] * 2, ["image", "bbox", "label"], shuffle=False)
    network = settled(0)
    trained = Model(net_with_loss(network))
    trained.compile(optimizer=Momentum(network.trainable_params(), 1e-3, 0.9))
    losses = []

    class Log(Callback):
        def on_train_step_end(self, run_context):
            losses.append(float(run_context.original_args().net_outputs.asnumpy()))

    pictures = transform.apply_ds(dataset, batch_size=2)
    trained.train(3, pictures, callbacks=[Log()])
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]

    columns = next(pictures.create_tuple_iterator(num_epochs=1))
    learnt = float(net_with_loss(network).set_train(True)(*columns).asnumpy())
    settle_normalization(network, pictures)
    predicted = float(net_with_loss(network).set_train(False)(*columns).asnumpy())
    assert predicted == pytest.approx(learnt, rel=0.2)

    trained.save_checkpoint(tmp_path / "ssd.ckpt")
    detector = Model(ssd300_infer(2))
    assert len(detector.load_checkpoint(tmp_path / "ssd.ckpt", strict_load=True)) == 409
    finds_boxes(detector.network, Tensor(transform(picture)[None]))


def finds_boxes(detector, picture):
    boxes, scores = detector.set_train(False)(picture)
    assert (boxes.shape, scores.shape) == ((1, 1917, 4), (1, 1917, 2))
    for fractions in (boxes.asnumpy(), scores.asnumpy()):
        assert fractions.min() >= 0
        assert fractions.max() <= 1


def test_ssd300_weights_fit_with_and_without_the_boxes(raises, tmp_path):
    network, detector = settled(1), ssd300_infer(2)
    path = tmp_path / "network.ckpt"
    save_weights(network, path)
    assert load_weights(detector, path).complete
    np.testing.assert_array_equal(
        detector.network.backbone.features_1[0].features[0].weight.asnumpy(),
        network.backbone.features_1[0].features[0].weight.asnumpy(),
    )
    finds_boxes(detector, Tensor(np.random.RandomState(0).rand(1, 3, 300, 300).astype(np.float32)))
    save_weights(detector, tmp_path / "detector.ckpt")
    assert load_weights(network, tmp_path / "detector.ckpt").complete
    with raises(ForeignModelError, "foreign-model", path=path):
        load_weights(lenet5(), path)


class Answer(model.SSD300):
    """Answers with what it is given."""

    def __init__(self, offsets, logits):
        nn.Cell.__init__(self)
        self.answer = Tensor(offsets), Tensor(logits)

    def construct(self, x):
        return self.answer


def test_the_loss_of_ssd300_is_small_for_the_right_answer_only():
    offsets, labels, matched = ssd_bboxes_encode(np.array([[0.1, 0.2, 0.5, 0.6, 0]]))
    right = np.where(labels[:, None] == np.arange(2), 9.0, -9.0).astype(np.float32)
    targets = [Tensor(target[None]) for target in (offsets, labels, matched)]

    def loss(answered, logits):
        return float(net_with_loss(Answer(answered[None], logits[None]))(0, *targets).asnumpy())

    assert loss(offsets, right) < 1e-6
    # Away from matched boxes, offsets mean nothing.
    assert loss(np.where(labels[:, None] > 0, offsets, 5).astype(np.float32), right) < 1e-6
    # Off by 3 everywhere: smooth L1 gives 2.5 for each matched box, divided by their number.
    assert loss(offsets + 3, right) == pytest.approx(2.5, rel=1e-4)
    assert loss(offsets, -right) > 100
    nothing = [Tensor(np.zeros_like(target.asnumpy())) for target in targets]
    empty = net_with_loss(Answer(offsets[None], right[None]))(0, *nothing)
    assert np.isfinite(float(empty.asnumpy()))


@pytest.mark.parametrize("network", [None, lenet5, mobilenetv2])
def test_only_ssd300_has_a_loss_of_its_own(network):
    with pytest.raises(TypeError, match="loss_fn"):
        net_with_loss(network)
