"""First guesses of the noise, from recorded noise and from noise made up of the packaged spectra."""

import numpy as np
import pytest
import torch

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.run.files import write_json
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from reconstruction.measurement import noise_start
from reconstruction.measurement.linear_estimate import COVARIANCE
from reconstruction.measurement.noise_model import SpectralNoise
from reconstruction.measurement.noise_start import FLOOR_MV, NOISES, PIECE, SPECTRA, fit_spectra, initial_noise
from tests.scripts import run_script

RATE = 100.0


@pytest.fixture(scope="module")
def packaged():
    with np.load(SPECTRA) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


@pytest.fixture(scope="module")
def clean():
    ecg = simulate_ecg(4, 100, 10.0)[:, [0, 1, 6, 7, 8, 9, 10, 11]]
    return torch.from_numpy(clean_signal(ecg, RATE, RATE))


def noisy(clean, spectrum, level, seed=0):
    law = SpectralNoise(torch.from_numpy(spectrum * level**2 + 1e-9).expand(len(INDEPENDENT_LEADS), -1))
    z = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    added = law.colour(z)
    return clean + added, added.square().mean(dim=-1).sqrt()


def test_packaged_spectra_have_unit_mean(packaged):
    assert SPECTRA.stat().st_size < 100_000
    for name in ("clean", "bw", "em", "ma"):
        assert packaged[name].shape == (PIECE,)
        assert packaged[name].mean() == pytest.approx(1.0, abs=1e-4)
    below = packaged["frequency"] < 0.5
    assert packaged["bw"][below].sum() > 0.9 * PIECE


@pytest.mark.parametrize("noise_type", ["bw", "em", "ma"])
@pytest.mark.parametrize("level", [0.1, 0.5])
def test_level_of_a_known_noise_is_found(packaged, clean, noise_type, level):
    y, levels = noisy(clean, packaged[noise_type], level)
    found = initial_noise(y, torch.ones_like(y, dtype=torch.bool), RATE, noise_type).rms(y)
    assert found.shape == (4, 8)
    # Lead by lead the power of one piece is known to a few coefficients only.
    assert (found / levels).log().mean().abs() < 0.35
    assert (found / levels).log().abs().median() < 0.35


def test_what_an_ecg_has_of_its_own_is_not_taken_for_noise(packaged, clean):
    y, levels = noisy(clean, packaged["bw"], 0.1)
    y[:, 3] += 0.3 * torch.sin(2 * np.pi * 0.8 * torch.arange(y.shape[-1]) / RATE)
    found = initial_noise(y, torch.ones_like(y, dtype=torch.bool), RATE, "bw").rms(y)
    assert (found / levels)[:, 3].max() < 2


def test_the_type_does_not_depend_on_how_the_strength_is_told(packaged, clean, monkeypatch):
    y, _ = noisy(clean, packaged["em"], 0.3)
    seen, types = torch.ones_like(y, dtype=torch.bool), ("bw", "em", "ma", "mix")
    chosen = []
    for weight in (noise_start.ECG_BAND_WEIGHT, 1.0):
        monkeypatch.setattr(noise_start, "ECG_BAND_WEIGHT", weight)
        auto = initial_noise(y, seen, RATE, "auto").spectrum
        starts = [initial_noise(y, seen, RATE, name).spectrum for name in types]
        chosen.append([[torch.equal(start[n], auto[n]) for start in starts].index(True) for n in range(len(y))])
    assert chosen[0] == chosen[1]


def test_after_a_high_pass_the_drift_tells_nothing(packaged, clean, monkeypatch):
    y, _ = noisy(clean, packaged["em"], 0.2)
    seen = torch.ones_like(y, dtype=torch.bool)
    drifting = initial_noise(y, seen, RATE, "em").spectrum
    passed = torch.from_numpy(clean_signal(y.numpy(), RATE, RATE))
    found = initial_noise(passed, seen, RATE, "em").spectrum
    monkeypatch.setattr(noise_start, "ECG_BAND_WEIGHT", 1.0)
    assert torch.equal(initial_noise(passed, seen, RATE, "em").spectrum, found)
    assert not torch.equal(initial_noise(y, seen, RATE, "em").spectrum, drifting)
    brief = initial_noise(y[..., :200], seen[..., :200], RATE, "em").spectrum  # too short to tell slow drift
    assert brief.shape == (4, 8, 200) and bool((brief > 0).all())


def test_noise_of_unknown_type_is_found(packaged, clean):
    for name in ("bw", "em", "ma"):
        y, levels = noisy(clean, packaged[name], 0.3)
        auto = initial_noise(y, torch.ones_like(y, dtype=torch.bool), RATE, "auto")
        assert (auto.rms(y) / levels).log().mean().abs() < 0.35
        told = initial_noise(y, torch.ones_like(y, dtype=torch.bool), RATE, name)
        assert (auto.spectrum == told.spectrum).all(dim=(1, 2)).sum() >= 3


