import pytest

from sedna_tinyms.errors import ModelFileError
from sedna_tinyms.jobs.manifest.spec import ModelResource
from sedna_tinyms.jobs.models import ReportedModel, choose_model, read_models

CKPT = {"format": "ckpt", "url": "/out/train/1/m.ckpt", "metrics": {"loss": [0.1]}}
ONNX = {"format": "onnx", "url": "/out/train/1/m.onnx"}


def resource(form, chips=()):
    return ModelResource("deployed", "/models/m", form, tuple(chips))


def test_models_are_read_and_written_back_as_they_were_reported():
    models = read_models([CKPT, ONNX])
    assert models[0] == ReportedModel("ckpt", "/out/train/1/m.ckpt", {"loss": [0.1]})
    assert [model.as_json() for model in models] == [CKPT, ONNX]


@pytest.mark.parametrize(
    ("entry", "code", "name"),
    [
        ({"url": "/m"}, "missing-value", "format"),
        ({"format": "ckpt"}, "missing-value", "url"),
        ({"format": "ckpt", "url": ""}, "missing-value", "url"),
        ({"format": 3, "url": "/m"}, "wrong-type", "format"),
        (CKPT | {"metrics": 0.9}, "wrong-type", "metrics"),
        (CKPT | {"metrics": [0.9]}, "wrong-type", "metrics"),
        (CKPT | {"device_soc_versions": "310"}, "wrong-type", "device_soc_versions"),
    ],
)
def test_an_unusable_entry_is_named(entry, code, name, raises):
    with raises(ModelFileError, code, name=f"results[0].{name}"):
        read_models([entry])


def test_the_format_of_the_resource_chooses_and_the_first_match_wins():
    models = read_models([ONNX, CKPT, CKPT | {"url": "/other.ckpt"}])
    assert choose_model(models, resource("ckpt")).url == "/out/train/1/m.ckpt"
    assert choose_model(models, resource("onnx")).url == "/out/train/1/m.onnx"


def test_no_match_names_both_sides(raises):
    with raises(ModelFileError, "unknown-format", value="pb", valid=["ckpt", "onnx"]):
        choose_model(read_models([CKPT, ONNX]), resource("pb"))
    with raises(ModelFileError, "unknown-format", name="deployed", value="ckpt", valid=[]):
        choose_model([], resource("ckpt"))


def test_a_model_for_one_chip_must_be_for_a_chip_of_the_resource():
    for_310, for_910 = ({"device_soc_versions": [chip]} for chip in ("Ascend310", "Ascend910"))
    models = read_models([CKPT | for_310, CKPT | for_910 | {"url": "/910.ckpt"}])
    assert choose_model(models, resource("ckpt", ["Ascend910"])).url == "/910.ckpt"
    assert choose_model(models, resource("ckpt")).url == CKPT["url"]
    with pytest.raises(ModelFileError):
        choose_model(models, resource("ckpt", ["Ascend710"]))
