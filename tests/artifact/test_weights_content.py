from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_checkpoint import checkpoint, write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.artifact.weights_content import read_content, require_finite
from sedna_tinyms.errors import ModelFileError


def test_a_checkpoint_without_mindspore():
    arrays = {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.ones(3, np.float16),
        "steps": np.array(7),
    }
    found = read_content(checkpoint(arrays, {"class_names": '["ä", "b"]'}), "model.ckpt")
    assert found.metadata == {"class_names": '["ä", "b"]'}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)


def test_mindspore_writes_what_is_read(tmp_path):
    mindspore = pytest.importorskip("mindspore")
    arrays = {"a": np.ones((2, 3), np.float32), "one": np.float32(0.5), "n": np.array([1, 2])}
    entries = [{"name": name, "data": mindspore.Tensor(array)} for name, array in arrays.items()]
    path = tmp_path / "model.ckpt"
    mindspore.save_checkpoint(entries, str(path), append_dict={"who": "me"}, crc_check=True)
    found = read_content(path.read_bytes(), "model.ckpt")
    assert found.metadata == {"who": "me"}
    assert set(found.arrays) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def test_a_large_array_comes_in_pieces():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = read_content(checkpoint({"a": array}, {}, piece=20), "m.ckpt")
    np.testing.assert_array_equal(found.arrays["a"], array)


def test_an_onnx_file_without_onnx(tmp_path):
    path = write_classifier(tmp_path / "model.onnx", weight=0.25)
    found = read_content(path.read_bytes(), "model.onnx")
    assert found.arrays["weights"].shape == (2, 3)
    assert found.metadata["class_names"] == '["dark", "bright"]'
    require_finite(found.arrays, "model.onnx")


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path, weight, raises):
    for path in (
        write_checkpoint(tmp_path / "model.ckpt", weight=weight),
        write_classifier(tmp_path / "model.onnx", weight=weight),
    ):
        found = read_content(path.read_bytes(), path.name)
        with raises(ModelFileError, "not-finite", path=path.name) as raised:
            require_finite(found.arrays, path.name)
        assert not np.isfinite(found.arrays[raised.value.fields["name"]]).all()


@pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"])
def test_nan_hides_neither_in_a_list_nor_in_a_constant(kind, raises):
    onnx = pytest.importorskip("onnx")
    element = getattr(onnx.TensorProto, kind)
    listed = onnx.helper.make_tensor("c", element, [2], [1.0, float("nan")])
    node = onnx.helper.make_node("Constant", [], ["y"], value=listed)
    graph = onnx.helper.make_graph([node], "g", [], [])
    found = read_content(onnx.helper.make_model(graph).SerializeToString(), "model.onnx")
    assert found.arrays["c"][0] == 1.0
    with raises(ModelFileError, "not-finite", path="model.onnx", name="c"):
        require_finite(found.arrays, "model.onnx")


@pytest.mark.parametrize("suffix", [".ckpt", ".onnx"])
def test_no_byte_can_be_cut_off(tmp_path, suffix):
    write = write_checkpoint if suffix == ".ckpt" else write_classifier
    content = write(tmp_path / f"model{suffix}").read_bytes()
    for end in range(0, len(content) - 1, 7):
        try:
            shorter = read_content(content[:end], f"model{suffix}")
        except ModelFileError:
            continue
        # A cut between two entries is one that the manifest finds.
        assert len(shorter.arrays) <= len(read_content(content, f"model{suffix}").arrays)


@settings(deadline=None)
@given(st.data())
def test_flipped_bytes_are_at_most_refused(data):
    content = bytearray(checkpoint({"a": np.ones((2, 2), np.float32)}, {"who": "me"}))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
    with_checksum, without = bytes(content), bytes(content[:-17])
    for each in (with_checksum, without):
        with suppress(ModelFileError):
            read_content(each, "model.ckpt")


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["x.ckpt", "x.onnx", "x.pkl", "x"]))
def test_anything_else_is_at_most_refused(content, name):
    with suppress(ModelFileError):
        read_content(content, name)


@pytest.mark.parametrize("attribute", ["value_floats", "value_float"])
def test_nan_hides_in_no_attribute_either(attribute, raises):
    onnx = pytest.importorskip("onnx")
    value = [1.0, float("nan")] if attribute == "value_floats" else float("nan")
    node = onnx.helper.make_node("Constant", [], ["y"], **{attribute: value})
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [output]))
    found = read_content(model.SerializeToString(), "model.onnx")
    with raises(ModelFileError, "not-finite", path="model.onnx", name="constant 0"):
        require_finite(found.arrays, "model.onnx")
