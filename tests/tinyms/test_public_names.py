"""Every name that programs written for TinyMS import is here, or is left out for a reason."""

import importlib
import json
import re
from types import ModuleType

import pytest

from sedna_tinyms.tinyms.left_out import LEFT_OUT

CORE = "sedna_tinyms.tinyms"

NAMES = {
    "": """
        Parameter ParameterTuple Tensor arange array bool_ concatenate context data
        dtype_to_nptype expand_dims float16 float32 hub int32 jit layers model ones primitives
        reshape set_seed vision zeros __version__
    """,
    "callbacks": """
        BackupAndRestore BertLossCallBack Callback CheckpointConfig EarlyStopping History
        LambdaCallback LossMonitor LossTimeMonitor LossTimeMonitorV2 ModelCheckpoint
        OnRequestExit ReduceLROnPlateau RunContext SummaryCollector TimeMonitor mobilenetv2_cb
    """,
    "common": "Parameter ParameterTuple Tensor array dtype_to_nptype float32 ones set_seed",
    "context": """
        COMPATIBLE GRAPH_MODE LAX PYNATIVE_MODE ParallelMode STRICT get_auto_parallel_context
        get_context get_ps_context reset_auto_parallel_context set_auto_parallel_context
        set_context set_ps_context
    """,
    "data": """
        BertDataset Cifar100Dataset Cifar100ToMR Cifar10Dataset Cifar10ToMR CocoDataset
        DistributedSampler FAILED FileReader FileWriter GanImageFolderDataset GeneratorDataset
        ImageFolderDataset ImdbDataset KaggleDisplayAdvertisingDataset MindDataset MindPage
        MnistDataset NumpySlicesDataset SUCCESS Schema TFRecordDataset UnalignedDataset
        VOCDataset download_dataset generate_image_list load_img load_resized_img save_image zip
        ArgoverseDataset Graph GraphData InMemoryGraphDataset
    """,
    "data.utils": "generate_image_list save_image",
    "hub": "load load_checkpoint load_weights",
    "initializers": """
        Constant HeNormal HeUniform Initializer Normal One TruncatedNormal Uniform XavierUniform
        Zero initializer
    """,
    "layers": """
        BatchNorm2d Conv2d Dense DynamicLossScaleUpdateCell Dropout Flatten GraphLayer Layer
        LayerList MaxPool2d ReLU ResizeBilinear SequentialLayer TrainOneStepCell WithLossCell
    """,
    "losses": """
        CrossEntropyWithLabelSmooth CycleGANDiscriminatorLoss CycleGANGeneratorLoss L1Loss
        MSELoss SSD300WithLoss SoftmaxCrossEntropyWithLogits net_with_loss
    """,
    "metrics": "AUCMetric Accuracy F1 Loss Metric Precision Recall Top1CategoricalAccuracy",
    "model": """
        DeepFM Model SentimentNet alexnet bert cycle_gan cycle_gan_infer deepfm densenet100
        lenet5 load mobilenetv2 mobilenetv2_infer resnet50 sentimentnet ssd300_infer
        ssd300_mobilenetv2 vgg11 vgg13 vgg16 vgg19
    """,
    "optimizers": "Adam AdamWeightDecay AdamWeightDecayForBert AdamWeightDecayOp Lamb Momentum SGD",
    "primitives": """
        Add DType Fill GradOperation Less OneHot ReduceMean Shape Softmax Tile depend grad jit
        tensor_add value_and_grad
    """,
    "serving": """
        Client Server list_servables predict server_started shutdown start_server
    """,
    "text": """
        BertDatasetTransform Compose Concatenate Duplicate Fill JiebaTokenizer Lookup Mask Ngram
        OneHot PadEnd PythonTokenizer RandomApply RandomChoice SPieceTokenizerLoadType
        SPieceTokenizerOutType SentencePieceModel SentencePieceTokenizer SentencePieceVocab Slice
        SlidingWindow ToNumber TruncateSequencePair TypeCast UnicodeCharTokenizer Unique Vocab
        WordpieceTokenizer bert_transform to_bytes to_str
    """,
    "utils.train": """
        DynamicLossScaleManager FixedLossScaleManager LossScaleManager cyclegan_lr
        load_checkpoint load_param_into_net mobilenetv2_cb mobilenetv2_lr
    """,
    "utils.train.cb_config": "mobilenetv2_cb",
    "utils.train.loss_manager": "FixedLossScaleManager",
    "utils.train.lr_generator": "mobilenetv2_lr",
    "vision": """
        AutoContrast Border Cifar10Transform Compose Concatenate CycleGanDatasetTransform
        Duplicate Fill ImageBatchFormat ImageFolderTransform ImageViewer Inter Mask
        MnistTransform OneHot PILRandomHorizontalFlip PadEnd RandomApply RandomChoice Resize
        ShanshuiTransform Slice SoftDvppDecodeResizeJpeg SoftDvppDecodeRandomCropResizeJpeg
        TypeCast UniformAugment Unique VOCTransform cifar10_transform coco_eval
        cyclegan_transform decode hwc2chw imagefolder_transform mnist_transform
        shanshui_tranform ssd_bboxes_encode ssd_bboxes_filter voc_transform
    """,
}

