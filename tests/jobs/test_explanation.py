import json
import re

import pytest

from sedna_tinyms.cli import main
from sedna_tinyms.jobs.explanation import explain_job

INHERITED = {"PATH": "/bin", "OMP_NUM_THREADS": "3", "MODEL_URL": "/stray"}


def explained(job, root=None, inherited=INHERITED):
    return {value.path: value for value in explain_job(job, root, inherited)}


def kind(value):
    """Return where a value comes from, without what is added for a person."""
    return value.source.partition(":")[0]


def line_of(toy_job, text, after=""):
    content = (toy_job.here / "job.yaml").read_text()
    start = content.index(after)
    return f"{toy_job.here / 'job.yaml'}:{content[: content.index(text, start)].count(chr(10)) + 1}"


def test_values_of_the_yaml_have_its_line_and_others_are_defaults(toy_job):
    values = explained(toy_job.job(two_formats=True))
    prob = values["spec.dataset.trainProb"]
    assert (prob.value, prob.source) == (0.8, line_of(toy_job, "trainProb: 0.8"))
    url = values["Dataset/toys.spec.url"]
    assert (url.value, url.source) == ("/data/toys.txt", line_of(toy_job, "url: /data/toys"))
    threshold = values["spec.trainSpec.trigger.condition.threshold"]
    assert (threshold.value, threshold.source) == (3.0, line_of(toy_job, "num_of_samples"))
    grace = values["spec.evalSpec.template.spec.terminationGracePeriodSeconds"]
    assert grace.value == 1
    assert grace.source == line_of(toy_job, "toy_eval")
    timer = values["spec.trainSpec.trigger.timer"]
    assert (timer.value, kind(timer)) == (None, "default")
    assert values["spec.evalSpec.initialEvalModel.name"].value == "compared"


def test_the_default_of_a_model_to_compare_with(toy_job):
    model = explained(toy_job.job())["spec.evalSpec.initialEvalModel.name"]
    assert (model.value, kind(model)) == ("deployed", "default")


@pytest.mark.parametrize("hot", [False, True])
def test_the_environment_is_that_of_the_workers(toy_job, hot, monkeypatch):
    """What is explained before a round is what its workers then see."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    toy_job.add_samples(10)
    said = explained(toy_job.job(hot=hot), toy_job.root, None)
    toy_job.runner(hot=hot, rounds=1).run()
    for kind in ("train", "eval", "inference"):
        seen = toy_job.seen(kind)[0]["env"]
        names = {path.split(".env.")[1] for path in said if path.startswith(f"{kind}.env.")}
        own = {"PWD", "SHLVL", "OLDPWD", "_", "LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
        assert names - own == set(seen) - own
        for name in names - {"WORKER_NAME", "LC_SERVER", "MODEL_URLS"} - own:
            value = said[f"{kind}.env.{name}"].value
            assert value in (seen[name], "(hidden)"), name
        assert said[f"{kind}.env.OMP_NUM_THREADS"].source == "environment"


def test_where_the_variables_come_from(toy_job):
    job = toy_job.job()
    values = explained(job, toy_job.root)
    output = line_of(toy_job, "outputDir")
    model = values["train.env.MODEL_URL"]
    assert model.value == f"{toy_job.output}/train/1"
    assert model.source.startswith(f"{output},")
    assert values["train.env.BASE_MODEL_URL"].source == line_of(toy_job, "url: /models/initial")
    assert values["train.env.DATA_PATH_PREFIX"].source == "--root"
    assert values["train.env.NAMESPACE"].source == line_of(toy_job, "namespace: default")
    assert values["inference.env.HEM_NAME"].source == line_of(toy_job, "hardExampleMining")
    assert values["train.env.PATH"].source == "environment"
    assert values["train.env.PYTHONUNBUFFERED"].source == "default"
    assert "train.env.OMP_NUM_THREADS" in values
    assert values["inference.env.MODEL_URL"].value == str(toy_job.deployed)


def test_a_variable_of_the_template_is_found_by_its_line(toy_job):
    yaml = toy_job.yaml()
    env = "name: train, env: [{name: A, value: '1'},\n {name: A, value: '2'}]"
    yaml.write_text(yaml.read_text().replace("name: train", env))
    from sedna_tinyms.jobs import load_job

    value = explained(load_job(yaml))["train.env.A"]
    assert (value.value, value.source) == ("2", line_of(toy_job, "value: '2'"))


def test_the_next_round_starts_from_what_was_deployed(toy_job):
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    values = explained(toy_job.job(), toy_job.root)
    assert values["train.env.MODEL_URL"].value == f"{toy_job.output}/train/2"
    base = values["train.env.BASE_MODEL_URL"]
    assert base.value.startswith(f"{toy_job.output}/train/1/")
    assert not re.search(r":\d", base.source), "no line of the YAML says it"


def test_secrets_are_not_shown(toy_job):
    inherited = {"SECRET_ACCESS_KEY": "abc", "HTTPS_PROXY": "http://me:pw@proxy:1"}
    values = explained(toy_job.job(), None, inherited)
    assert values["train.env.SECRET_ACCESS_KEY"].value == "(hidden)"
    assert values["train.env.HTTPS_PROXY"].value == "http://(hidden)@proxy:1"


def test_the_command_prints_a_line_a_value_and_writes_nothing(toy_job, capsys):
    yaml = toy_job.yaml()
    before = sorted(toy_job.here.parent.rglob("*"))
    assert main(["explain", str(yaml), "--root", str(toy_job.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"spec.dataset.trainProb = 0.8  [{line_of(toy_job, 'trainProb: 0.8')}]" in lines
    assert 'run.--base = "last-deployed"  [default]' in lines
    assert sorted(toy_job.here.parent.rglob("*")) == before


def test_the_same_as_json(toy_job, capsys):
    assert main(["explain", str(toy_job.yaml()), "--json"]) == 0
    values = {each["path"]: each for each in json.loads(capsys.readouterr().out)}
    assert values["spec.outputDir"]["value"] == "/output"


def test_a_job_that_is_none(toy_job, capsys):
    yaml = toy_job.yaml()
    yaml.write_text(yaml.read_text().replace("trainProb", "trainPorb"))
    assert main(["explain", str(yaml)]) == 3
    assert "trainPorb" in capsys.readouterr().err


def test_every_way_in_which_a_source_is_said(toy_job, snapshot):
    toy_job.add_samples(10)
    toy_job.runner(rounds=1).run()
    inherited = {"PATH": "/bin", "no_proxy": "10.0.0.1"}
    job = toy_job.job(two_formats=True)
    values = [*explain_job(job, None, inherited), *explain_job(job, toy_job.root, inherited)]
    sources = {re.sub(r"(job\.yaml):\d+", r"\1:<line>", each.source) for each in values}
    assert "\n".join(sorted(sources)) == snapshot
