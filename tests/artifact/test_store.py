import errno
import json
import os
import resource
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from killed import kill_at_every_step
from small_checkpoint import write_checkpoint
from small_onnx import write_classifier

from sedna_tinyms.artifact.description import ModelDescription
from sedna_tinyms.artifact.store import Deployed, ModelStore
from sedna_tinyms.artifact.version import describe
from sedna_tinyms.errors import ConfigurationError, ModelFileError, StorageError


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "models")


def publish(store, weight=0.5, parent=None):
    path = write_checkpoint(store.directory.parent / "trained" / "model.ckpt", weight=weight)
    files = {"model.ckpt": path}
    return store.publish(files, replace(describe(files), parent=parent))


def test_versions_are_counted_and_one_is_deployed(store):
    assert (store.numbers(), store.deployed()) == ([], None)
    first, second = publish(store), publish(store)
    assert store.numbers() == [1, 2]
    assert store.open(2) == second
    assert (first.description.version, second.description.version) == (1, 2)
    store.deploy(1)
    assert store.deployed() == Deployed(1, first.digest)
    assert store.open_deployed() == first


def test_going_back_has_to_be_asked_for(store, raises):
    for _ in range(2):
        publish(store)
    store.deploy(2)
    with raises(ConfigurationError, "downgrade", value=1, deployed=2):
        store.deploy(1)
    assert store.deployed().version == 2
    store.deploy(1, downgrade=True)
    assert store.deployed().version == 1


def test_the_pointer_remembers_the_way_back(store):
    versions = [publish(store, weight) for weight in (0.1, 0.2, 0.3, 0.4)]
    for number in (1, 2, 4):
        store.deploy(number)
    assert store.deployed().before == (1, 2)
    store.deploy(2, downgrade=True)
    assert store.deployed() == Deployed(2, versions[1].digest, (1,))
    store.deploy(2)
    assert store.deployed().before == (1,)
    store.deploy(3)
    assert store.deployed().before == (1, 2)


def test_a_version_is_found_by_a_file_of_it(store):
    publish(store), publish(store, 0.7), publish(store, 0.7)
    digest = store.open(2).manifest.entry("model.ckpt").sha256
    assert store.holding(digest) == 3
    assert store.holding("0" * 64) is None


def test_a_number_is_never_given_again(store):
    for _ in range(3):
        publish(store)
    store.deploy(1)
    assert store.retain(1, 0) == [2]
    for path in store.path(3).iterdir():
        path.unlink()
    store.path(3).rmdir()
    assert publish(store).description.version == 4
    (store.directory / "counter.json").write_text("damaged")
    assert publish(store).description.version == 5


def test_a_version_that_failed_has_used_its_number(store, raises):
    publish(store)
    absent = store.directory / "absent.ckpt"
    with raises(ModelFileError, "missing-file", path=absent):
        store.publish({"model.ckpt": absent}, ModelDescription())
    assert store.numbers() == [1]
    assert publish(store).description.version == 3


def test_what_cannot_be_deployed_leaves_the_pointer(store, raises):
    good, bad = publish(store), publish(store)
    store.deploy(1)
    (bad.directory / "model.ckpt").write_bytes(b"something else")
    with raises(ModelFileError, "wrong-length", golden=False, path=bad.directory / "model.ckpt"):
        store.deploy(2)
    with raises(ModelFileError, "unknown-name", path=store.directory, value=9, valid=[1, 2]):
        store.deploy(9)
    publish(store)
    with pytest.raises(RuntimeError), store.deploying(3):
        raise RuntimeError("it did not start")
    assert store.open_deployed() == good


def test_versions_cannot_change_places(store, raises):
    publish(store), publish(store)
    store.path(1).rename(store.directory / "away")
    store.path(2).rename(store.path(1))
    with raises(ModelFileError, "conflict", path=store.path(1), value=2, expected=1):
        store.open(1)


def test_the_deployed_version_is_the_one_that_was_deployed(store, raises):
    publish(store), publish(store, 0.7)
    with raises(ModelFileError, "not-deployed", path=store.directory):
        store.open_deployed()
    deployed = store.deploy(1)
    other = ModelStore(store.directory.parent / "other")
    publish(other, 0.9)
    store.path(1).rename(store.directory / "away")
    other.path(1).rename(store.path(1))
    with raises(ModelFileError, "wrong-digest", path=store.path(1), expected=deployed.digest):
        store.open_deployed()


