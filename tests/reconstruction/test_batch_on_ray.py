"""Reconstructions of a cohort by Ray's workers: those of one process to the bit, broken records included."""

import numpy as np
import pandas as pd
import pytest

from einthoven.run.chunked_job import DEPENDS_ON
from einthoven.run.lock import LOCK
from einthoven.run.ray_engine import RayEngine
from preprocessing.cohorts.simulator import simulate_store
from reconstruction.batch import ARRAYS, reconstruct_batch
from reconstruction.measurement.missingness import HideSamples, Missingness
from reconstruction.samplers.spec import SamplerSpec

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")]


def test_workers_make_what_one_process_makes(ray_cluster, tiny_weights, tmp_path):
    class Broken:
        """Fails at the fourth record, as a task that meets a broken one."""

        def __init__(self, hide):
            self.hide = hide

        def __call__(self, keys, truth):
            if 4 in keys:
                raise ValueError("lead II is lost")
            return self.hide(keys, truth)

    store = simulate_store(tmp_path / "store", 7, 100, 2.5)
    sampler = SamplerSpec("amortised", {"n_steps": 3}, str(tiny_weights))
    task = Broken(HideSamples(Missingness("rm", "50%")))
    summaries = [
        reconstruct_batch(
            store,
            np.arange(7),
            sampler,
            tmp_path / name,
            task,
            n_samples=3,
            batch_size=2,
            engine=engine,
        )
        for name, engine in (("local", None), ("ray", RayEngine(n_workers=2)))
    ]
    assert summaries[0].problems == summaries[1].problems == {"4": "lead II is lost"}
    for name in ARRAYS:
        first, second = (np.load(tmp_path / place / f"{name}.npy") for place in ("local", "ray"))
        assert len(first) == 6
        np.testing.assert_array_equal(first, second)
    tables = [pd.read_parquet(tmp_path / place / "records.parquet") for place in ("local", "ray")]
    columns = ["ecg_id", "network_calls", "problem"]
    pd.testing.assert_frame_equal(*(table[columns] for table in tables))
    left = {path.name for path in (tmp_path / "ray").iterdir()}
    assert left == {*(f"{name}.npy" for name in ARRAYS), "records.parquet", DEPENDS_ON, LOCK}
