import io
import re

import numpy as np
import pytest
from mindspore import Tensor
from rich.console import Console
from scripted_training import train

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms.callbacks import (
    LambdaCallback,
    LossTimeMonitor,
    LossTimeMonitorV2,
    ModelCheckpoint,
    ProgressBar,
    ProgressMonitor,
    mobilenetv2_cb,
)
from sedna_tinyms.tinyms.utils.train import cb_config, mobilenetv2_lr
from sedna_tinyms.tinyms.utils.train import mobilenetv2_cb as from_utils

NUMBER = r" *\d+\.\d{3}"
STEP = (
    r"epoch: \[  (\d)/  2\], step:\[    (\d)/    3\], "
    rf"loss:\[{NUMBER}/{NUMBER}\], time:\[{NUMBER}\]"
)
EPOCH = rf"epoch time: {NUMBER}, per step time: {NUMBER}, avg loss: {NUMBER}"


@pytest.mark.parametrize("with_rate", [True, False])
def test_each_step_and_epoch_has_a_line_in_tinyms_format(with_rate, capsys):
    rates = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    train(LossTimeMonitor(np.array(rates)) if with_rate else LossTimeMonitorV2())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    steps = [line for i, line in enumerate(lines) if i % 4 != 3]
    for i, line in enumerate(steps):
        rate = rf", lr:\[{rates[i]:.3f}\]" if with_rate else ""
        match = re.fullmatch(STEP + rate, line)
        assert match, line
        assert (int(match[1]), int(match[2])) == divmod(i, 3)
    assert all(re.fullmatch(EPOCH, line) for line in lines[3::4])


@pytest.mark.parametrize("rates", [None, 0.1, [], "fast"])
def test_the_monitor_needs_a_rate_for_every_step(rates):
    with pytest.raises(TypeError, match="one learning rate a step"):
        LossTimeMonitor(rates)


def test_progress_is_one_readable_line_an_epoch():
    lines = []
    train(ProgressMonitor(lines.append), epochs=3)
    assert len(lines) == 3
    for epoch, line in enumerate(lines, 1):
        assert re.fullmatch(
            rf"epoch {epoch}/3  loss \d+\.\d{{3}}  \d+ images/s  \d+ s left", line
        ), line
    assert lines[-1].endswith("  0 s left")


def test_progress_tells_what_an_evaluation_measured():
    lines = []
    train(ProgressMonitor(lines.append), accuracy=[0.5, 0.75])
    assert re.search(r"  loss \d+\.\d{3}  accuracy 0\.750  eval_loss \d+\.\d{3}  ", lines[1])


def test_a_resumed_training_counts_on():
    lines = []
    train(ProgressMonitor(lines.append), epochs=5, initial_epoch=3)
    assert [line.split("  ")[0] for line in lines] == ["epoch 4/5", "epoch 5/5"]
    assert lines[-1].endswith("  0 s left")


def test_a_terminal_sees_a_bar_and_keeps_the_lines():
    screen = io.StringIO()
    train(ProgressBar(Console(file=screen, force_terminal=True, width=100)))
    drawn = screen.getvalue()
    assert "3/3" in drawn
    assert "━" in drawn
    assert "epoch 1/2  loss " in drawn
    assert drawn.rstrip().endswith("  0 s left")


def test_a_bar_does_not_outlive_a_training_that_failed():
    screen = io.StringIO()
    bar = ProgressBar(Console(file=screen, force_terminal=True, width=100))

    def fail(*_):
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        train([bar, LambdaCallback(on_train_step_end=fail)])
    drawn = screen.getvalue()
    bar.console.print("after")
    assert screen.getvalue() == drawn + "after\n"


def test_without_a_terminal_the_bar_writes_lines_only():
    page = io.StringIO()
    train(ProgressBar(Console(file=page, width=100)))
    assert len(page.getvalue().splitlines()) == 2


def test_progress_goes_to_standard_output(capsys):
    train(ProgressMonitor(), epochs=1)
    assert capsys.readouterr().out.startswith("epoch 1/1  loss ")


def test_mobilenetv2_has_a_monitor_and_on_demand_checkpoints():
    rates = mobilenetv2_lr(0, 1e-5, 1e-5, 1e-3, 1, 2, 3)
    (monitor,) = mobilenetv2_cb("CPU", rates, False, 1, 3)
    assert isinstance(monitor, LossTimeMonitor)
    np.testing.assert_array_equal(monitor.lr_init, rates.asnumpy())
    callbacks = mobilenetv2_cb("GPU", rates, True, 2, 3)
    assert [type(c) for c in callbacks] == [LossTimeMonitor, ModelCheckpoint]
    assert mobilenetv2_cb("Ascend", rates, True, 2, 3) is None


def test_mobilenetv2_callbacks_have_both_import_paths():
    assert from_utils is cb_config.mobilenetv2_cb is mobilenetv2_cb


def test_an_unknown_device_is_refused(raises):
    with raises(ConfigurationError, "unknown-name", name="device_target", value="Ascent"):
        mobilenetv2_cb("Ascent", Tensor([0.1]), False, 1, 1)