@pytest.mark.parametrize("pointer", ["", "[]", '{"version": "1", "sha256": "x"}', '{"version": 1}'])
def test_a_damaged_pointer_is_said_and_replaced_by_a_deployment(store, pointer, raises):
    publish(store)
    path = store.directory / "deployed.json"
    path.write_text(pointer)
    for use in (store.deployed, lambda: store.retain(0, 0)):
        with raises(ModelFileError, "damaged", golden=False, path=path):
            use()
    store.deploy(1)
    assert store.deployed().version == 1


def test_retention_keeps_the_deployed_version_its_base_and_the_newest(store):
    first = publish(store)
    publish(store)
    publish(store, parent=first.digest)
    publish(store), publish(store)
    store.deploy(3)
    assert store.parent(store.open(3)) == 1
    assert store.retain(4, 1 << 30) == [2]
    assert store.retain(0, 0) == [4]
    assert store.numbers() == [1, 3, 5]
    store.deploy(5)
    assert store.retain(10, 1) == [1]


def test_retention_by_bytes_removes_the_oldest_only(store):
    for _ in range(4):
        publish(store)
    one = sum(path.stat().st_size for path in store.path(1).iterdir())
    assert store.retain(10, 2 * one + 50) == [1, 2]


def test_everything_is_on_the_disk_before_it_is_named(store, monkeypatch):
    done = []
    real = {"fsync": os.fsync, "write": os.write, "rename": Path.rename}

    def path_of(handle):
        return str(Path(f"/proc/self/fd/{handle}").readlink())

    def fsync(handle):
        done.append(("fsync", path_of(handle)))
        real["fsync"](handle)

    def rename(source, target):
        done.append(("rename", str(source)))
        return real["rename"](source, target)

    def write(handle, content):
        done.append(("write", path_of(handle)))
        return real["write"](handle, content)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(Path, "rename", rename)
    publish(store)
    partial = str(store.directory / ".000001.partial")
    named = done.index(("rename", partial))
    written = {path for what, path in done if what == "write" and not path.endswith("/.lock")}
    assert written == {f"{partial}/{n}" for n in ("model.ckpt", "model.json", "manifest.json")}
    assert {("fsync", path) for path in written | {partial}} <= set(done[:named])
    assert ("fsync", str(store.directory)) in done[named:]


# --- what goes wrong --------------------------------------------------------------------------

PUBLISHED = """
from pathlib import Path
from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.artifact.version import describe

def work(directory):
    store = ModelStore(directory)
    new = directory.parent.parent / "new"
    files = {name: new / name for name in ("model.ckpt", "model.onnx")}
    store.publish(files, describe(files))
    store.deploy(3)
    store.retain(1, 0)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Return copies of a store, whose publisher was killed at each of its steps."""
    base = tmp_path_factory.mktemp("killed")
    store = ModelStore(base / "models")
    publish(store), publish(store)
    store.deploy(2)
    write_checkpoint(base / "new" / "model.ckpt", weight=0.9)
    write_classifier(base / "new" / "model.onnx")
    return kill_at_every_step(PUBLISHED, base / "models", base / "after")


def test_a_kill_at_any_step_leaves_the_old_or_the_new(killed):
    assert len(killed) > 50
    seen = []
    for directory in killed:
        store = ModelStore(directory)
        version = store.open_deployed()
        for number in store.numbers():
            store.open(number)
        seen.append((version.description.version, store.numbers()))
    versions = [version for version, _ in seen]
    assert versions == sorted(versions)  # once it is the new one, it stays
    assert set(versions) == {2, 3}
    assert seen[0] == (2, [1, 2])
    assert seen[-1] == (3, [2, 3])
    assert {tuple(numbers) for _, numbers in seen} == {(1, 2), (1, 2, 3), (2, 3)}


def test_the_next_publisher_goes_on_after_any_kill(killed):
    for directory in killed:
        store = ModelStore(directory)
        known, before = max(store.numbers()), store.deployed().version
        number = publish(store).description.version
        assert number > known
        store.deploy(number)
        store.retain(1, 0)
        assert {path.name for path in directory.iterdir()} - {".lock"} == {
            *(store.path(before).name, store.path(number).name),
            *("counter.json", "deployed.json"),
        }


