from contextlib import suppress

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from small_models import CLASSES, FLAT, SHAPE, linear

from sedna_tinyms.engine.onnx_file import OnnxFile, TensorInfo, read_onnx
from sedna_tinyms.errors import ModelFileError

texts = st.text(max_size=300)


@settings(deadline=None)
@given(metadata=st.dictionaries(texts, texts, max_size=4), classes=st.integers(1, 300))
def test_a_file_is_read_as_onnx_reads_it(metadata, classes):
    content = linear(metadata=metadata, classes=classes)
    file = read_onnx(content)
    model = onnx.load_from_string(content)
    assert file.metadata == {entry.key: entry.value for entry in model.metadata_props} == metadata
    assert file.input == TensorInfo("pixels", TensorProto.FLOAT, (-1, *SHAPE))
    assert file.output_shapes == {"logits": (classes,), "features": (FLAT,)}


@settings(deadline=None)
@given(data=st.data())
def test_flipped_bits_are_read_or_refused_and_nothing_else(data):
    content = bytearray(linear(metadata={"class_names": "bolt;nut"}))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(ModelFileError):
        assert isinstance(read_onnx(bytes(content)), OnnxFile)


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused(content):
    with pytest.raises(ModelFileError):
        read_onnx(content)


def test_the_structure_is_that_of_the_graph_not_of_its_weights():
    def structure(**keywords):
        return read_onnx(linear(**keywords)).structure

    assert structure(seed=1) == structure(seed=2, metadata={"round": "2"})
    others = [structure(), structure(classes=CLASSES + 1), structure(dtype=TensorProto.UINT8)]
    assert len(set(others)) == 3


def test_weights_listed_among_the_inputs_as_before_ir_version_4_are_no_inputs():
    model = onnx.load_from_string(linear())
    shape = [int(np.prod(SHAPE)), CLASSES]
    model.graph.input.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, shape))
    assert read_onnx(model.SerializeToString()).input.name == "pixels"
