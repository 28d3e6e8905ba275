"""Scores of a cohort by Ray's workers: those of one process to the bit, also where workers or the driver are killed."""

import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from einthoven.run.memory import descendants
from noise_quant.data.mixtures import mixture_source
from noise_quant.scoring.methods import scoring_method
from noise_quant.scoring.score_table import score_source
from tests.scripts import start_script, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore:no thresholds are known"),
]


def workers():
    """Process ids of this process's workers that hold the work."""
    pids = descendants(os.getpid())
    return [pid for pid in pids if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::MapWorker")]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def assert_same(folder, other):
    tables = [pd.read_parquet(place / "scores.parquet") for place in (folder, other)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert not tables[0].duplicated(["ecg_id", "noise_type", "snr_db", "lead", "segment"]).any()
    for name in ("ecg_id", "n_leads", "problem"):
        first, second = (pd.read_parquet(place / "records.parquet")[name] for place in (folder, other))
        assert first.tolist() == second.tolist()


def test_killed_worker_and_killed_driver_lose_nothing(
    ray_cluster, noisy_ptbxl, nstdb_folder, tiny_model_file, tmp_path
):
    source = mixture_source(noisy_ptbxl, nstdb_folder, "val")
    scoring = scoring_method(checkpoint=tiny_model_file)
    score_source(source, scoring, tmp_path / "local", chunk_records=2)

    overrides = ["source=mixtures", "split=val", "engine=ray", "engine.n_workers=1", "score.chunk_records=2"]
    overrides.append(f"engine.address={ray_cluster.get_runtime_context().gcs_address}")
    overrides += [f"dataset.raw_path={noisy_ptbxl}", f"sources.mixtures.nstdb_path={nstdb_folder}"]
    overrides += [f"checkpoint={tiny_model_file}", f"score.results_path={tmp_path / 'ray'}"]
    parts = tmp_path / "ray" / "parts"

    def done():
        return len(list(parts.glob("[0-9]*.parquet")))

    driver = start_script("noise_quant.score_noise", *overrides, output=tmp_path)
    wait_for(done)
    [first] = workers()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not is_alive(first))
    before = done()
    wait_for(lambda: done() > before or not driver.is_alive())  # by the worker in its place
    [second] = workers()
    driver.kill()
    driver.join()
    done_by_ray = done()
    assert before < done_by_ray < 18, (tmp_path / "stderr").read_text()
    assert not (tmp_path / "ray" / "scores.parquet").exists()
    wait_for(lambda: not is_alive(second))  # the cluster stays, the driver's workers go with it

    rest = score_source(source, scoring, tmp_path / "ray", chunk_records=2)
    assert rest.n_new == 2 * (18 - done_by_ray) and rest.n_records == 36
    assert not rest.problems
    assert_same(tmp_path / "ray", tmp_path / "local")
    assert not parts.exists()
