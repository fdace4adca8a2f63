"""One process at a time."""

import multiprocessing

from sedna_tinyms.artifact.lock import exclusively


def _count_up(lock, counter):
    for _ in range(50):
        with exclusively(lock):
            counter.write_text(str(int(counter.read_text()) + 1))


def test_only_one_process_at_a_time_is_inside(tmp_path):
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_count_up, args=(tmp_path / "lock", counter)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert counter.read_text() == "100"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]
