"""TinyMS's set of callbacks for training MobileNetV2."""

from __future__ import annotations

from mindspore import Tensor
from mindspore.train.callback import Callback, CheckpointConfig, ModelCheckpoint

from sedna_tinyms.errors import ConfigurationError, did_you_mean
from sedna_tinyms.tinyms.callbacks.monitors import LossTimeMonitor

__all__ = ["mobilenetv2_cb"]


def mobilenetv2_cb(
    device_target: str,
    lr: Tensor,
    is_saving_checkpoint: bool,
    save_checkpoint_epochs: int,
    step_size: int,
) -> list[Callback] | None:
    """Return TinyMS's callbacks for training MobileNetV2.

    Parameters
    ----------
    device_target : {"CPU", "GPU", "Ascend"}
        Where the training runs.
    lr : Tensor
        The learning rate of every step, as from `mobilenetv2_lr`.
    is_saving_checkpoint : bool
        Whether to write checkpoints to the current directory.
    save_checkpoint_epochs : int
        Epochs between two checkpoints.
    step_size : int
        Steps in an epoch.

    Returns
    -------
    list of Callback, or None
        A `LossTimeMonitor` and, if asked for, a `ModelCheckpoint`; none on Ascend.

    Raises
    ------
    ConfigurationError
        If the device is unknown.
    """
    devices = ("CPU", "GPU", "Ascend")
    if device_target not in devices:
        raise ConfigurationError(
            f"unknown device_target {device_target!r}{did_you_mean(device_target, devices)}; "
            f"one of {', '.join(devices)}",
            code="unknown-name",
            name="device_target",
            value=device_target,
            valid=devices,
        )
    if device_target == "Ascend":
        return None
    callbacks: list[Callback] = [LossTimeMonitor(lr.asnumpy())]
    if is_saving_checkpoint:
        config = CheckpointConfig(
            save_checkpoint_steps=save_checkpoint_epochs * step_size, keep_checkpoint_max=10
        )
        callbacks.append(ModelCheckpoint("mobilenetv2_cifar10", directory="./", config=config))
    return callbacks
