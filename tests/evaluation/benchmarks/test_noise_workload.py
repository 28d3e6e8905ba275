import subprocess

import pytest
import torch

from einthoven.run.memory import peak_memory_mb, resident_memory_mb
from evaluation.benchmarks.noise_workload import (
    RATE,
    SCORING,
    SUPERLET,
    PlainSuperlets,
    noise_jobs,
    score,
    transform,
    transform_both_ways,
)
from noise_quant.model.checkpoint import build_model, save_model
from noise_quant.scalogram.superlet import SuperletSettings, superlet_transform
from preprocessing.cohorts.simulator import simulate_ecg

SMALL = {
    "kind": "latent",
    "size": "small",
    "ae": {"width": 8, "n_blocks": 1},
    "unet": {"channels": [8, 16], "n_blocks": 1},
}


def test_plain_superlets_are_the_same_transform():
    leads = torch.from_numpy(simulate_ecg(1, 250)[0, :2])
    expected = superlet_transform(leads, 250)
    found = PlainSuperlets(SuperletSettings(), 250, leads.shape[1])(leads)
    assert found.shape == expected.shape
    # Where hardly any power is left, below 1 uV, both are rounding.
    difference = (found - expected).abs()[expected > -6]
    assert difference.max() < 0.005


def test_superlets_are_timed():
    for form in ("default form", "plain FFT"):  # to prepare the published filters takes long
        found = transform(form, n_repeats=1, n_records=2)
        assert found["seconds"] > 0 and found["records_per_second"] > 0 and found["working_memory_mb"] >= 0
    assert transform_both_ways(n_repeats=1)["times_faster"] > 1


def test_scoring_is_timed_part_by_part(tmp_path):
    save_model(tmp_path / "small.safetensors", build_model(SMALL))
    found = score("small", str(tmp_path / "small.safetensors"), n_repeats=1, n_records=2, batch_size=12)
    parts = [found[f"{name}_seconds"] for name in ("superlet", "network", "other")]
    assert min(parts) >= 0 and sum(parts) >= found["seconds"] - 1e-9
    assert found["records_per_minute"] > 0


def test_jobs_cover_both_parts():
    jobs = noise_jobs({"n_repeats": 1, "n_records": 2}, {"n_repeats": 1, "n_records": 2, "checkpoint": "mine"})
    assert {part for part, _ in jobs} == {SUPERLET, SCORING}
    assert [arguments["checkpoint"] for (part, _), (_, arguments) in jobs.items() if part == SCORING] == ["mine", None]
    assert RATE == 500


def test_memory_of_this_process_and_of_others():
    assert peak_memory_mb() >= resident_memory_mb() - 1
    done = subprocess.Popen(["true"])
    done.wait()
    assert peak_memory_mb(done.pid) == pytest.approx(0.0)
