import ast
import importlib
import pickle
import re
from pathlib import Path

import sedna_tinyms
from sedna_tinyms import errors
from sedna_tinyms.errors import (
    ConfigurationError,
    DatasetError,
    MissingExtraError,
    Problems,
    did_you_mean,
    extra,
)

PACKAGE = Path(sedna_tinyms.__file__).parent


def kinds():
    return [
        getattr(errors, name)
        for name in errors.__all__
        if isinstance(getattr(errors, name), type)
        and issubclass(getattr(errors, name), errors.SednaTinyMSError)
    ]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    for kind in kinds():
        line = next(
            line for line in errors.__doc__.splitlines() if f" {kind.__name__} ." in f" {line}"
        )
        assert f" {kind.exit_code} " in f"{line} ", line


def test_an_error_carries_its_code_and_fields_also_through_pickle():
    error = DatasetError("a.txt:3: no label", code="missing-label", path="a.txt", line=3)
    for each in (error, pickle.loads(pickle.dumps(error))):  # noqa: S301
        assert (each.code, each.fields) == ("missing-label", {"path": "a.txt", "line": 3})
        assert str(each) == "a.txt:3: no label"
    assert DatasetError("of no particular kind").code == "dataset"


def test_each_kind_has_a_default_code_of_its_own():
    assert len({kind.code for kind in kinds()}) == len(kinds())


def test_problems_are_said_together_and_the_rest_is_counted(raises):
    problems = Problems()
    for i in range(23):
        problems.add(f"line {i}", code="odd", number=i)
    with raises(ConfigurationError, "odd") as raised:
        problems.raise_as(ConfigurationError, "broken")
    assert [each.fields["number"] for each in raised.value.problems] == list(range(23))


def test_problems_of_several_codes_have_the_default_code_of_their_kind(raises):
    problems = Problems()
    problems.add("one", code="odd")
    problems.add("two", code="even")
    with raises(ConfigurationError, "configuration"):
        problems.raise_as(ConfigurationError, "broken")


def test_no_problems_raise_nothing():
    Problems().raise_as(ConfigurationError, "broken")


def test_the_nearest_name_is_offered_only_if_there_is_one():
    assert did_you_mean("treshold", ["threshold", "metric"]) == " (did you mean 'threshold'?)"
    assert did_you_mean("zzz", ["threshold", "metric"]) == ""


def test_a_missing_extra_says_how_to_install_it(raises):
    with raises(MissingExtraError, "missing-extra", extra="report"), extra("report", "a plot"):
        importlib.import_module("no_such_module_anywhere")


def raised_without_code(path):
    """Yield the lines of a module that raise an error of ours without a code of its own."""
    ours = {kind.__name__ for kind in kinds()}
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ours
            and "code" not in {keyword.arg for keyword in node.keywords}
        ):
            yield node.lineno


def test_each_error_that_is_raised_has_a_code():
    sources = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "estimators").rglob("*.py")]
    found = {
        f"{path.relative_to(PACKAGE.parent)}:{line}"
        for path in sources
        if path.name != "errors.py"
        for line in raised_without_code(path)
    }
    assert sorted(found) == []


def codes_in(path):
    """Yield the codes that a module gives: ``code="..."``, and the rules of findings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "code":
            given = node.value
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value).endswith("findings")
            and node.args
        ):
            given = node.args[0]
        else:
            continue
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            yield given.value


def test_the_codes_are_the_ones_of_the_last_release(snapshot):
    """A code that a program may ask for does not disappear unnoticed."""
    sources = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "estimators").rglob("*.py")]
    codes = {code for path in sources for code in codes_in(path)} - {""}
    assert {code for code in codes if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)} == set()
    assert "\n".join(sorted(codes)) == snapshot


TESTS = Path(__file__).parent


def prose_in(path):
    """Yield the lines of a test module that compare the text of an error of ours with a pattern."""
    ours = {kind.__name__ for kind in kinds()}
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "raises"
            and "match" in {keyword.arg for keyword in node.keywords}
            and ours & {each.id for each in ast.walk(node.args[0]) if isinstance(each, ast.Name)}
        ):
            yield node.lineno


def test_tests_pin_no_prose_of_our_errors():
    found = {
        f"{path.relative_to(TESTS)}:{line}"
        for path in TESTS.rglob("test_*.py")
        for line in prose_in(path)
    }
    assert sorted(found) == []


def test_no_golden_message_belongs_to_a_test_that_is_gone():
    for golden in sorted((TESTS / "messages").glob("*.ambr")):
        for name in re.findall(r"^# name: (.*)$", golden.read_text(), re.MULTILINE):
            test, module = name.rsplit(" in ", 1)
            room = TESTS if golden.stem == "package" else TESTS / golden.stem
            function = re.match(r"\w+", test)[0]
            assert f"def {function}(" in (room / module).read_text(), f"{golden.name}: {name}"
