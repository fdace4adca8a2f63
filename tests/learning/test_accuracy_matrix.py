import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedna_tinyms.errors import ConfigurationError, ModelFileError, StorageError
from sedna_tinyms.learning.accuracy_matrix import AccuracyMatrix, mean_and_spread, over_seeds

NAN = math.nan
THREE = ["photo", "cartoon", "sketch"]


def test_nothing_forgotten():
    matrix = AccuracyMatrix(THREE, [[0.9, 0.2, 0.1], [0.9, 0.8, 0.3], [0.9, 0.8, 0.7]])
    assert matrix.accuracy() == pytest.approx(0.8)
    assert matrix.forgetting() == matrix.forgetting(signed=True) == 0
    assert matrix.backward_transfer() == 0


def test_all_forgotten():
    matrix = AccuracyMatrix(THREE, [[0.9, 0, 0], [0, 0.8, 0], [0, 0, 0.7]])
    assert matrix.accuracy() == pytest.approx(0.7 / 3)
    assert matrix.forgetting() == matrix.forgetting(signed=True) == pytest.approx(0.85)
    assert matrix.backward_transfer() == pytest.approx(-0.85)


def test_a_worked_example():
    rows = [[0.6, 0.3, 0.2], [0.8, 0.9, 0.4], [0.7, 0.95, 0.5]]
    matrix = AccuracyMatrix(THREE, rows, baseline=[0.1, 0.2, 0.3])
    assert matrix.accuracy() == pytest.approx((0.7 + 0.95 + 0.5) / 3)
    assert matrix.forgetting() == pytest.approx((0.1 + 0.0) / 2)  # cartoon is at its best
    assert matrix.forgetting(signed=True) == pytest.approx((0.1 - 0.05) / 2)
    assert matrix.backward_transfer() == pytest.approx((0.1 + 0.05) / 2)
    assert matrix.forward_transfer() == pytest.approx(((0.3 - 0.2) + (0.4 - 0.3)) / 2)
    assert matrix.diaz_rodriguez() == pytest.approx(
        {
            "accuracy": (0.6 + 0.8 + 0.9 + 0.7 + 0.95 + 0.5) / 6,
            "bwt": (0.2 + 0.1 + 0.05) / 3,
            "fwt": (0.3 + 0.2 + 0.4) / 3,
        }
    )
    # The sum of all steps between rows, over N * N = 9; the diagonal below the baseline's row.
    assert matrix.ianvs() == pytest.approx(
        {
            "ianvs_bwt": ((0.7 - 0.1) + (0.95 - 0.2) + (0.5 - 0.3)) / 9,
            "ianvs_fwt": ((0.1 - 0.1) + (0.3 - 0.2) + (0.4 - 0.3)) / 3,
        }
    )


def test_one_task_can_neither_forget_nor_transfer():
    matrix = AccuracyMatrix(["photo"], [[0.9]], baseline=[0.2])
    assert matrix.accuracy() == 0.9
    figures = [matrix.forgetting(), matrix.backward_transfer(), matrix.forward_transfer()]
    assert all(map(math.isnan, figures))


def test_more_domains_than_rounds():
    matrix = AccuracyMatrix(THREE, [[0.9, 0.5, 0.4], [0.6, 0.8, 0.6]], baseline=[0, 0, 0])
    assert matrix.accuracy() == pytest.approx(0.7)  # sketch was not learned
    assert matrix.forgetting() == pytest.approx(0.3)
    assert matrix.forward_transfer() == pytest.approx(0.5)
    assert all(map(math.isnan, matrix.ianvs().values()))


def test_a_domain_that_comes_back():
    matrix = AccuracyMatrix(
        ["day", "night"], [[0.9, 0.1], [0.5, 0.8], [0.95, 0.6]], ["day", "night", "day"]
    )
    assert matrix.forgetting() == pytest.approx(0.2)  # of night: day was just learned again
    assert matrix.backward_transfer() == pytest.approx(-0.2)


