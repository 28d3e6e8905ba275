"""The spread that is fitted on archives together."""

import numpy as np
import pytest

from diffusion_prior.checkpoint import load_denoiser
from reconstruction.calibration.spread import fit_spread, write_spread
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


def test_the_weights_keep_what_else_was_fitted(tiny_weights, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    write_spread(tiny_weights, first, "decoupled", 1.3)
    write_spread(first, second, "amortised", 1.4)
    written, before = load_denoiser(second), load_denoiser(tiny_weights)
    assert written.facts["fitted"] == {"decoupled": {"spread": 1.3}, "amortised": {"spread": 1.4}}
    assert AmortisedSampler(written).spread == 1.4
    assert all((a == b).all() for a, b in zip(written.parameters(), before.parameters(), strict=True))
