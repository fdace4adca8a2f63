"""Whatever stands in a job's YAML, it is a job or a JobSpecError, soon, and no file is touched."""

from pathlib import Path

import pytest
import yaml
from fuzzing import PLAIN, at_places, damaged, fuzzed, untouched, with_value
from hypothesis import example
from hypothesis import strategies as st

from sedna_tinyms.errors import JobSpecError
from sedna_tinyms.jobs.manifest.loading import load_job
from sedna_tinyms.jobs.manifest.spec import Job

EXAMPLE = Path(__file__).parents[2] / "examples" / "incremental_mobilenetv2" / "job.yaml"
CONTENT = EXAMPLE.read_bytes()
DOCUMENTS = list(yaml.safe_load_all(CONTENT))
PLACES = at_places(DOCUMENTS)
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (i + 1, i + 1, b",".join([b"*%c" % i] * 9)) for i in range(97, 112)
)


def load(directory, content):
    """Return a job, or None if it is refused."""
    path = directory / "job.yaml"
    path.write_bytes(content)
    with untouched(directory):
        try:
            job = load_job(path)
        except JobSpecError:
            return None
    assert isinstance(job, Job)
    return job


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("job")


def test_the_example_is_a_job(directory):
    assert load(directory, CONTENT) is not None
    assert load(directory, yaml.safe_dump_all(DOCUMENTS).encode()) is not None


@fuzzed(150, content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(BOMB)
@example(b"[" * 50_000)
@example(b"{a: " * 50_000)
@example(b"- " * 50_000)
@example(b"!!python/object/apply:os.system ['touch x']")
@example(b"a: &a [*a]")
@example(b"---\n" * 50_000)
@example(b"x: " + b"9" * 10_000)
@example(b"x: 0x" + b"f" * 100_000)
@example(b"x: " + b"1:" * 10_000 + b"1")
def test_any_content(directory, content):
    load(directory, content)


@fuzzed(150, content=damaged(CONTENT))
def test_the_example_damaged(directory, content):
    load(directory, content)


@fuzzed(120, place=st.sampled_from(PLACES), value=PLAIN)
def test_the_example_with_another_value_anywhere(directory, place, value):
    changed = with_value(DOCUMENTS, place, value)
    documents = changed if isinstance(changed, list) else [changed]
    text = yaml.dump_all(documents, allow_unicode=True)
    load(directory, text.encode("utf-8", "surrogatepass"))


@fuzzed(
    100,
    place=st.sampled_from(PLACES),
    word=st.sampled_from([".inf", "-.inf", ".nan", "1e400", "0o777", "~", "''", "9" * 400, "<<"]),
)
def test_the_example_with_an_odd_word_anywhere(directory, place, word):
    changed = with_value(DOCUMENTS, place, "ODD")
    documents = changed if isinstance(changed, list) else [changed]
    load(directory, yaml.dump_all(documents).replace("ODD", word).encode())
