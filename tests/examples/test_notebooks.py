"""The notebooks run from the first cell to the last, and show what they say they show."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(
    path.relative_to(EXAMPLES).as_posix()
    for path in EXAMPLES.rglob("*.ipynb")
    if ".ipynb_checkpoints" not in path.parts
)

# nbclient and the kernel's client leave an event loop and sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a function that runs a notebook in a kernel of its own and returns its output."""

    def run(name, pictures):
        monkeypatch.setenv("EXAMPLE_PICTURES", str(pictures))
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        path = EXAMPLES / name
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=540, resources=resources).execute()
        return [output for cell in notebook.cells for output in cell.get("outputs", ())]

    return run


def text(outputs):
    return "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )


def pictures(outputs):
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_with_the_outputs_of_one_run(name):
    """The documentation site shows them: see docs/run_notebooks.py, which writes them."""
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert pictures(outputs)
    assert not [output for output in outputs if output.output_type == "error"]
    assert "/tmp/tmp" not in text(outputs)


@pytest.mark.slow
def test_the_quick_start_reads_digits(run):
    outputs = run("quick_start.ipynb", 1000)
    accuracy = float(re.search(r"'accuracy': (?:np\.float64\()?([\d.]+)", text(outputs))[1])
    assert accuracy > 0.6
    assert "TOP1:" in text(outputs)
    assert pictures(outputs) == 1


@pytest.mark.slow
def test_transfer_learning_tells_parts_apart(run):
    outputs = run("mobilenetv2_transfer.ipynb", 16)
    assert int(re.search(r"(\d+)% of 24 pictures that it never saw", text(outputs))[1]) > 60
    assert pictures(outputs) == 2


@pytest.mark.slow
@pytest.mark.timeout(600)  # eight processes, each of which starts MindSpore
def test_the_incremental_job_reports_two_rounds(run):
    outputs = run("incremental_mobilenetv2/incremental_mobilenetv2.ipynb", 12)
    assert re.search("round 2 .*(deployed|not proven|rejected|quarantined)", text(outputs))
    assert pictures(outputs) == 1
