import json

import pytest

from sedna_tinyms.jobs.manifest.spec import HardExampleMining, WorkerTemplate
from sedna_tinyms.jobs.workers.environment import (
    common_variables,
    eval_variables,
    inference_variables,
    train_variables,
    worker_environment,
)

MINING = HardExampleMining("IBT", (("threshold_img", "0.9"), ("threshold_box", "0.9")))


def common():
    return common_variables(
        namespace="default",
        job="helmet",
        worker="train-worker-abcde",
        lc_server="http://127.0.0.1:9100",
        prefix="/tmp/root",
        output="/tmp/root/output",
    )


def test_every_worker_knows_its_job_its_name_and_where_to_report():
    assert common() == {
        "NAMESPACE": "default",
        "JOB_NAME": "helmet",
        "WORKER_NAME": "train-worker-abcde",
        "LC_SERVER": "http://127.0.0.1:9100",
        "DATA_PATH_PREFIX": "/tmp/root",
        "SEDNA_TINYMS_OUTPUT": "/tmp/root/output",
    }


def test_each_kind_gets_the_variables_of_the_contract():
    assert train_variables(base_model="/b", model_directory="/t/1", samples="/d", dataset="/o") == {
        "BASE_MODEL_URL": "/b",
        "MODEL_URL": "/t/1",
        "TRAIN_DATASET_URL": "/d",
        "ORIGINAL_DATASET_URL": "/o",
    }
    assert eval_variables(models=["/new", "/old"], samples="/d", dataset="/o") == {
        "MODEL_URLS": "/new;/old",
        "TEST_DATASET_URL": "/d",
        "ORIGINAL_DATASET_URL": "/o",
    }
    cold = inference_variables(model="/m", hard_example_mining=MINING, heartbeat="/h")
    assert set(cold) == {"MODEL_URL", "HEM_NAME", "HEM_PARAMETERS", "SEDNA_TINYMS_HEARTBEAT"}
    assert json.loads(cold["HEM_PARAMETERS"]) == [
        {"key": "threshold_img", "value": "0.9"},
        {"key": "threshold_box", "value": "0.9"},
    ]
    hot = inference_variables(
        model="/m",
        hard_example_mining=MINING,
        heartbeat="/h",
        hot_update_config="/c/model_config.json",
        poll_period_seconds=5,
    )
    assert hot == cold | {
        "MODEL_HOT_UPDATE": "true",
        "MODEL_POLL_PERIOD_SECONDS": "5",
        "MODEL_HOT_UPDATE_CONFIG": "/c/model_config.json",
    }


def test_a_filter_without_parameters_gets_null_as_from_globalmanager():
    random = HardExampleMining("Random")
    variables = inference_variables(model="/m", hard_example_mining=random, heartbeat="/h")
    assert (variables["HEM_NAME"], variables["HEM_PARAMETERS"]) == ("Random", "null")


def test_sednas_variables_win_over_the_template_and_that_over_the_shell():
    template = WorkerTemplate(env={"epochs": "3", "MODEL_URL": "/mine", "OMP_NUM_THREADS": "1"})
    environment = worker_environment(
        template, {"MODEL_URL": "/theirs"}, {"OMP_NUM_THREADS": "2", "PATH": "/bin"}
    )
    assert environment["epochs"] == "3"
    assert environment["MODEL_URL"] == "/theirs"
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["PATH"] == "/bin"


@pytest.mark.parametrize("stray", ["MODEL_URLS", "BACKEND_TYPE", "LC_SERVER", "epochs", "HEM_NAME"])
def test_a_stray_variable_of_the_shell_does_not_reach_a_worker(stray):
    assert stray not in worker_environment(WorkerTemplate(), {}, {stray: "x"})


def test_the_instruction_set_is_limited_unless_somebody_decided(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert worker_environment(WorkerTemplate(), {}, {})["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    own = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    assert worker_environment(WorkerTemplate(), {}, own)["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE"
    template = WorkerTemplate(env={"SEDNA_TINYMS_KEEP_ONEDNN_DEFAULT": "1"})
    assert "ONEDNN_MAX_CPU_ISA" not in worker_environment(template, {}, {})


def test_a_proxy_does_not_come_between_worker_and_runner():
    proxied = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "intranet"}
    environment = worker_environment(WorkerTemplate(), {}, proxied)
    assert environment["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert environment["no_proxy"] == "127.0.0.1,localhost"
    assert "NO_PROXY" not in worker_environment(WorkerTemplate(), {}, {})


def test_a_worker_is_not_told_where_the_signing_key_is():
    keys = {
        "SEDNA_TINYMS_SIGNING_KEY": "/private.pem",
        "SEDNA_TINYMS_PUBLIC_KEY": "/public.pem",
    }
    environment = worker_environment(WorkerTemplate(), {}, keys)
    assert keys.items() & environment.items() == {("SEDNA_TINYMS_PUBLIC_KEY", "/public.pem")}