def test_what_was_not_measured_is_left_out():
    matrix = AccuracyMatrix(THREE, [[0.9, NAN, NAN], [NAN, 0.8, NAN], [0.8, 0.8, NAN]])
    assert matrix.accuracy() == pytest.approx(0.8)
    assert matrix.forgetting() == pytest.approx(0.05)
    assert math.isnan(matrix.forward_transfer())  # no baseline
    assert all(map(math.isnan, matrix.ianvs().values()))


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.floats(0, 1), min_size=n, max_size=n), min_size=n, max_size=n
        )
    )
)
@settings(deadline=None)
def test_how_the_figures_are_related(rows):
    matrix = AccuracyMatrix([f"d{n}" for n in range(len(rows))], rows)
    if len(rows) == 1:
        return
    assert 0 <= matrix.forgetting() <= 1
    assert matrix.forgetting() >= -matrix.backward_transfer() - 1e-9
    assert matrix.forgetting() >= matrix.forgetting(signed=True) - 1e-9


def test_rounds_are_added_one_by_one():
    matrix = AccuracyMatrix(["photo"], baseline=[0.1])
    assert math.isnan(matrix.accuracy())
    matrix.add("photo", {"photo": 0.9})
    matrix.add("sketch", {"sketch": 0.6, "photo": 0.8})
    assert matrix.domains == ("photo", "sketch")
    np.testing.assert_array_equal(matrix.values, [[0.9, NAN], [0.8, 0.6]])
    assert matrix.summary() == pytest.approx(
        {"accuracy": 0.7, "forgetting": 0.1, "bwt": -0.1, "fwt": NAN}, nan_ok=True
    )
    assert str(matrix).splitlines() == [
        "after   photo  sketch",
        "photo   0.900       -",
        "sketch  0.800   0.600",
    ]


def test_mean_and_spread_over_seeds():
    matrices = [AccuracyMatrix(["a"], [[accuracy]]) for accuracy in (0.7, 0.8, 0.9)]
    spread = over_seeds(matrices)
    assert spread["accuracy"] == pytest.approx((0.8, 0.1, 3))
    assert str(spread["accuracy"]) == "0.800 ± 0.100"
    assert math.isnan(spread["forgetting"].mean)
    assert spread["forgetting"].seeds == 0
    assert str(mean_and_spread([0.5])) == "0.500"
    assert str(mean_and_spread([])) == "-"


def test_a_matrix_comes_back_from_its_file(tmp_path):
    matrix = AccuracyMatrix(THREE, [[0.9, NAN, 0.1], [0.8, 0.7, NAN]], ["photo", "round-2"])
    matrix.save(tmp_path / "matrix.json")
    loaded = AccuracyMatrix.load(tmp_path / "matrix.json")
    assert loaded.as_dict() == matrix.as_dict()
    assert json.loads((tmp_path / "matrix.json").read_text())["accuracy"][0][1] is None
    (tmp_path / "directory").mkdir()
    with pytest.raises(StorageError):
        matrix.save(tmp_path / "directory")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        "{}",
        '{"domains": ["a"], "learned": ["a"], "accuracy": [[7]], "baseline": [null]}',
        '{"domains": ["a"], "learned": ["a"], "accuracy": [["x"]], "baseline": [null]}',
        '{"domains": ["a"], "learned": [], "accuracy": [[0.5]], "baseline": [null]}',
        '{"domains": ["a"], "learned": ["a"], "accuracy": [0.5], "baseline": [null]}',
        '{"domains": ["a"], "learned": ["a"], "accuracy": [[1%s]], "baseline": [null]}'
        % ("0" * 400),
        pytest.param("[" * 100_000, id="nested"),
    ],
)
def test_a_broken_file_is_refused_with_its_name(content, tmp_path, raises):
    path = tmp_path / "matrix.json"
    if content is not None:
        path.write_text(content)
    code = "missing-file" if content is None else "damaged"
    with raises(ModelFileError, code, path=path, golden=False):
        AccuracyMatrix.load(path)


def test_what_is_no_matrix_is_refused(raises):
    with raises(ConfigurationError, "duplicate", name="domains"):
        AccuracyMatrix(["a", "a"])
    with raises(ConfigurationError, "wrong-shape", value=(1, 2), expected=(0, 1)):
        AccuracyMatrix(["a"], [[0.1, 0.2]])
    with raises(ConfigurationError, "out-of-range", value=86.3):
        AccuracyMatrix(["a"], [[86.3]])
    with raises(ConfigurationError, "wrong-length", name="learned", value=2, expected=1):
        AccuracyMatrix(["a"], [[0.5]], ["a", "b"])
    with raises(ConfigurationError, "not-a-number", golden=False):
        AccuracyMatrix(["a"], [["high"]])
