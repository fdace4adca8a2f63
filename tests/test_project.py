"""What is stated in several places of the project agrees."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import yaml

import sedna_tinyms
from estimators import model_card
from sedna_tinyms.artifact import description, manifest, store
from sedna_tinyms.jobs import records, state
from sedna_tinyms.learning import accuracy_matrix, memory_file, segments, state_file

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
IMAGES = ["examples/incremental_mobilenetv2/job.yaml", "benchmarks/soak.yaml"]


# --- the version --------------------------------------------------------------------------------


def test_the_version_is_read_from_the_source_without_importing_it():
    text = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'^dynamic = \["version"\]$', text, re.M)
    assert re.search(r'^version = { attr = "sedna_tinyms.__version__" }', text, re.M)
    stated = re.findall(r'^__version__ = "(.*)"$', Path(sedna_tinyms.__file__).read_text(), re.M)
    assert stated == [sedna_tinyms.__version__]  # a literal, which needs no import


def test_a_citation_names_the_version_and_the_authors():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == sedna_tinyms.__version__
    text = (ROOT / "pyproject.toml").read_text()
    authors = re.search(r"^authors = \[(.*)\]$", text, re.M)[1]
    assert re.findall(r'name = "(.*?)"', authors) == [each["name"] for each in citation["authors"]]


@pytest.mark.parametrize("path", IMAGES)
def test_the_images_of_a_job_are_those_that_are_built(path):
    built = re.search(r'variable "VERSION" {\s*default = "(.*)"', bake())[1]
    named = re.findall(r"image: sedna-tinyms/(?:cloud|edge):(\S+)", (ROOT / path).read_text())
    assert set(named) == {built} == {sedna_tinyms.__version__}


def bake():
    return (ROOT / "docker" / "docker-bake.hcl").read_text()


# --- nox ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noxfile():
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    module = sys.modules["noxfile"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lowest_versions_are_the_bounds_of_the_project_and_its_extras(noxfile):
    project = {
        "name": "ours",
        "dependencies": ["numpy>=1.25,<3", "Pillow>=10.0.1,<14"],
        "optional-dependencies": {
            "most": ["ours[one,two]", "three>=3,<4"],
            "one": ["mindspore>=2.8,<2.11", "numpy>=1.9,<2"],
            "two": ["numpy>=1.26,<2"],
            "other": ["scipy>=1,<2"],
        },
    }
    assert list(noxfile.lowest_versions(project, "most")) == [
        "Pillow==10.0.1",
        "mindspore==2.8",
        "protobuf<3.21",
        "numpy==1.26",
        "three==3",
    ]


def test_a_dependency_without_bounds_is_an_error(noxfile):
    project = {"name": "ours", "dependencies": ["numpy"], "optional-dependencies": {"all": []}}
    with pytest.raises(ValueError, match="numpy"):
        list(noxfile.lowest_versions(project, "all"))


def test_the_sessions_cover_what_the_project_claims_to_support(noxfile):
    text = (ROOT / "pyproject.toml").read_text()
    claimed = re.findall(r"Programming Language :: Python :: (3\.\d+)", text)
    assert list(noxfile.PYTHONS) == claimed
    lowest, limit = re.search(r'"mindspore>=2\.(\d+),<2\.(\d+)"', text).groups()
    assert list(noxfile.MINDSPORES) == [f"2.{minor}" for minor in range(int(lowest), int(limit))]
    makefile = (ROOT / "Makefile").read_text()
    slow = re.search(r"^SLOW = (.*)$", makefile, re.M)[1]
    assert " and ".join(f"not {mark}" for mark in slow.split(" or ")) == noxfile.DEFAULT_TIER


# --- workflows ----------------------------------------------------------------------------------


def jobs(workflow):
    return yaml.safe_load(workflow.read_text())["jobs"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_takes_nothing_that_it_does_not_name(workflow):
    text = workflow.read_text()
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    assert "secrets." not in text
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+(\.\d+)*", name)] == []
    assert all(job["timeout-minutes"] <= 120 for job in jobs(workflow).values())


def sessions_asked_for():
    for workflow in WORKFLOWS:
        for job in jobs(workflow).values():
            matrix = job.get("strategy", {}).get("matrix", {})
            yield from (row["session"] for row in matrix.get("include", []))
            if any("tests-${PYTHON}" in step.get("run", "") for step in job["steps"]):
                yield from (f"tests-{python}" for python in matrix["python"])
            for step in job["steps"]:
                yield from re.findall(r"nox -s ([\w-]+)", step.get("run", ""))


def test_the_workflows_ask_for_sessions_that_exist(noxfile):
    there = {"lint", "docs", "edge", "kubeedge", "lowest"}
    assert all(callable(getattr(noxfile, name)) for name in there)
    there |= {f"tests-{python}" for python in noxfile.PYTHONS}
    there |= {f"mindspore(mindspore='{release}')" for release in noxfile.MINDSPORES}
    asked = set(sessions_asked_for())
    assert asked <= there
    # The newest MindSpore is what all other sessions have.
    assert there - asked == {f"mindspore(mindspore='{noxfile.MINDSPORES[-1]}')"}


# --- formats on disk ----------------------------------------------------------------------------


def stated_version(file):
    """Return the version in a file's row of the table."""
    (row,) = re.findall(rf"^\| `{re.escape(file)}`.*$", formats(), re.M)
    return int(re.search(r"\| (\d+): ", row)[1])


def formats():
    return (ROOT / "docs" / "formats.md").read_text()


@pytest.mark.parametrize(
    ("file", "version"),
    [
        ("journal.jsonl", state.VERSION),
        ("models/<number>/model.json", description.FORMAT_VERSION),
        ("models/<number>/manifest.json", manifest.FORMAT_VERSION),
        ("models/deployed.json", store.FORMAT_VERSION),
        ("*.ckpt", model_card.FORMAT_VERSION),
        ("*.onnx", model_card.FORMAT_VERSION),
        ("*.memory.npz", memory_file.FORMAT_VERSION),
        ("*.strategy.npz", state_file.FORMAT_VERSION),
        ("report.json", records.REPORT_VERSION),
        ("accuracy_matrix.json", accuracy_matrix.FORMAT_VERSION),
        ("activations/<space>/*.rows", int(segments.MAGIC[-1:])),
    ],
)
def test_the_page_of_formats_states_the_version_that_is_written(file, version):
    assert stated_version(file) == version


def test_the_page_of_formats_names_what_is_there():
    for path in re.findall(r"`((?:tests|sedna_tinyms|benchmarks)/\S+\.py)`", formats()):
        assert (ROOT / path).is_file(), path
