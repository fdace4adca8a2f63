import io
import stat
import zipfile
from functools import cache

import mindspore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindspore import Tensor, nn
from seeded_weights import CLASSES, LAST, WIDTH, mindcv_weights, torchvision_weights

from sedna_tinyms.errors import ForeignModelError, ModelFileError
from sedna_tinyms.tinyms.model import (
    LoadReport,
    MobileNetV2,
    load_weights,
    read_weights,
    save_weights,
)

SEDNA_HOT_UPDATE_NAME = "model.2025-11-20 08:52:20.123 +0000 UTC m=+1"


@cache
def network(class_num=CLASSES, width=WIDTH):
    """Return the network that all tests load into; building one takes half a second."""
    return MobileNetV2(class_num, width, last_channel=LAST).set_train(False)


@cache
def small_network():
    return nn.SequentialCell([nn.Dense(3, 4), nn.BatchNorm1d(4), nn.Dense(4, 2)])


def cleared(net):
    for parameter in net.get_parameters():
        parameter.set_data(Tensor(np.full(parameter.shape, -9, np.float32)))
    return net


def values(net):
    return {p.name: p.asnumpy().copy() for p in net.get_parameters()}


def write_npz(path, arrays):
    with path.open("wb") as stream:
        np.savez(stream, **arrays)


def write_safetensors(path, arrays):
    from safetensors.numpy import save_file

    save_file(arrays, str(path), metadata={"class_names": "bolt;nut"})


def write_ckpt(path, arrays):
    entries = [{"name": name, "data": Tensor(array)} for name, array in arrays.items()]
    mindspore.save_checkpoint(entries, str(path))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a checkpoint as this library writes it, and the values in it."""
    path = tmp_path_factory.mktemp("saved") / "model.ckpt"
    net = MobileNetV2(CLASSES, WIDTH, last_channel=LAST)
    save_weights(net, path, {"class_names": "bolt;nut;äöü", "input_size": 96, "width": 0.25})
    return path, values(net)


@pytest.fixture(scope="module")
def torchvision_values(tmp_path_factory):
    """Return what the network holds after loading torchvision's weights."""
    path = tmp_path_factory.mktemp("torchvision") / "reference.npz"
    write_npz(path, torchvision_weights())
    load_weights(cleared(network()), path)
    return values(network())


@pytest.fixture
def fails_untouched(raises):
    """Load a file that must be refused, and check that the network did not change."""

    def check(kind, code, path, net=None, *, options=None, **fields):
        net = net or network()
        before = values(net)
        with raises(kind, code, path=path, **fields) as raised:
            load_weights(net, path, **(options or {}))
        assert str(path) in str(raised.value)
        for name, value in values(net).items():
            np.testing.assert_array_equal(value, before[name])

    return check


@pytest.mark.parametrize(
    ("write", "arrays"),
    [
        (write_npz, torchvision_weights),
        (write_safetensors, torchvision_weights),
        (write_ckpt, mindcv_weights),
        (write_npz, mindcv_weights),
    ],
)
def test_weights_of_other_libraries_land_in_the_right_places(
    write, arrays, torchvision_values, tmp_path
):
    write(tmp_path / "weights.ckpt", arrays())
    report = load_weights(cleared(network()), tmp_path / "weights.ckpt")
    assert report.complete
    assert len(report.matched) == 262
    assert not report.unexpected
    for name, value in values(network()).items():
        np.testing.assert_array_equal(value, torchvision_values[name])


def test_mindcv_names_load_into_a_network_that_has_them(tmp_path):
    class Classifier(nn.Cell):
        def __init__(self):
            super().__init__()
            self.features = nn.SequentialCell([nn.Conv2d(3, 4, 3)])
            self.classifier = nn.Dense(4, 2)

    net = Classifier()
    arrays = {name: np.full_like(value, 0.5) for name, value in values(net).items()}
    write_ckpt(tmp_path / "weights.ckpt", arrays)
    assert load_weights(net, tmp_path / "weights.ckpt").complete
    assert values(net)["features.0.weight"].max() == 0.5


def test_saved_weights_come_back_bit_by_bit_with_their_metadata(saved):
    path, expected = saved
    weights = read_weights(path)
    assert weights.metadata == {
        "class_names": "bolt;nut;äöü",
        "input_size": "96",
        "width": "0.25",
    }
    assert load_weights(cleared(network()), path).complete
    for name, value in values(network()).items():
        np.testing.assert_array_equal(value, expected[name])


