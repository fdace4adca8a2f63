"""The data sets that a benchmark reads: a table, or folders."""

from pathlib import Path

from labelled_pictures import class_names, evenly, labels_of, read_domains

from sedna_tinyms.errors import DatasetError, UsageError

TABLE = """file,domain,class,split,width
sketch/dog/1.png,sketch,dog,train,227
sketch/cat/1.png,sketch,cat,train,227
sketch/cat/2.png,sketch,cat,test,227
photo/dog/1.jpg,photo,dog,train,227
photo/dog/2.jpg,photo,dog,test,227
art_painting/dog/1.jpg,art_painting,dog,train,227
art_painting/dog/2.jpg,art_painting,dog,val,227
cartoon/dog/1.jpg,cartoon,dog,train,227
cartoon/dog/2.jpg,cartoon,dog,test,227
"""


def folders(directory, domains=("night", "day"), count=10):
    for domain in domains:
        for name in ("bolt", "nut"):
            folder = directory / domain / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.png").touch()
    return directory


def test_a_table_tells_domains_classes_and_the_split(tmp_path):
    (tmp_path / "labels.csv").write_text(TABLE)
    domains = read_domains(tmp_path)
    assert [domain.name for domain in domains] == ["photo", "art_painting", "cartoon", "sketch"]
    sketch = domains[-1]
    assert sketch.test == [(str(tmp_path / "sketch/cat/2.png"), "cat")]
    assert [name for _, name in sketch.train] == ["cat", "dog"]
    assert class_names(domains) == ["cat", "dog"]
    assert labels_of(sketch.train, ["cat", "dog"]) == [0, 1]
    assert len(domains[1].test) == 1  # whatever is not for training is for testing


def test_a_table_without_domains_is_one(tmp_path):
    (tmp_path / "labels.csv").write_text("file,class,split\na.png,ant,train\nb.png,ant,val\n")
    (domain,) = read_domains(tmp_path)
    assert (domain.name, len(domain.train), len(domain.test)) == ("all", 1, 1)


def test_folders_are_split_the_same_way_each_time(tmp_path):
    once, again = (read_domains(folders(tmp_path / name)) for name in ("a", "b"))
    assert [domain.name for domain in once] == ["day", "night"]
    for one, other in zip(once, again, strict=True):
        assert (len(one.train), len(one.test)) == (14, 6)
        assert [Path(p).name for p, _ in one.test] == [Path(p).name for p, _ in other.test]
        assert not {p for p, _ in one.train} & {p for p, _ in one.test}
        assert [name for _, name in one.test].count("bolt") == 3


def test_domains_and_pictures_are_chosen(tmp_path):
    (night,) = read_domains(folders(tmp_path), "night", images=5)
    assert [name for _, name in night.train] == ["bolt", "nut", "bolt", "nut", "bolt"]
    assert len(night.test) == 6


def test_classes_take_turns():
    samples = [("1", "a"), ("2", "a"), ("3", "a"), ("4", "b")]
    assert evenly(samples, 3) == [("1", "a"), ("4", "b"), ("2", "a")]
    assert sorted(evenly(samples, None)) == samples


def test_an_unknown_domain_is_refused_with_the_nearest(tmp_path, raises):
    fields = {"name": "--domains", "value": "nigt", "valid": ["day", "night"]}
    with raises(UsageError, "unknown-name", **fields):
        read_domains(folders(tmp_path), "nigt")


def test_no_directory_is_a_usage_error(raises):
    with raises(UsageError, "missing-value"):
        read_domains(None)


def test_a_directory_that_is_not_there_is_a_usage_error(tmp_path, raises):
    with raises(UsageError, "not-a-directory", path=tmp_path / "absent"):
        read_domains(tmp_path / "absent")


def test_nothing_to_read_is_an_error(tmp_path, raises):
    with raises(DatasetError, "empty", path=tmp_path):
        read_domains(tmp_path)


def test_incomplete_lines_are_named(tmp_path, raises):
    (tmp_path / "labels.csv").write_text("file,class,split\na.png,,train\n,ant,\n")
    with raises(DatasetError, "missing-value") as raised:
        read_domains(tmp_path)
    found = [(each.fields["line"], each.fields["names"]) for each in raised.value.problems]
    assert found == [(2, ["class"]), (3, ["file", "split"])]


def test_a_domain_needs_pictures_to_test_with(tmp_path, raises):
    (tmp_path / "labels.csv").write_text("file,class,split\na.png,ant,train\n")
    with raises(DatasetError, "empty", path=tmp_path, domain="all"):
        read_domains(tmp_path)
