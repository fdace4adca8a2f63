"""Run the example notebooks and store their outputs.

The documentation site shows the stored outputs and runs nothing. After a notebook or what it prints
was changed, run this on a calm machine with the extras ``all`` and ``dev``::

    python docs/run_notebooks.py [NOTEBOOK ...]
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = ("*.ipynb", "incremental_mobilenetv2/*.ipynb")
TEMPORARY = re.compile(r"/tmp/tmp\w+")  # noqa: S108 - as it is printed
SHOWN_INSTEAD = "/tmp/example"  # noqa: S108 - only printed


def main(names: list[str]) -> None:
    """Run the notebooks named, or all."""
    os.environ["GLOG_v"] = "3"  # noqa: SIM112 - its name; MindSpore logs errors only
    paths = [Path(name) for name in names] or [
        path for pattern in NOTEBOOKS for path in sorted(EXAMPLES.glob(pattern))
    ]
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=1800, resources=resources, record_timing=False).execute()
        tidy(notebook)
        nbformat.write(notebook, path)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out what differs from machine to machine, and all but one form of each picture."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "text" in output:
                output.text = TEMPORARY.sub(SHOWN_INSTEAD, output.text)
            data = output.get("data", {})
            if "image/png" in data:
                data.pop("image/jpeg", None)
            for kind in ("text/plain", "text/html"):
                if kind in data:
                    data[kind] = TEMPORARY.sub(SHOWN_INSTEAD, data[kind])


if __name__ == "__main__":
    main(sys.argv[1:])
