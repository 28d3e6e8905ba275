"""Each case of the benchmark works, at its smallest."""

from types import SimpleNamespace

import pytest
import torch

from einthoven.run.launch import plain
from evaluation.benchmarks import cases
from evaluation.benchmarks.cases import CASES
from evaluation.benchmarks.measuring import list_cases
from noise_quant.model.checkpoint import build_model, save_model
from noise_quant.scalogram.superlet import superlet_transform
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.samplers.registry import METHODS
from tests.evaluation.benchmarks.conftest import BACKBONE
from tests.test_configs import compose

UNET = {"channels": [8, 16], "n_blocks": 1}
NOISE = {"kind": "latent", "size": "small", "ae": {"width": 8, "n_blocks": 1}, "unet": UNET}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("inpaint", {"method": "amortised", "batch_size": 2, "records": 3, "leads": 3, "samples": 2, "length": 256}),
        ("denoise", {"method": "spectral_em", "records": 1, "leads": 12, "samples": 2, "seconds": 2.5}),
    ],
)
def test_a_case_with_the_prior_works(prior, name, arguments):
    ((_, call),) = CASES[name](**arguments, weights=prior).items()
    assert call()["n_records"] == arguments["records"]


def test_a_case_of_training_gives_the_seconds_of_a_step():
    ((name, call),) = cases.train({"backbone": BACKBONE}, 5, "no", 2, 128).items()
    found = call()
    assert name == "train, no" and found["n_records"] == 2 and found["seconds"] > 0


def test_a_case_of_scoring_works(tmp_path):
    save_model(tmp_path / "noise.safetensors", build_model(NOISE))
    ((_, call),) = cases.score(str(tmp_path / "noise.safetensors"), records=2, leads=1).items()
    assert call() == {"n_records": 2}


def test_superlets_and_plain_ones_are_the_same_transform():
    calls = cases.superlets(["default form", "plain FFT"], leads=1)
    assert [call() for call in calls.values()] == [{"n_records": 1}] * 2
    leads = torch.from_numpy(simulate_ecg(1, 250)[0, :2])
    expected, found = superlet_transform(leads, 250), cases.plain_superlets(leads, 250)
    assert found.shape == expected.shape
    # Where hardly any power is left, below 1 uV, both are rounding.
    assert (found - expected).abs()[expected > -6].max() < 0.005


def test_with_ray_the_steady_state_leaves_out_the_start(monkeypatch, tmp_path):
    times = iter([0.0, *(7.0 + number // 2 for number in range(12))])
    monkeypatch.setattr(cases, "perf_counter", lambda: next(times))

    class Folder:
        name = str(tmp_path)

    def run(path, progress, engine):
        assert engine.n_workers == 2
        for _ in range(12):
            progress(2)

    found = cases.run_cohort(run, Folder(), workers=2)
    assert (found["seconds"], found["n_records"]) == (6.0, 24)


def test_a_command_tells_how_long_its_network_took(monkeypatch):
    def run(line, **_):
        assert line[1:5] == ["-m", "einthoven", "inpaint", "data=demo"]
        return SimpleNamespace(stdout="a table\n19 network calls (0 with a gradient) in 0.6 s\n")

    times = iter([1.0, 3.0])
    monkeypatch.setattr(cases, "perf_counter", lambda: next(times))
    monkeypatch.setattr(cases.subprocess, "run", run)
    ((name, call),) = cases.command(["inpaint", "data=demo"]).items()
    assert name == "einthoven inpaint data=demo" and call() == {"outside_network": pytest.approx(70)}


@pytest.mark.data
def test_files_are_prepared(ecg_data):
    found = cases.prepare(str(ecg_data / "ptb-xl"), 2, 1)["prepare"]()
    assert found["n_records"] == 2 and found["n_bytes"] > 4e4


def test_the_config_measures_every_case():
    sections = plain(compose("benchmark"))["benchmark"]
    parts = sections.pop("parts")
    assert {*parts, "readme"} == sections.keys()
    everything = list_cases(sections, list(sections), CASES)
    assert {case.build for case in everything} == set(CASES.values())
    listed = list_cases(sections, parts, CASES)
    records = [(case.part, case.build, case.axis, case.size, str(case.arguments)) for case in listed]
    assert len(set(records)) == len(records)
    assert {case.arguments["method"] for case in listed if case.build is CASES["restore"]} == METHODS.keys()