@pytest.mark.parametrize("seed", [0, 1])
def test_the_type_is_told_by_all_frequencies_though_the_ecgs_count_little_for_the_scale(packaged, clean, seed):
    y, _ = noisy(clean, packaged["em"], 0.05, seed)
    auto, told = (initial_noise(y, torch.ones_like(y, dtype=torch.bool), RATE, name) for name in ("auto", "em"))
    torch.testing.assert_close(auto.spectrum, told.spectrum)


def test_clean_ecgs_have_little_noise(clean):
    for noise_type in NOISES:
        noise = initial_noise(clean, torch.ones_like(clean, dtype=torch.bool), RATE, noise_type)
        assert noise.rms(clean).median() < 0.35 * clean.square().mean().sqrt()


@pytest.mark.parametrize("noise_type", ["bw", "em", "ma"])
def test_what_the_high_pass_leaves_is_told_from_what_it_takes(packaged, clean, noise_type):
    y, _ = noisy(clean, packaged[noise_type], 0.5)
    left = torch.from_numpy(clean_signal((y - clean).numpy(), RATE, RATE)).square().mean(dim=-1).sqrt()
    found = initial_noise(y, torch.ones_like(y, dtype=torch.bool), RATE, noise_type, filtered=True).rms(y)
    assert (found / left).log().mean().abs() < 0.35


def test_gaps_other_lengths_and_rates(packaged, clean):
    y, levels = noisy(clean, packaged["ma"], 0.3)
    observed = torch.ones_like(y, dtype=torch.bool)
    observed[:, 0, 300:500] = False
    observed[:, 1] = False
    noise = initial_noise(torch.where(observed, y, 1e3), observed, RATE, "ma")
    assert (noise.rms(y)[:, 0] / levels[:, 0]).log().abs().mean() < 0.5
    assert (noise.spectrum >= FLOOR_MV**2 * 0.99).all()
    short = initial_noise(y[..., :256], observed[..., :256], RATE)
    slow = initial_noise(y[..., ::2], observed[..., ::2], RATE / 2)
    assert short.spectrum.shape == (4, 8, 256)
    assert slow.spectrum.shape == (4, 8, 500)


def test_a_record_does_not_depend_on_its_batch_mates(clean):
    everywhere = torch.ones_like(clean, dtype=torch.bool)
    whole, alone = (initial_noise(clean[rows], everywhere[rows], RATE) for rows in (slice(None), slice(1, 2)))
    torch.testing.assert_close(whole.spectrum[1:2], alone.spectrum)
    told = initial_noise(clean[1:2, 3:4], everywhere[1:2, 3:4], RATE, "em")
    torch.testing.assert_close(initial_noise(clean, everywhere, RATE, "em").spectrum[1:2, 3:4], told.spectrum)


def test_an_unknown_noise_is_told(clean):
    with pytest.raises(ValueError, match="did you mean 'em'"):
        initial_noise(clean, torch.ones_like(clean, dtype=torch.bool), RATE, "emm")


def test_spectra_are_those_of_the_pieces():
    rng = np.random.default_rng(0)
    time = np.arange(6000) / RATE
    tone = np.sin(2 * np.pi * 10.0 * time) + 0.01 * rng.standard_normal((2, 6000))
    spectra = fit_spectra({"bw": tone}, rng.standard_normal((5, 8, PIECE)).astype(np.float32), RATE)
    assert spectra["frequency"][spectra["bw"].argmax()] == pytest.approx(10.0, abs=0.06)
    assert spectra["clean"][1:].std() < 0.5
    assert set(spectra) == {"frequency", "clean", "bw"}


@pytest.mark.slow
def test_script_makes_the_packaged_file(tmp_path):
    simulate_store(tmp_path / "store", 12, 100, 10.0)
    rng = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    recorded = {f"{name}_fit": rng.standard_normal((2, 3000)).astype("f4") for name in ("bw", "em", "ma")}
    np.savez(tmp_path / "noise" / "noise.npz", **recorded)
    write_json(tmp_path / "noise" / "manifest.json", {"name": "nstdb", "sampling_rate": RATE})
    overrides = [
        f"paths.runs={tmp_path}",
        f"dataset.store={tmp_path / 'store'}",
        "dataset.n_records=2",
        f"noise_path={tmp_path / 'noise'}",
        f"spectra_path={tmp_path / 'spectra.npz'}",
        f"covariance_path={tmp_path / 'ecg.npz'}",
    ]
    done = run_script("reconstruction.fit_spectra", *overrides)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "spectra.npz") as made, np.load(SPECTRA) as packaged:
        assert set(made.files) == set(packaged.files)
    with np.load(tmp_path / "ecg.npz") as made, np.load(COVARIANCE) as packaged:
        assert made["covariance"].shape == packaged["covariance"].shape
