"""Which device a job wants, and whether this MindSpore can give it."""

from __future__ import annotations

import os
from collections.abc import Mapping

import mindspore

from sedna_tinyms.errors import DeviceError, did_you_mean

__all__ = ["available_targets", "select_target", "wanted_target"]

TARGETS = {"CPU": "CPU", "GPU": "GPU", "CUDA": "GPU", "NPU": "Ascend", "ASCEND": "Ascend"}
"""Sedna's device categories, and MindSpore's names for them."""


def wanted_target(
    category: str | None = None,
    *,
    use_cuda: bool = False,
    use_npu: bool = False,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return MindSpore's name of the device that a job asks for.

    Parameters
    ----------
    category : str, optional
        CPU, GPU, NPU or ASCEND, in any case; the variable ``DEVICE_CATEGORY`` by default.
    use_cuda, use_npu : bool
        What Sedna's `set_backend` passes; they decide where no category is given.
    environment : mapping, optional
        The environment of this process by default.

    Returns
    -------
    {"CPU", "GPU", "Ascend"}
        CPU instead of GPU where ``CUDA_VISIBLE_DEVICES`` is empty or -1: that hides every GPU,
        while KubeEdge's library takes its mere presence for one.

    Raises
    ------
    DeviceError
        If the category is unknown.
    """
    env = os.environ if environment is None else environment
    asked = (category or env.get("DEVICE_CATEGORY") or "").strip().upper()
    if not asked:
        asked = "NPU" if use_npu else "GPU" if use_cuda else "CPU"
    if asked not in TARGETS:
        raise DeviceError(
            f"DEVICE_CATEGORY is {asked!r}{did_you_mean(asked, TARGETS)}; "
            f"it must be one of CPU, GPU, NPU or ASCEND",
            code="unknown-name",
            value=asked,
            valid=tuple(TARGETS),
        )
    hidden = (env.get("CUDA_VISIBLE_DEVICES") or "").strip() in ("", "-1")
    if TARGETS[asked] == "GPU" and "CUDA_VISIBLE_DEVICES" in env and hidden:
        return "CPU"
    return TARGETS[asked]


def available_targets() -> list[str]:
    """List the devices that this MindSpore can use on this machine, CPU first."""
    return [name for name in ("CPU", "GPU", "Ascend") if mindspore.hal.is_available(name)]


def select_target(target: str) -> None:
    """Make MindSpore run on `target`, unless the program chose a device itself.

    Raises
    ------
    DeviceError
        If this MindSpore cannot; the message lists what it can do.
    """
    if _device_was_chosen() or target == mindspore.get_context("device_target"):
        return
    if mindspore.hal.is_available(target):
        try:
            mindspore.set_device(target)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise DeviceError(
                f"MindSpore refuses the device {target}: {reason}",
                code="unavailable-device",
                value=target,
            ) from error
        return
    raise DeviceError(
        f"the device {target} cannot be had: MindSpore {mindspore.__version__} can use "
        f"{', '.join(available_targets())} on this machine. Set DEVICE_CATEGORY to one of these"
        + (
            f"; GPU is asked for because CUDA_VISIBLE_DEVICES is "
            f"{os.environ['CUDA_VISIBLE_DEVICES']!r}, and an empty value hides all GPUs"
            if target == "GPU" and "CUDA_VISIBLE_DEVICES" in os.environ
            else ""
        ),
        code="unavailable-device",
        value=target,
        valid=tuple(available_targets()),
    )


def _device_was_chosen() -> bool:
    # Only this private object knows whether `mindspore.set_device` was called.
    try:
        from mindspore._c_expression import DeviceManagerConf
    except ImportError:
        return False
    return bool(DeviceManagerConf.get_instance().is_device_enable())
