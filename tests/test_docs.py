import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])


def test_the_api_page_is_what_the_code_says():
    written = subprocess.run(
        [sys.executable, str(ROOT / "docs/make_api.py")], capture_output=True, text=True, check=True
    )
    page = (ROOT / "docs/api.md").read_text()
    assert page == written.stdout, "run: python docs/make_api.py > docs/api.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_the_pages_is_python_and_imports_what_exists(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        for statement in ast.walk(ast.parse(block)):
            if isinstance(statement, ast.ImportFrom) and not statement.module.startswith("sedna."):
                names = ", ".join(name.name for name in statement.names)
                exec(f"from {statement.module} import {names}", {})  # noqa: S102


def test_the_contents_of_the_user_guide_name_all_of_it():
    guide = (ROOT / "docs/user-guide.md").read_text()
    contents = re.findall(r"^- \[(.*)\]\(#", guide, re.MULTILINE)
    assert contents == re.findall(r"^## (.*)", guide, re.MULTILINE)


def test_every_dependency_has_an_upper_and_a_lower_bound():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for needed in [
        *project["dependencies"],
        *(line for lines in extras.values() for line in lines),
    ]:
        if not needed.startswith("sedna-tinyms["):
            assert re.fullmatch(r"[\w-]+>=[\d.]+,<\d[\d.]*", needed), needed
