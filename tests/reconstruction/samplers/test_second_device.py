"""Samplers on a second device: nothing is made on the wrong one, and the host waits where `WAITS` says so only."""

import copy

import pytest
import torch

from einthoven.randomness import record_generators
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import SpectralNoise, WhiteNoise
from tests.elsewhere import ELSEWHERE, SecondDevice, local
from tests.reconstruction.samplers.test_samplers import FEW_STEPS, KEYS, MEASUREMENTS, SAMPLERS, ecgs

WAITS = {
    # Once for a measurement, before the loop:
    "reconstruction/measurement/channels.py: measured_samples": "which leads were measured",
    "reconstruction/measurement/likelihood.py: GaussianLikelihood._gram": "whether leads were measured throughout",
    "reconstruction/measurement/likelihood.py: GaussianLikelihood._gram_is_diagonal": "how it is solved, kept",
    "reconstruction/measurement/likelihood.py: GaussianLikelihood._log_determinant": "how it is summed, kept",
    "reconstruction/measurement/linear_estimate.py: bridge_short_gaps": "whether there is a short gap",
    "reconstruction/samplers/amortised.py: AmortisedSampler.__call__": "whether the noise is small",
    "reconstruction/samplers/amplitudes.py: draw_factors": "which leads were measured",
    "reconstruction/samplers/base.py: Chain.__init__": "the grid of times, for what the host decides",
    "reconstruction/samplers/decoupled.py: DecoupledSampler.begin": "whether the prior can be told a lead",
    # Once for an estimate of the noise, of which there are few:
    "reconstruction/measurement/noise_model.py: SpectralNoise.__init__": "that its spectrum is positive",
    "reconstruction/measurement/noise_model.py: WhiteNoise.__init__": "that its standard deviation is positive",
    "reconstruction/samplers/fourier_em.py: _fit_wave": "scipy fits the wave",
    "reconstruction/samplers/spectral_em.py: draw_noise": "whether anything is missing",
    # In the loop:
    "reconstruction/measurement/linear_solver.py: conjugate_gradients": "when to end: each record to its tolerance",
}
"""Where the host waits for the device, and why."""


def on(noise, device):
    if isinstance(noise, WhiteNoise):
        return WhiteNoise(noise.sigma.to(device))
    return SpectralNoise(noise.spectrum.to(device)) if isinstance(noise, SpectralNoise) else noise


def draw(sampler, y, measurement, device):
    operator, noise, _ = MEASUREMENTS[measurement]
    likelihood = GaussianLikelihood(operator, y.to(device), on(noise, device))
    return sampler(likelihood, 2, record_generators(0, KEYS, 2)).samples


@pytest.mark.parametrize("measurement", ["lead I", "gaps and coloured noise"])
@pytest.mark.parametrize("method", SAMPLERS)
def test_a_sampler(method, measurement, tiny_denoiser):
    operator, _, refusal = MEASUREMENTS[measurement]
    if method == "amortised" and refusal:
        pytest.skip("refused")
    y, settings = operator(ecgs()), FEW_STEPS[method][0]
    expected = draw(SAMPLERS[method](tiny_denoiser, **settings), y, measurement, "cpu")
    with SecondDevice() as device:
        found = draw(
            SAMPLERS[method](copy.deepcopy(tiny_denoiser).to(ELSEWHERE), **settings), y, measurement, ELSEWHERE
        )
        assert torch.equal(local(found), expected)
    assert set(device.waits) <= set(WAITS), device.waits
    assert max(n for place, n in device.waits.items() if "linear_solver" not in place) <= 8, device.waits


def test_amplitudes_that_were_fitted_are_drawn_there_too(tiny_denoiser):
    fitted = copy.deepcopy(tiny_denoiser)
    fitted.facts = {"fitted": {"amortised": {"amplitude_covariance": (0.04 * torch.eye(8)).tolist()}}}
    ecg = MEASUREMENTS["lead I"][0](ecgs())
    expected = draw(SAMPLERS["amortised"](fitted, n_steps=3), ecg, "lead I", "cpu")
    with SecondDevice() as device:
        found = draw(SAMPLERS["amortised"](copy.deepcopy(fitted).to(ELSEWHERE), n_steps=3), ecg, "lead I", ELSEWHERE)
        assert torch.equal(local(found), expected)
    assert set(device.waits) <= set(WAITS), device.waits


def test_more_steps_are_no_more_waits(tiny_denoiser):
    counts = []
    for n_steps in (3, 6):
        with SecondDevice() as device:
            sampler = SAMPLERS["mgps"](copy.deepcopy(tiny_denoiser).to(ELSEWHERE), n_steps=n_steps)
            draw(sampler, MEASUREMENTS["lead I"][0](ecgs()), "lead I", ELSEWHERE)
        counts.append(device.waits)
    assert counts[0] == counts[1]