@contextmanager
def full_disk(most_bytes):
    """Let no file grow beyond a size, as if the disk were full there."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("most_bytes", [0, 5, 20, 100, 400, 600])
def test_a_full_disk_leaves_the_old(store, most_bytes, raises):
    publish(store)
    store.deploy(1)
    files = {"model.ckpt": write_checkpoint(store.directory.parent / "new.ckpt", weight=0.9)}
    description = describe(files)
    with (
        full_disk(most_bytes),
        raises(StorageError, "cannot-write", golden=False) as raised,
    ):
        store.publish(files, description)
    assert raised.value.__cause__.errno == errno.EFBIG
    assert store.open_deployed().description.version == 1
    assert store.numbers() == [1]
    assert not [path for path in store.directory.iterdir() if "partial" in path.name]
    assert publish(store).description.version in (2, 3)


def test_a_full_disk_leaves_the_pointer(store, raises):
    publish(store), publish(store)
    store.deploy(1)
    pointer = store.directory / "deployed.json"
    with full_disk(50), raises(StorageError, "cannot-write", golden=False, path=pointer):
        store.deploy(2)
    assert store.open_deployed().description.version == 1


MOUNTED = """
import sys
from pathlib import Path
from sedna_tinyms.artifact.store import ModelStore
from sedna_tinyms.artifact.version import describe
from sedna_tinyms.errors import StorageError
store = ModelStore(Path(sys.argv[1]))
files = {"model.ckpt": Path(sys.argv[2])}
for step in (lambda: store.publish(files, describe(files)), lambda: store.deploy(2)):
    try:
        step()
    except StorageError as error:
        print(error.code, error.__cause__.errno)
print(store.open_deployed().description.version, store.numbers())
"""


@pytest.mark.parametrize(
    ("spoil", "code", "number"),
    [
        ("head -c 1M /dev/zero > $0/filler 2> /dev/null; true", "no-space", errno.ENOSPC),
        ("mount -o remount,ro $0", "cannot-write", errno.EROFS),
    ],
    ids=["full", "read-only"],
)
def test_a_file_system_that_takes_nothing_leaves_the_old(store, tmp_path, spoil, code, number):
    publish(store), publish(store)
    store.deploy(1)
    new = write_checkpoint(tmp_path / "new.ckpt", weight=0.9)
    script = (
        'cp -r "$0" "$0.kept" && mount -t tmpfs -o size=64k tmpfs "$0" && '
        f'cp -r "$0.kept"/. "$0" && {{ {spoil}; }} || exit 77\n'
        'exec "$1" -c "$2" "$0" "$3"'
    )
    as_root = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    words = ["unshare", *as_root, "--mount", "sh", "-c", script, str(store.directory)]
    try:
        done = subprocess.run(
            [*words, sys.executable, MOUNTED, str(new)], capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{code} {number}"] * 2 + ["1 [1, 2]"]


def test_a_file_in_the_stores_place(tmp_path, raises):
    (tmp_path / "models").write_text("")
    store = ModelStore(tmp_path / "models")
    with raises(StorageError, "cannot-write", golden=False, path=store.directory / ".lock"):
        publish(store)
    with raises(ModelFileError, "unreadable-file", golden=False, path=store.directory):
        store.numbers()


PUBLISHER = """
import sys
from pathlib import Path
from sedna_tinyms.artifact import store as module
from sedna_tinyms.artifact.version import describe
from sedna_tinyms.errors import ModelFileError
module.LONGEST_WAIT_SECONDS = 250.0  # on a busy machine, others may be faster many times in a row
store = module.ModelStore(Path(sys.argv[1]))
files = {"model.ckpt": Path(sys.argv[2])}
sys.stdin.read(1)
for _ in range(8):
    version = store.publish(files, describe(files)).description.version
    try:
        store.deploy(version, downgrade=True)
    except ModelFileError as error:
        # The others may be so much faster that they have removed this version as an old one.
        if error.code != "unknown-name" or store.numbers()[-1] <= version:
            raise
    store.retain(5, 1 << 30)
    print(version)
"""


@contextmanager
def publishing(store, path):
    """Yield a process that publishes a model several times once it is told to."""
    words = [sys.executable, "-c", PUBLISHER, str(store.directory), str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_publishers_at_once_take_turns(store):
    trained = [
        write_checkpoint(store.directory.parent / f"{n}.ckpt", weight=n / 4) for n in range(3)
    ]
    numbers = []
    with ExitStack() as ended:
        publishers = [ended.enter_context(publishing(store, path)) for path in trained]
        for publisher in publishers:
            publisher.stdin.write("x")
            publisher.stdin.flush()
        for publisher in publishers:
            out, _ = publisher.communicate(timeout=250)
            assert publisher.returncode == 0
            numbers += map(int, out.split())
    assert sorted(numbers) == list(range(1, 25))
    assert len(store.numbers()) <= 6
    assert store.open_deployed().description.version in store.numbers()
    assert [store.open(number).description.version for number in store.numbers()]
    counter = json.loads(Path(store.directory / "counter.json").read_text())
    assert counter == {"last": 24}
