"""Rules that hold for each of our callbacks; a new one is found by itself."""

import inspect
import io

import pytest
from rich.console import Console
from scripted_training import train

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms import callbacks
from sedna_tinyms.tinyms.context import GRAPH_MODE, PYNATIVE_MODE

OURS = [
    kind
    for kind in vars(callbacks).values()
    if inspect.isclass(kind)
    and issubclass(kind, callbacks.Callback)
    and kind.__module__.startswith("sedna_tinyms")
]
HOOKS = sorted(name for name in dir(callbacks.Callback) if name.startswith("on_"))


def build(kind, directory):
    pytest.importorskip("tensorboardX") if kind is callbacks.TensorBoardLogger else None
    needed = {
        "lr_init": [0.01] * 6,
        "path": directory / "file.ckpt",
        "log_dir": directory,
        "console": Console(file=io.StringIO()),
        "write": lambda line: None,
    }
    parameters = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in needed.items() if name in parameters})


def test_they_are_found():
    assert {kind.__name__ for kind in OURS} >= {"BestCheckpoint", "CSVLogger", "LossTimeMonitor"}
    assert {kind.__name__ for kind in OURS} <= set(callbacks.__all__)
    assert len(HOOKS) == 12


@pytest.mark.parametrize("kind", OURS)
def test_a_hook_takes_the_run_context_and_more(kind):
    for hook in HOOKS:
        first, *others = list(inspect.signature(getattr(kind, hook)).parameters.values())[1:]
        assert first.name == "run_context", hook
        assert [parameter.kind for parameter in others] == [inspect.Parameter.VAR_KEYWORD], hook


def passing_more(inner, called):
    """Return a callback that calls each hook of another with one more keyword."""

    class PassingMore(callbacks.Callback):
        pass

    def passing(hook):
        def call(self, context):
            called.add((type(inner), hook))
            getattr(inner, hook)(run_context=context, more="of it")

        return call

    for hook in HOOKS:
        setattr(PassingMore, hook, passing(hook))
    return PassingMore()


@pytest.mark.parametrize("mode", [GRAPH_MODE, PYNATIVE_MODE])
def test_a_training_can_pass_more_to_each_hook(mode, tmp_path):
    called = set()
    built = [build(kind, tmp_path / kind.__name__) for kind in OURS]
    train([passing_more(inner, called) for inner in built], mode=mode, accuracy=[0.5, 0.75])
    assert called == {(kind, hook) for kind in OURS for hook in HOOKS}


@pytest.mark.parametrize("kind", OURS)
def test_a_keyword_that_is_unknown_is_refused_with_the_nearest(raises, kind):
    parameters = inspect.signature(kind).parameters.values()
    assert parameters
    known = tuple(p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
    misspelt = known[-1] + "s" if known else "anything"
    needed = {
        p.name: "x" for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    with raises(ConfigurationError, "unknown-key") as raised:
        kind(**needed, **{misspelt: 1})
    (problem,) = raised.value.problems
    assert problem.fields == {"name": misspelt, "valid": known}


def test_callbacks_with_hooks_of_the_old_names_still_work():
    called = []

    class Old(callbacks.StrictCallback):
        def epoch_end(self, run_context):
            called.append(run_context.original_args().cur_epoch_num)

    train(Old())
    assert called == [1, 2]
