"""The plugin in KubeEdge's own library, with every module that copies `set_backend`."""

import pytest

COPIERS = """
modules = (
    "sedna.backend",
    "sedna.algorithms.multi_task_learning.multi_task_learning",
    "sedna.core.base",
    "sedna.algorithms.seen_task_learning.seen_task_learning",
    "sedna.algorithms.unseen_task_processing.unseen_task_processing",
    "sedna.core.lifelong_learning.knowledge_management.base_knowledge_management",
)
import importlib, os, sys
import sedna_tinyms.plugin as plugin
plugin.BACKENDS["TINYMS"] = "types:SimpleNamespace"
def load():
    found = []
    for name in modules:
        try:
            found.append(importlib.import_module(name))
        except ModuleNotFoundError as error:
            if error.name.startswith("sedna"):
                raise  # Anything else is a package that only lifelong learning needs.
    return found
def chosen(name):
    os.environ["BACKEND_TYPE"] = name
    return sorted({type(module.set_backend(OneNumber)).__name__ for module in load()})
"""
ORDERS = {
    "plugin first": "load()",
    "plugin last": "plugin.unregister(); load(); plugin.register()",
    "plugin between": "plugin.unregister(); import sedna.backend; plugin.register(); load()",
    "after a reload": "load(); importlib.reload(sys.modules['sedna.backend'])",
    "after a reload of all": "[importlib.reload(module) for module in load()]",
}


@pytest.mark.parametrize("order", ORDERS)
def test_tinyms_is_chosen_in_every_module_and_nothing_else_is(kubeedge, order, tmp_path):
    facts = kubeedge.run(
        f"{COPIERS}\n{ORDERS[order]}\n"
        "facts['copiers'] = len(load())\n"
        "facts['ours'] = chosen('tinyms')\n"
        "facts['others'] = chosen('SKLEARN')\n"
        "plugin.unregister()\n"
        "facts['after'] = chosen('TINYMS')\n",
        tmp_path,
    )
    assert facts.pop("copiers") >= 3
    assert facts == {
        "ours": ["SimpleNamespace"],
        "others": ["BackendBase"],
        "after": ["BackendBase"],
    }


def test_mindspore_stays_kubeedge_s(kubeedge, tmp_path):
    pytest.importorskip("mindspore")
    facts = kubeedge.run(
        f"{COPIERS}\n"
        "os.environ['BACKEND_TYPE'] = 'MINDSPORE'\n"
        "facts['module'] = type(load()[0].set_backend(OneNumber)).__module__\n",
        tmp_path,
    )
    assert facts["module"].startswith("sedna.backend.")


@pytest.mark.parametrize("order", ["plugin first", "plugin last"])
def test_our_filters_stand_beside_sedna_s(kubeedge, order, tmp_path):
    facts = kubeedge.run(
        f"{COPIERS}\n{ORDERS[order]}\n"
        "from sedna.common.class_factory import ClassFactory, ClassType\n"
        "names = ('Margin', 'Energy', 'Novelty', 'IBT')\n"
        "found = [ClassFactory.get_cls(ClassType.HEM, name) for name in names]\n"
        "facts['homes'] = [kind.__module__.partition('.')[0] for kind in found]\n",
        tmp_path,
    )
    assert facts == {"homes": ["sedna_tinyms"] * 3 + ["sedna"]}
