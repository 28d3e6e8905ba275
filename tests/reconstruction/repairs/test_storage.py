import numpy as np
import pytest

from reconstruction.repairs.bad_parts import with_edges
from reconstruction.repairs.joining import line
from reconstruction.repairs.pieces import runs
from reconstruction.repairs.storage import BLOCK, Storage, runs_in_blocks, spread_of


def test_stretches_and_spread_do_not_depend_on_blocks():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(BLOCK + 1000)
    values[BLOCK - 50 : BLOCK + 50] = np.nan
    assert runs_in_blocks(len(values), lambda span: np.isnan(values[span])) == runs(np.isnan(values))
    assert spread_of(lambda span: values[span], len(values)) == pytest.approx(np.nanstd(values), rel=1e-9)


@pytest.mark.parametrize("ends", [(0.1, 0.7), (0.3, 0.3), None])
@pytest.mark.parametrize("length", [1, 2, 1003])
def test_parts_of_a_line_are_those_of_the_whole_to_the_bit(ends, length):
    whole = np.linspace(*(ends or (0.0, 0.0)), length)
    parts = [line(ends, length, slice(first, min(first + 100, length))) for first in range(0, length, 100)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_what_is_done_counts_once_it_is_on_the_disk(tmp_path):
    storage = Storage(tmp_path, {"a": 1})
    values, flags = storage.array("values", (3,), np.float64), storage.array("flags", (3,), np.bool_)
    values[0] = 5.0
    storage.done("flags", 0)
    assert not flags[0]
    storage.flush()
    again = Storage(tmp_path, {"a": 1})
    assert (again.array("values", (3,), np.float64)[0], again.array("flags", (3,), np.bool_)[0]) == (5.0, True)
    with pytest.raises(ValueError, match="other work"):
        Storage(tmp_path, {"a": 2})


def test_lost_stretches_are_widened_but_not_gaps_nor_cut_waves():
    lost = np.zeros((3, 1000), dtype=bool)
    lost[0, 400:500], lost[1, 400:500], lost[2, 400:405] = True, True, True
    missing = lost & (np.arange(3)[:, None] == 1)
    wide = with_edges(lost, missing, 100.0)
    assert [runs(row) for row in wide] == [[(385, 515)], [(400, 500)], [(400, 405)]]
