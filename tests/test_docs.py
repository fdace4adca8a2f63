import ast
import re
from pathlib import Path

import pytest
import yaml

from sedna_tinyms import __version__
from sedna_tinyms.cli import COMMANDS

ROOT = Path(__file__).parent.parent
SITE = [
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("examples/**/README.md"),
    *(path for path in ROOT.glob("examples/**/*.ipynb") if "checkpoint" not in path.name),
    *ROOT.glob("sedna_tinyms/exit_codes/*.md"),
    *(path for path in ROOT.glob("*.md") if path.name != "README.md"),
]
PAGES = sorted({ROOT / "README.md", *(path for path in SITE if path.suffix == ".md")})


def name(path):
    return path.relative_to(ROOT).as_posix()


def read(page):
    return (ROOT / page).read_text()


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text):
    """Return the anchors of the headings, as Markdown hosts and the site make them."""
    headings = re.findall(r"^#+ (.*)", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", without_code(text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        leads_to = page.parent / target if target else page
        assert leads_to.exists(), target
        assert not anchor or anchor in anchors(leads_to.read_text()), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_in_the_pages_is_python_and_imports_what_exists(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        for statement in ast.walk(ast.parse(block)):
            if isinstance(statement, ast.ImportFrom) and not statement.module.startswith("sedna."):
                names = ", ".join(name.name for name in statement.names)
                exec(f"from {statement.module} import {names}", {})  # noqa: S102


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_tests_that_a_page_names_exist(page):
    for path in re.findall(r"(tests/[\w./-]+(?:\.py|/))", page.read_text()):
        assert (ROOT / path).exists(), path


def test_every_page_is_in_the_navigation_of_the_site():
    """The pages of exit codes are put below their index when the site is built."""
    index = ROOT / "docs/index.md"
    entries = []
    for block in re.findall(r"```{toctree}\n(.*?)```", index.read_text(), re.DOTALL):
        entries += [line for line in block.splitlines() if line and not line.startswith(":")]
    found = [(index.parent / entry).resolve().relative_to(ROOT).as_posix() for entry in entries]
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in SITE}
    exit_codes = {page for page in pages if re.search(r"exit_codes/\d+$", page)}
    assert sorted(found) == sorted(pages - exit_codes - {"docs/index"})


def test_the_api_page_names_modules_that_say_what_is_public():
    modules = re.findall(r"^   ([\w.]+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    assert len(modules) == len(set(modules))
    for module in modules:
        path = ROOT / module.replace(".", "/")
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        assert "__all__" in source.read_text(), module


def test_the_contents_of_the_user_guide_name_all_of_it():
    guide = (ROOT / "docs/user-guide.md").read_text()
    contents = re.findall(r"^- \[(.*)\]\(#", guide, re.MULTILINE)
    assert contents == re.findall(r"^## (.*)", guide, re.MULTILINE)


def test_the_pages_of_exit_codes_are_in_the_wheel():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    package = ROOT / "sedna_tinyms"
    patterns = tool["setuptools"]["package-data"]["sedna_tinyms"]
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    pages = set(package.glob("exit_codes/*"))
    assert pages
    assert pages <= packed


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_make_targets_and_commands_in_the_pages_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    text = page.read_text()
    for target in re.findall(r"(?:^ {4}|`|\$ )make ([a-z][\w-]*)", text, re.MULTILINE):
        rule = "bench-%" if target.startswith("bench-") else target
        assert re.search(rf"^{rule}:", makefile, re.MULTILINE), f"make {target}"
    for command in re.findall(r"(?:^ {4}|`|\$ )sedna-tinyms ([a-z][\w-]*)", text, re.MULTILINE):
        assert command in COMMANDS, f"sedna-tinyms {command}"


def test_the_changelog_and_the_citation_name_this_version():
    """A release gets a date in the changelog, which is the date of its citation."""
    releases = re.findall(r"^## (\S+) - (\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.MULTILINE)
    citation = yaml.safe_load(read("CITATION.cff"))
    assert releases[0] == (citation["version"], str(citation["date-released"]))
    assert releases[0][0] == __version__


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
