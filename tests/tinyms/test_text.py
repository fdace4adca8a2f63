"""Text in a data pipeline, under TinyMS's names."""

from sedna_tinyms.tinyms.data import NumpySlicesDataset
from sedna_tinyms.tinyms.text import Lookup, PadEnd, SlidingWindow, UnicodeCharTokenizer, Vocab


def test_characters_become_numbers_of_one_length():
    vocabulary = Vocab.from_list(["a", "b", "c"], special_tokens=["<unk>"])
    words = NumpySlicesDataset(["abc", "cx"], column_names=["text"], shuffle=False)
    words = words.map(UnicodeCharTokenizer(), ["text"])
    words = words.map(Lookup(vocabulary, "<unk>"), ["text"])
    words = words.map(PadEnd([4], 9), ["text"])
    rows = [row["text"].tolist() for row in words.create_dict_iterator(1, output_numpy=True)]
    assert rows == [[1, 2, 3, 9], [3, 0, 9, 9]]


def test_a_window_slides_over_a_row():
    rows = NumpySlicesDataset([[1, 2, 3]], column_names=["n"]).map(SlidingWindow(2), ["n"])
    (row,) = rows.create_dict_iterator(1, output_numpy=True)
    assert row["n"].tolist() == [[1, 2], [2, 3]]
