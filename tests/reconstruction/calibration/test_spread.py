"""The spread that is fitted on archives together."""

import numpy as np
import pytest

from diffusion_prior.checkpoint import load_denoiser
from einthoven.ecg.leads import LEADS
from reconstruction.calibration.spread import fit_spread, write_settings
from reconstruction.samplers.amortised import AmortisedSampler


def folder_of(path, scale, seed):
    """Writes results whose samples are too narrow by a factor, with the first lead known."""
    rng = np.random.default_rng(seed)
    truth, samples = (rng.standard_normal(shape).astype(np.float32) for shape in ((6, 12, 60), (6, 20, 12, 60)))
    observed = np.zeros(truth.shape, dtype=bool)
    observed[:, 0] = True
    path.mkdir()
    for name, array in {"samples": samples / scale, "mean": 0 * truth, "truth": truth, "observed": observed}.items():
        np.save(path / f"{name}.npy", array)
    return path


def test_each_archive_counts_alike(tmp_path):
    folders = {name: folder_of(tmp_path / name, scale, 1) for name, scale in (("a", 1.2), ("b", 1.8))}
    fit = fit_spread(folders)
    assert 1.2 < fit.best < 1.8
    assert fit_spread({"a": folders["a"]}).best == pytest.approx(1.2, abs=0.051)
    place = int(fit.crps["a"].argmin())
    assert fit.coverage["a"][place] == pytest.approx(0.9, abs=0.03)
    assert "b: CRPS" in fit.describe()


def test_one_record_is_too_few_for_amplitudes(tmp_path):
    folder = folder_of(tmp_path / "a", 1.2, 1)
    for name in ("samples", "mean", "truth", "observed"):
        np.save(folder / f"{name}.npy", np.load(folder / f"{name}.npy")[:1])
    with pytest.raises(ValueError, match="raise n_records"):
        fit_spread({"a": folder}, amplitude_rate=100.0)


def test_the_weights_keep_what_else_was_fitted(tiny_weights, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    write_settings(tiny_weights, first, "decoupled", {"spread": 1.3})
    write_settings(first, second, "amortised", {"spread": 1.4})
    written, before = load_denoiser(second), load_denoiser(tiny_weights)
    assert written.facts["fitted"] == {"decoupled": {"spread": 1.3}, "amortised": {"spread": 1.4}}
    assert AmortisedSampler(written).spread == 1.4
    assert all((a == b).all() for a, b in zip(written.parameters(), before.parameters(), strict=True))


def test_what_amplitudes_lack_is_found_and_makes_the_truth_one_of_the_samples(tmp_path):
    rng = np.random.default_rng(0)
    n, n_samples, own, lacking = 200, 6, 0.1, 0.3
    beats = np.exp(-0.5 * ((np.arange(25) - 12) / 3) ** 2)
    logs = np.zeros((n, n_samples + 1, 12))
    chest = [LEADS.index(lead) for lead in ("V1", "V2", "V3", "V4", "V5", "V6")]
    logs[..., chest] = own * rng.standard_normal((n, n_samples + 1, 6))
    logs[:, 0, chest] += lacking * rng.standard_normal((n, 1))  # all chest leads together
    ecg = np.exp(logs[..., None]) * beats
    observed = np.zeros((n, 12, 25), dtype=bool)
    observed[:, :6] = True
    folder = tmp_path / "archive"
    folder.mkdir()
    arrays = {"samples": ecg[:, 1:], "mean": ecg[:, 1:].mean(axis=1), "truth": ecg[:, 0], "observed": observed}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array if name == "observed" else array.astype(np.float32))
    fit = fit_spread({"archive": folder}, amplitude_rate=20.0)
    covariance = np.array(fit.settings["amplitude_covariance"])
    assert not covariance[:2].any()
    assert np.sqrt(covariance[2:, 2:].mean()) == pytest.approx(lacking, abs=0.05)
    assert np.linalg.eigvalsh(covariance).min() > -1e-3
    assert "log amplitudes lack" in fit.describe()
