"""Settings of the documentation site: ``make docs`` builds it below ``docs/_build/html``.

The root of the repository is the source directory, so that a link between two Markdown pages is the
same on the site, in a checkout and where the repository is hosted. The build needs no network and
no MindSpore: stand-ins take the place of the large libraries while the docstrings are read.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.ext.autodoc.mock import MockFinder
from sphinx.util.nodes import make_refnode

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

# Also where the real ones are installed: the pages must not depend on what is.
LARGE_LIBRARIES = ["mindcv", "mindspore", "onnx", "onnxruntime", "openvino", "safetensors", "scipy"]
sys.meta_path.insert(0, MockFinder(LARGE_LIBRARIES))

# A stand-in has any attribute, but `from mindspore.context import *` brings only these.
STAR_IMPORTED = {
    "mindspore.context": ["GRAPH_MODE", "PYNATIVE_MODE", "ParallelMode"],
    "mindspore.dataset.engine": ["Cifar10Dataset", "Cifar100Dataset"],
    "mindspore.dataset.engine.datasets": ["Dataset"],
    "mindspore.numpy": ["array", "asarray", "asfarray"],
}
for module, names in STAR_IMPORTED.items():
    stand_in: Any = import_module(module)
    stand_in.__all__ = names
    for name in names:
        if name.endswith("Dataset"):  # a class that ours are made from when they are imported
            setattr(stand_in, name, type(name, (), {"__module__": module}))

from sedna_tinyms import __version__  # noqa: E402 - needs the path

OURS = ("sedna_tinyms", "estimators")


def public_names(module_name: str) -> dict[str, list[str]]:
    """Return the names that a module offers, by the directive that documents them.

    Constants are left out, and what MindSpore brings under a TinyMS name.
    """
    module = import_module(module_name)
    names: dict[str, list[str]] = {
        directive: [] for directive in ("autoexception", "autoclass", "autofunction", "autodata")
    }
    for name in sorted(module.__all__, key=str.lower):
        value = getattr(module, name)
        if not callable(value) or not str(getattr(value, "__module__", "")).startswith(OURS):
            continue
        if not isinstance(value, type):
            directive = "autofunction" if inspect.isroutine(value) else "autodata"
        elif issubclass(value, Exception):
            directive = "autoexception"
        else:
            directive = "autoclass"
        names[directive].append(name)
    return names


project = "sedna-tinyms"
author = "The sedna-tinyms maintainers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_nb",  # Markdown and notebooks
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]

root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "examples/*.ipynb",
    "examples/**/*.ipynb",
    "examples/**/README.md",
    "sedna_tinyms/exit_codes/*.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = ["**/.*", "docs/_build", "docs/_templates", "**/__pycache__"]
templates_path = [str(ROOT / "docs/_templates")]
highlight_language = "none"  # most blocks are shell commands; others name their language

myst_heading_anchors = 3
nb_execution_mode = "off"  # the outputs are those stored in the notebooks

autosummary_generate = True
autosummary_context = {
    "public_names": {
        name: public_names(name)
        for name in re.findall(r"^   ([\w.]+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    },
    "documented_elsewhere": ["sedna_tinyms.tinyms.data.LabelledImages"],  # in sedna_tinyms.pictures
}
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"  # long names would break in the middle of a word
autodoc_preserve_defaults = True
autodoc_typehints = "none"  # the docstrings name the types
numpydoc_show_class_members = False  # autodoc lists them
default_role = "py:obj"

# A single backtick in a docstring also marks parameters, values and names of other libraries, which
# have no page here. Those that have one become links.
nitpicky = True
nitpick_ignore_regex = [("py:obj", ".*")]

html_theme = "furo"
html_title = f"{project} {release}"
html_extra_path = ["_root"]  # index.html, which leads to docs/index.html
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False


def list_exit_codes(_app: Sphinx, document: str, source: list[str]) -> None:
    """Put the pages below their index, which a command prints too and so has no toctree."""
    if document == "sedna_tinyms/exit_codes/README":
        pages = (ROOT / "sedna_tinyms/exit_codes").glob("[0-9]*.md")
        numbers = sorted(int(page.stem) for page in pages)
        source[0] += "\n```{toctree}\n:hidden:\n\n" + "\n".join(map(str, numbers)) + "\n```\n"


def link_class(
    app: Sphinx, environment: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Link the bare name of a class to its page, if no other class has that name."""
    if node.get("refdomain") != "py" or node.get("reftype") != "obj":
        return None
    classes = {
        name: entry
        for name, entry in environment.domains.python_domain.objects.items()
        if name.rpartition(".")[2] == node["reftarget"]
        and entry.objtype in ("class", "exception")
        and not entry.aliased
    }
    if len(classes) != 1:
        return None
    ((name, entry),) = classes.items()
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)


def break_at_dots(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _document: nodes.Node | None
) -> None:
    """Let a module's long name in the navigation break after a dot, not in the middle of a word."""
    if tree := context.get("furo_navigation_tree"):
        names = re.compile(r"(?<=>)\w+(?:\.\w+)+(?=</a>)")
        context["furo_navigation_tree"] = names.sub(
            lambda name: name[0].replace(".", ".<wbr>"), tree
        )


def require_local(app: Sphinx, error: Exception | None) -> None:
    """Refuse a page that loads a script, a style, a font or a picture from another host."""
    if error or app.builder.format != "html":
        return
    loads = re.compile(r"""(?:<(?:script|link|img)[^>]+(?:src|href)=|url\()["']?(?:https?:)?//""")
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css") and loads.search(path.read_text("utf-8")):
            raise ExtensionError(f"{path} loads something from another host")


def setup(app: Sphinx) -> None:
    """Register the hooks above."""
    app.connect("build-finished", require_local)
    app.connect("html-page-context", break_at_dots, priority=900)  # after the theme made the tree
    app.connect("source-read", list_exit_codes)
    app.connect("missing-reference", link_class)
