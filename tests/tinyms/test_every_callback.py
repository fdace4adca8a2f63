"""Rules that hold for each of our callbacks; a new one is found by itself."""

import inspect
import io

import pytest
from rich.console import Console
from scripted_training import train

from sedna_tinyms.errors import ConfigurationError
from sedna_tinyms.tinyms import callbacks

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
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_takes_the_run_context_and_more(kind, hook):
    first, *others = list(inspect.signature(getattr(kind, hook)).parameters.values())[1:]
    assert first.name == "run_context"
    assert [parameter.kind for parameter in others] == [inspect.Parameter.VAR_KEYWORD]


@pytest.mark.parametrize("kind", OURS)
def test_a_training_can_pass_more_to_each_hook(kind, tmp_path):
    class PassingMore(callbacks.Callback):
        """Calls each hook of another callback with one more keyword."""

    def passing(hook):
        return lambda self, context: getattr(inner, hook)(run_context=context, more="of it")

    for hook in HOOKS:
        setattr(PassingMore, hook, passing(hook))
    inner = build(kind, tmp_path)
    train(PassingMore(), accuracy=[0.5, 0.75])


@pytest.mark.parametrize("kind", OURS)
def test_a_keyword_that_is_unknown_is_refused_with_the_nearest(kind):
    parameters = inspect.signature(kind).parameters.values()
    assert parameters
    known = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    misspelt = known[-1] + "s" if known else "anything"
    needed = {
        p.name: "x" for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    }
    hint = f"did you mean '{known[-1]}'" if known else "no keywords"
    with pytest.raises(ConfigurationError, match=rf"{kind.__name__} cannot be built") as error:
        kind(**needed, **{misspelt: 1})
    assert hint in str(error.value)


def test_callbacks_with_hooks_of_the_old_names_still_work():
    called = []

    class Old(callbacks.StrictCallback):
        def epoch_end(self, run_context):
            called.append(run_context.original_args().cur_epoch_num)

    train(Old())
    assert called == [1, 2]
