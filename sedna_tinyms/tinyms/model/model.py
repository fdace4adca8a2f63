"""`Model`: a network with everything needed to train, evaluate, use and store it."""

from __future__ import annotations

import functools
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import mindspore
from mindspore import Parameter, Tensor, nn

from sedna_tinyms.artifact.files import copy_file
from sedna_tinyms.errors import ConfigurationError, ModelFileError, Problems, did_you_mean
from sedna_tinyms.tinyms.context import preferred_graph_mode
from sedna_tinyms.tinyms.model.export import for_export
from sedna_tinyms.tinyms.model.lr_finder import LearningRateCurve, find_learning_rate
from sedna_tinyms.tinyms.model.summary import ModelSummary, summarize
from sedna_tinyms.tinyms.model.weights import load_weights, save_weights

__all__ = ["Model", "load"]

logger = logging.getLogger(__name__)

COMPILE_OPTIONS = ("loss_scale_manager", "keep_batchnorm_fp32", "boost_config_dict", "acc_level")
EXPORT_SUFFIXES = {"MINDIR": ".mindir", "ONNX": ".onnx", "AIR": ".air"}


def _in_own_mode(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of MindSpore's Model that runs in the mode that `compile` decided on."""

    @functools.wraps(method)
    def run(self: Model, *arguments: Any, **keywords: Any) -> Any:
        with preferred_graph_mode() if self._prefers_graph_mode else nullcontext():
            return method(self, *arguments, **keywords)

    return run


class Model(mindspore.Model):  # type: ignore[misc]
    """A network that is compiled with loss, optimizer and metrics, then trained and used.

    `train`, `eval`, `fit`, `build` and `predict` are MindSpore's; `predict` works without
    `compile`. Compiled with an optimizer they run in GRAPH_MODE, in which a training is several
    times as fast, unless the program chose a mode itself with `set_context`. Everything else in
    the program stays in the mode that it has.

    Parameters
    ----------
    network : Cell
        The network.

    Attributes
    ----------
    network : Cell
        The network as given.
    """

    def __init__(self, network: nn.Cell) -> None:
        if not isinstance(network, nn.Cell):
            raise ConfigurationError(
                f"Model takes a network (a mindspore.nn.Cell), not {type(network).__name__}",
                code="wrong-type",
                name="network",
                value=type(network).__name__,
            )
        super().__init__(network)
        self.network = network
        self._prefers_graph_mode = False

    train = _in_own_mode(mindspore.Model.train)
    fit = _in_own_mode(mindspore.Model.fit)
    eval = _in_own_mode(mindspore.Model.eval)
    predict = _in_own_mode(mindspore.Model.predict)
    build = _in_own_mode(mindspore.Model.build)

    def compile(
        self,
        loss_fn: nn.Cell | None = None,
        optimizer: nn.Cell | None = None,
        metrics: dict[str, Any] | set[str] | None = None,
        eval_network: nn.Cell | None = None,
        amp_level: str = "O0",
        **kwargs: Any,
    ) -> None:
        """Set what training and evaluation use; may be called again.

        Parameters
        ----------
        loss_fn : Cell, optional
            Without one, the network must compute its loss.
        optimizer : Optimizer, optional
            Without one, a training step changes nothing.
        metrics : dict or set of str, optional
            Metrics by name, or names that MindSpore knows.
        eval_network : Cell, optional
            Network for evaluation; built from the network and `loss_fn` by default.
        amp_level : {"O0", "O1", "O2", "O3", "auto"}
            Mixed precision.
        **kwargs
            `loss_scale_manager`, `keep_batchnorm_fp32`, `boost_config_dict`, `acc_level`.

        Raises
        ------
        ConfigurationError
            If a keyword is unknown.
        """
        problems = Problems()
        for name in kwargs:
            if name not in COMPILE_OPTIONS:
                problems.add(
                    f"unknown keyword {name!r}{did_you_mean(name, COMPILE_OPTIONS)}",
                    code="unknown-key",
                    name=name,
                    valid=COMPILE_OPTIONS,
                )
        problems.raise_as(
            ConfigurationError,
            f"the model cannot be compiled (further keywords: {', '.join(COMPILE_OPTIONS)})",
        )
        self._prefers_graph_mode = optimizer is not None
        super().__init__(
            self.network, loss_fn, optimizer, metrics, eval_network, amp_level=amp_level, **kwargs
        )

    def summary(
        self, input_shape: Sequence[int], batch_size: int = 1, repeats: int = 5
    ) -> ModelSummary:
        """Return layers, shapes, parameters, operations and the time of one prediction.

        It needs no data and no `compile`, and leaves the network as it was: a picture of zeros
        goes through it.

        Parameters
        ----------
        input_shape : sequence of int
            Shape of one sample, without the batch axis: ``(3, 224, 224)``.
        batch_size : int
            Samples in one prediction.
        repeats : int
            How many predictions are timed; 0 measures no time.

        Returns
        -------
        ModelSummary
            ``print()`` shows it as a table.

        Raises
        ------
        ConfigurationError
            If the network cannot take such an input.
        """
        return summarize(self.network, self.predict, input_shape, batch_size, repeats)

    def lr_find(
        self, train_dataset: Any, lowest: float = 1e-6, highest: float = 1.0, steps: int = 100
    ) -> LearningRateCurve:
        """Try learning rates in short training steps, and forget what was learnt.

        All parameters, those of the optimizer too, have their values again afterwards, also if an
        error or Ctrl-C ended it.

        Parameters
        ----------
        train_dataset : Dataset
            As for `train`; it is repeated if it has fewer batches than `steps`.
        lowest, highest : float
            The first and the last learning rate.
        steps : int
            How many are tried; fewer if the loss runs away before.

        Returns
        -------
        LearningRateCurve
            With the rate to start a training with as `suggestion`.

        Raises
        ------
        ConfigurationError
            If a parameter is out of its range, the model is compiled without optimizer, or the
            optimizer's learning rate cannot be set: one for each group of parameters, or a
            schedule that is computed.
        """
        return find_learning_rate(self, train_dataset, lowest, highest, steps)

    def save_checkpoint(self, ckpt_file_name: str | os.PathLike[str]) -> None:
        """Write the network's parameters, whole or not at all, with mode 0644.

        ``.ckpt`` is appended where it is missing, as MindSpore does.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        path = Path(ckpt_file_name)
        save_weights(self.network, path if path.suffix == ".ckpt" else f"{path}.ckpt")

    def load_checkpoint(
        self, ckpt_file_name: str | os.PathLike[str], strict_load: bool = True
    ) -> dict[str, Parameter]:
        """Load parameters into the network; what matched is logged.

        Parameters
        ----------
        ckpt_file_name : path
            Any file that `load_weights` reads.
        strict_load : bool
            Whether parameters that the file does not hold are an error. False loads what the file
            holds, and says in a warning what it does not.

        Returns
        -------
        dict
            The network's parameters that were loaded, by name.

        Raises
        ------
        ModelFileError
            If the file is missing or broken.
        ForeignModelError
            If it belongs to another network: nothing in it matches, a shape differs, or (where
            `strict_load`) a parameter is missing.
        """
        report = load_weights(self.network, ckpt_file_name, strict=strict_load)
        logger.log(logging.INFO if report.complete else logging.WARNING, "%s", report)
        return {p.name: p for p in self.network.get_parameters() if p.name in report.matched}

    def export(
        self,
        inputs: Tensor,
        file_name: str | os.PathLike[str],
        file_format: str = "MINDIR",
        **kwargs: Any,
    ) -> None:
        """Write the network with its parameters in a format that other runtimes read.

        Parameters
        ----------
        inputs : Tensor
            An input of the shape that the exported network shall take.
        file_name : path
            The file; its suffix is appended where it is missing.
        file_format : {"MINDIR", "ONNX", "AIR"}
            AIR is written on Ascend only. For ONNX with any batch size see `export_onnx`.
        **kwargs
            Passed to `mindspore.export`.

        Raises
        ------
        ConfigurationError
            If the format is unknown.
        StorageError
            If the file cannot be written.
        """
        suffix = EXPORT_SUFFIXES.get(file_format)
        if suffix is None:
            hint = did_you_mean(file_format, EXPORT_SUFFIXES)
            raise ConfigurationError(
                f"unknown export format {file_format!r}{hint}; one of {', '.join(EXPORT_SUFFIXES)}",
                code="unknown-format",
                name="file_format",
                value=file_format,
                valid=tuple(EXPORT_SUFFIXES),
            )
        target = Path(file_name)
        with (
            tempfile.TemporaryDirectory(prefix="sedna-tinyms-") as directory,
            for_export(self.network) as cell,
        ):
            # MindSpore closes the directory that it exports to for everybody else.
            written = Path(directory, f"network{suffix}")
            mindspore.export(
                cell, inputs, file_name=str(written), file_format=file_format, **kwargs
            )
            copy_file(written, target if target.suffix == suffix else f"{target}{suffix}")


def load(file_name: str | os.PathLike[str]) -> nn.GraphCell:
    """Return the network in a MindIR file as a callable cell.

    Raises
    ------
    ModelFileError
        If the file is missing or is no MindIR.
    """
    path = Path(file_name)
    if not path.is_file():
        raise ModelFileError(
            f"the model file {path} does not exist", code="missing-file", path=str(path)
        )
    try:
        return nn.GraphCell(mindspore.load(str(path)))
    except (RuntimeError, ValueError) as error:
        raise ModelFileError(
            f"the model file {path} ({path.stat().st_size} bytes) is no readable MindIR: {error}",
            code="damaged",
            path=str(path),
        ) from error