def test_a_saved_file_is_readable_by_all_and_replaced_in_place(tmp_path):
    path = tmp_path / "deep" / "model.ckpt"
    for _ in range(2):
        save_weights(small_network(), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert [p.name for p in path.parent.iterdir()] == ["model.ckpt"]


@pytest.mark.parametrize("name", [SEDNA_HOT_UPDATE_NAME, "model", "model.ckpt.tmp", "a b.npz"])
def test_the_name_of_a_file_says_nothing_about_its_format(tmp_path, name):
    save_weights(small_network(), tmp_path / name)
    assert load_weights(small_network(), tmp_path / name).complete


def test_a_read_only_relative_symlinked_file_loads(tmp_path, monkeypatch):
    target = tmp_path / "shared" / "model.ckpt"
    save_weights(small_network(), target)
    target.chmod(0o400)
    (tmp_path / "link").symlink_to("shared/model.ckpt")
    monkeypatch.chdir(tmp_path)
    assert load_weights(small_network(), "link").complete


@pytest.mark.parametrize("optimizer", [nn.Adam, nn.Momentum, nn.RMSProp, nn.Lamb, nn.SGD])
def test_optimizer_state_is_set_aside_and_counted(optimizer, tmp_path):
    net = small_network()
    arguments = {"momentum": 0.9} if optimizer is nn.Momentum else {}
    rates = nn.cosine_decay_lr(0.0, 0.1, 10, 5, 2)
    train = nn.TrainOneStepCell(
        nn.WithLossCell(net, nn.SoftmaxCrossEntropyWithLogits(sparse=True)),
        optimizer(net.trainable_params(), learning_rate=rates, **arguments),
    )
    extra = {"epoch_num": 3, "step_num": 12}
    mindspore.save_checkpoint(train, str(tmp_path / "training.ckpt"), append_dict=extra)
    report = load_weights(net, tmp_path / "training.ckpt")
    assert report.complete
    assert not report.unexpected
    assert len(report.optimizer_state) >= len(net.trainable_params())


def test_a_report_says_what_did_not_fit(snapshot):
    report = LoadReport(
        path="model.ckpt",
        matched=("a", "b"),
        missing=("c",),
        unexpected=("d", "e", "f", "g"),
        mismatched=("h ((2, 3) in the file, (2, 4) in the network)",),
        skipped=("head.head.1.weight", "head.head.1.bias"),
        optimizer_state=("moments.a", "momentum"),
    )
    assert str(report) == snapshot
    assert not report.complete


def test_the_head_can_be_skipped_for_other_classes(saved, snapshot):
    net = network(class_num=3)
    head = values(net)["head.head.1.weight"]
    report = load_weights(net, saved[0], skip_head=True)
    assert report.skipped == ("head.head.1.weight", "head.head.1.bias")
    assert len(report.matched) == 260
    assert str(report) == snapshot
    np.testing.assert_array_equal(values(net)["head.head.1.weight"], head)


@pytest.mark.parametrize("strict", [True, False])
def test_another_class_count_is_refused_with_both_counts(strict, saved, fails_untouched):
    fails_untouched(
        ForeignModelError,
        "class-mismatch",
        saved[0],
        network(class_num=3),
        options={"strict": strict},
        value=5,
        expected=3,
    )


def test_another_width_is_refused(saved, fails_untouched):
    fails_untouched(ForeignModelError, "foreign-model", saved[0], network(width=0.5), missing=())


@pytest.mark.parametrize("strict", [True, False])
def test_nothing_in_common_is_refused(strict, tmp_path, fails_untouched):
    path = tmp_path / "lenet.ckpt"
    write_ckpt(path, {"conv1.weight": np.ones((6, 1, 5, 5), np.float32)})
    fails_untouched(ForeignModelError, "foreign-model", path, options={"strict": strict})


def test_a_file_with_only_the_head_is_no_backbone(tmp_path, fails_untouched):
    path = tmp_path / "head.npz"
    write_npz(path, {"head.head.1.bias": np.zeros(CLASSES, np.float32)})
    fails_untouched(ForeignModelError, "foreign-model", path, options={"skip_head": True})


def test_missing_parameters_are_refused_unless_allowed(tmp_path, fails_untouched):
    arrays = torchvision_weights()
    del arrays["features.3.conv.2.weight"]
    path, missing = tmp_path / "holed.npz", ("backbone.backbone.3.conv.2.weight",)
    write_npz(path, arrays)
    fails_untouched(ForeignModelError, "foreign-model", path, missing=missing)
    report = load_weights(network(), path, strict=False)
    assert report.missing == missing
    assert not report.complete


def test_whole_numbers_are_no_weights(tmp_path, fails_untouched):
    arrays = torchvision_weights()
    arrays["features.0.0.weight"] = arrays["features.0.0.weight"].astype(np.int64)
    write_npz(tmp_path / "integers.npz", arrays)
    mismatched = ("backbone.backbone.0.features.0.weight",)
    fails_untouched(
        ForeignModelError, "foreign-model", tmp_path / "integers.npz", mismatched=mismatched
    )


def test_half_precision_is_widened(tmp_path):
    arrays = {n: a.astype(np.float16) for n, a in torchvision_weights().items()}
    write_npz(tmp_path / "half.npz", arrays)
    net = network()
    assert load_weights(net, tmp_path / "half.npz").complete
    assert {v.dtype for v in values(net).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("write", [write_npz, write_ckpt, write_safetensors])
def test_numbers_that_are_none_are_refused_by_name(write, bad, tmp_path, fails_untouched):
    arrays = torchvision_weights()
    name = "features.9.conv.2.weight"
    arrays[name][0, 0] = bad
    path = tmp_path / "diverged.ckpt"
    write(path, arrays)
    fails_untouched(ModelFileError, "not-finite", path, name=name)


def test_missing_directory_and_empty_files_say_what_they_are(tmp_path, fails_untouched):
    (tmp_path / "empty.ckpt").touch()
    fails_untouched(ModelFileError, "missing-file", tmp_path / "none.ckpt", small_network())
    fails_untouched(ModelFileError, "not-a-file", tmp_path, small_network())
    fails_untouched(ModelFileError, "empty", tmp_path / "empty.ckpt", small_network())
    assert not (tmp_path / "none.ckpt").exists()


@pytest.fixture
def is_damaged(raises):
    """Read a file whose reader, another library, finds a fault in."""

    def check(path):
        size = path.stat().st_size
        with raises(ModelFileError, "damaged", golden=False, path=path, size=size) as raised:
            load_weights(small_network(), path)
        assert str(path) in str(raised.value)

    return check


@pytest.mark.parametrize(
    "content",
    [
        b"not a checkpoint\n",
        b"\x00" * 100,
        b"PK\x03\x04 no archive",
        b"\x10\x00\x00\x00\x00\x00\x00\x00{no header here}",
        b"\xff" * 7,
    ],
)
def test_garbage_is_refused_with_path_and_size(content, tmp_path, is_damaged):
    path = tmp_path / "garbage.ckpt"
    path.write_bytes(content)
    is_damaged(path)


@pytest.mark.parametrize("write", [write_npz, write_safetensors, write_ckpt])
@pytest.mark.parametrize("kept", [0.2, 0.7, 0.999])
def test_a_truncated_file_is_refused(write, kept, tmp_path):
    write(tmp_path / "whole.ckpt", torchvision_weights())
    content = (tmp_path / "whole.ckpt").read_bytes()
    path = tmp_path / "cut.ckpt"
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ModelFileError) as raised:
        read_weights(path)
    assert raised.value.code == "damaged"
    assert raised.value.fields["path"] == str(path)


@settings(max_examples=40, deadline=None)
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_saved_file_with_one_flipped_bit_or_a_missing_end_is_refused(saved, position, bit, cut):
    content = bytearray(saved[0].read_bytes())
    index = int(len(content) * position)
    if cut:
        del content[index:]
    else:
        content[index] ^= 1 << bit
    damaged = saved[0].with_name("damaged.ckpt")
    damaged.write_bytes(content)
    with pytest.raises(ModelFileError) as raised:
        read_weights(damaged)
    assert raised.value.code in ("damaged", "empty")


def test_pickled_objects_are_refused(tmp_path, is_damaged):
    path = tmp_path / "pickled.npz"
    write_npz(path, torchvision_weights() | {"surprise": np.array([{"a": 1}])})
    is_damaged(path)


def test_a_member_that_lies_about_its_size_is_refused(tmp_path, is_damaged):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    )
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("features.0.0.weight.npy", header.getvalue())
    is_damaged(tmp_path / "liar.npz")


def test_an_archive_of_other_things_is_refused(tmp_path, fails_untouched):
    write_npz(tmp_path / "nothing.npz", {"x": np.zeros(3)})
    fails_untouched(ForeignModelError, "foreign-model", tmp_path / "nothing.npz")