MODULES_LEFT_OUT = {
    "app": "an OpenCV window; the serving page shows the same in a browser",
    "pipeline": "it imports and runs code that it downloads; no release had it",
    "utils.common_utils": "it serves CycleGAN's networks",
    "utils.eval": "it serves CycleGAN's networks",
}


def full_name(module):
    return f"{CORE}.{module}".rstrip(".")


def found_by(statement):
    scope = {}
    exec(statement, scope)  # noqa: S102
    return scope


@pytest.mark.parametrize("module", NAMES)
def test_a_program_can_import_every_name_alone_and_by_star(module):
    wanted = set(NAMES[module].split()) - set(LEFT_OUT.get(module, {}))
    alone = found_by(f"from {full_name(module)} import {', '.join(sorted(wanted))}")
    # A function is not to be hidden behind the module of its name.
    assert module == "" or not any(isinstance(alone[name], ModuleType) for name in wanted)

    listed = importlib.import_module(full_name(module)).__all__
    by_star = found_by(f"from {full_name(module)} import *")
    assert set(listed) <= by_star.keys()
    assert len(set(listed)) == len(listed)
    assert all(by_star[name] is alone[name] for name in wanted & set(listed))


def test_what_is_left_out_says_why_and_what_to_use():
    for module, names in LEFT_OUT.items():
        assert set(names) <= set(NAMES[module].split())
        imported = importlib.import_module(full_name(module))
        assert not set(names) & found_by(f"from {full_name(module)} import *").keys()
        for name, reason in names.items():
            assert re.search(r"\. (Use|Build) ", reason), name
            for statement in (f"from {full_name(module)} import {name}", f"imported.{name}"):
                with pytest.raises(ImportError) as raised:
                    exec(statement, {"imported": imported})  # noqa: S102
                assert name in str(raised.value), statement
                assert reason in str(raised.value), statement


def test_a_name_that_never_was_is_missing_as_in_any_module():
    for module in LEFT_OUT:
        assert not hasattr(importlib.import_module(full_name(module)), "never_was")


@pytest.mark.parametrize("module", MODULES_LEFT_OUT)
def test_a_module_that_is_left_out_is_not_there(module):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(full_name(module))


HEAVY = {
    "cv2",
    "flask",
    "gensim",
    "jinja2",
    "matplotlib",
    "mindcv",
    "onnx",
    "onnxruntime",
    "pandas",
    "pycocotools",
    "requests",
    "rich",
    "sklearn",
    "torch",
}


@pytest.fixture
def imported_by(forking):
    """Return what imports modules in a new process and gives the names of all that this brought."""

    def names(*modules):
        code = f"import json, sys, {', '.join(modules)}; print(json.dumps(list(sys.modules)))"
        done = forking.run("-c", code)
        assert done.returncode == 0, done.stderr
        return set(json.loads(done.stdout))

    return names


def test_no_module_but_serving_brings_a_heavy_package(imported_by):
    modules = [full_name(module) for module in NAMES if module != "serving"]
    assert imported_by(*modules) & HEAVY == set()


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("context", ("data", "model", "vision", "serving", "hub")),
        ("data", ("model", "serving", "hub")),
        ("losses", ("data", "vision", "serving", "hub")),
        ("primitives", ("data", "model", "vision", "serving", "hub")),
        ("vision", ("model", "serving", "hub")),
    ],
)
def test_a_module_does_not_bring_the_others(imported_by, module, others):
    assert imported_by(full_name(module)).isdisjoint(map(full_name, others))
