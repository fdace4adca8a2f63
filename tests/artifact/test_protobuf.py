import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedna_tinyms.artifact.protobuf import field, fields

NUMBERS = st.integers(1, 2**29 - 1)
VALUES = st.integers(0, 2**63 - 1) | st.text() | st.binary().map(memoryview)


@given(st.lists(st.tuples(NUMBERS, VALUES)), NUMBERS)
def test_what_is_written_is_read(entries, outer):
    message = [piece for number, value in entries for piece in field(number, value)]
    whole = b"".join(field(outer, message))
    ((number, inner),) = fields(memoryview(whole))
    assert number == outer
    expected = [(n, v.encode() if isinstance(v, str) else v) for n, v in entries]
    assert list(fields(inner)) == expected


def test_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="-1 is negative"):
        field(1, -1)
