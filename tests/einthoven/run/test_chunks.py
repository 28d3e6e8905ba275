import numpy as np
import pytest

from einthoven.run.chunks import Chunk, LocalEngine, PoolEngine, describe_failure, work_on_chunks
from einthoven.run.ray_engine import RayEngine
from tests.scripts import fork_context


def chunks(folder, n=6):
    return [Chunk(folder / "parts" / f"{number:06d}.npz", (str(number),), 1, number) for number in range(n)]


class Writing:
    """Writes the chunk's number; those of `bad` fail."""

    def __init__(self, bad=(), calls=None):
        self.bad, self.calls = bad, [] if calls is None else calls

    def __call__(self, chunk):
        self.calls.append(chunk.content)
        chunk.part.parent.mkdir(exist_ok=True)
        np.savez(chunk.part, number=chunk.content)
        return {chunk.names[0]: "it is broken"} if chunk.content in self.bad else {}


def give_up(chunk, reason):
    raise AssertionError("nobody dies here")


def test_only_chunks_without_a_part_are_worked_on(tmp_path):
    work, told = Writing(bad=(4,)), []
    assert work_on_chunks(LocalEngine(), lambda: work, chunks(tmp_path)[:2], give_up) == 2
    (tmp_path / "parts" / "000002.tries").write_text(".")
    assert work_on_chunks(LocalEngine(), lambda: work, chunks(tmp_path), give_up, told.append) == 4
    assert work.calls == [0, 1, 2, 3, 4, 5]
    assert told == [1] * 6
    assert not list(tmp_path.glob("parts/*.tries"))
    assert work_on_chunks(LocalEngine(), pytest.fail, chunks(tmp_path), give_up) == 0  # nothing is made


def test_a_run_in_which_nothing_works_ends(tmp_path):
    work = Writing(bad=range(6))
    with pytest.raises(ValueError, match="the first 3 records all failed, e.g. 2: it is broken"):
        work_on_chunks(LocalEngine(), lambda: work, chunks(tmp_path), give_up, max_failures=3)
    assert not list(tmp_path.glob("parts/*.npz"))  # the next call does them again
    one_works = Writing(bad=range(1, 6))
    assert work_on_chunks(LocalEngine(), lambda: one_works, chunks(tmp_path), give_up) == 6


def test_a_chunk_that_nobody_can_work_on_is_given_up(tmp_path):
    class Dying:
        is_remote = True

        def run(self, make_work, todo):
            for number, chunk in enumerate(todo):
                yield number, None if chunk.content == 1 else make_work()(chunk)

    given_up = []
    work_on_chunks(Dying(), Writing, chunks(tmp_path), lambda chunk, reason: given_up.append((chunk.content, reason)))
    [(number, reason)] = given_up
    assert number == 1
    assert "worker process died" in reason


def fail(chunk):
    raise OSError(28, "no space left", str(chunk.part))


def make_fail():
    return fail


def fail_in_a_pool(folder):
    list(PoolEngine(2).run(make_fail, chunks(folder)))


def test_a_pool_that_fails_lets_a_process_of_multiprocessing_end(tmp_path):
    process = fork_context().Process(target=fail_in_a_pool, args=(tmp_path,))
    process.start()
    process.join(100.0)
    status = process.exitcode
    process.kill()
    assert status == 1


def test_failures_say_where():
    assert describe_failure(ValueError("lead I is flat")) == "lead I is flat"
    try:
        np.zeros(2)[5]
    except IndexError as error:
        assert describe_failure(error).startswith("IndexError: index 5 is out of bounds")
        assert "(test_chunks.py:" in describe_failure(error)


TWO_CORES = [{"CPU": 2.0}]


@pytest.mark.parametrize(
    ("settings", "nodes", "expected"),
    [
        ({}, TWO_CORES, (2, 2)),
        ({}, [{"CPU": 64.0}], (64, 64)),
        ({}, [{"CPU": 1.0}], (1, 1)),
        ({"n_workers": 1}, TWO_CORES, (1, 1)),
        ({"cpus_per_worker": 0.45}, TWO_CORES, (2, 2)),  # more workers than CPUs only where asked for
        ({"cpus_per_worker": 0.45, "n_workers": 4}, TWO_CORES, (4, 4)),
        ({"n_workers": 64, "min_workers": 2}, TWO_CORES, (2, 64)),  # a cluster that grows
        ({"gpus_per_worker": 0.5, "cpus_per_worker": 1}, [{"CPU": 16.0, "GPU": 2.0}], (4, 4)),
        ({"cpus_per_worker": 3}, [{"CPU": 4.0}, {"CPU": 4.0}, {"CPU": 2.0}], (2, 2)),
    ],
)
def test_size_of_the_pool(settings, nodes, expected):
    assert RayEngine(**settings).pool_size(nodes) == expected


@pytest.mark.parametrize(
    ("settings", "nodes", "message"),
    [
        ({"n_workers": 2, "cpus_per_worker": 1}, TWO_CORES, r"must stay free .* engine.n_workers=1 .*worker=0.95"),
        ({"n_workers": 3}, TWO_CORES, "engine.n_workers=2 or fewer"),
        ({"cpus_per_worker": 3}, TWO_CORES, "no worker of 3 CPUs fits into 2 CPUs"),
        ({"cpus_per_worker": 3, "n_workers": 2}, [{"CPU": 2.0}] * 4, "no worker"),  # in none of the machines
        ({"gpus_per_worker": 1}, TWO_CORES, "1 GPUs fits into 2 CPUs and 0 GPUs"),
        ({"n_workers": 4, "min_workers": 3}, TWO_CORES, "in a cluster that grows, engine.min_workers"),
    ],
)
def test_a_pool_that_cannot_start_or_would_hang_is_refused(settings, nodes, message):
    with pytest.raises(ValueError, match=message):
        RayEngine(**settings).pool_size(nodes)


@pytest.mark.parametrize(
    "settings", [{"n_workers": 0}, {"n_threads": 0}, {"cpus_per_worker": 0}, {"n_workers": 1, "min_workers": 2}]
)
def test_numbers_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="engine"):
        RayEngine(**settings)


def test_without_ray_the_engine_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'einthoven\[ray\]'"):
        list(RayEngine().run(Writing, chunks(tmp_path)))
