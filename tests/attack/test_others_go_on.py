"""One damaged record costs no other one its results, whatever it makes a reader raise."""

import numpy as np
import pandas as pd
import pytest

from einthoven.run.chunks import Chunk
from preprocessing.store.builder import RecordWork
from preprocessing.store.files import SignalForm
from preprocessing.store.preparation import Processed, RecordFile


def reader(file):
    if file.ecg_id != 2:
        return Processed(np.full((1, 5), file.ecg_id / 10), {})
    raise file.signature


@pytest.mark.parametrize("error", [MemoryError("no room"), IndexError("4"), OSError(5, "input/output error", "a.dat")])
def test_prepare(tmp_path, error):
    records = [RecordFile(number, "x", 100, error) for number in (1, 2, 3)]
    chunk = Chunk(tmp_path / "part.npz", ("1", "2", "3"), 3, records)
    problems = RecordWork(reader, SignalForm(5, 100.0, ("I",)))(chunk)
    with np.load(chunk.part) as part:
        np.testing.assert_array_equal(part["signals"][:, 0, 0], [100, 300])
    assert list(problems) == ["2"] and "\n" not in problems["2"]
    assert pd.Series(problems).str.len().gt(0).all()
