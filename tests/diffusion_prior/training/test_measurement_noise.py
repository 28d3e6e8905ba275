import numpy as np
import pytest
import torch

from diffusion_prior.model.preconditioned import PreconditionedDenoiser
from diffusion_prior.model.schedule import EDMSchedule
from diffusion_prior.training.measurement_noise import MeasurementNoise
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.training.observation import ObservationPatterns
from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_LEADS
from preprocessing.cohorts.simulator import simulate_ecg

N_RECORDS = 6


@pytest.fixture(scope="module")
def recordings():
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((2, 3000)) for name in ("bw", "em", "ma")}


@pytest.fixture(scope="module")
def ecg():
    x = simulate_ecg(N_RECORDS)[:, [0, 1, 6, 7, 8, 9, 10, 11]]
    return torch.from_numpy(clean_signal(x, 100, 100)).float()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_sigma_y_is_that_of_the_noise_up_to_its_error(recordings, ecg):
    noise, sigma_y = MeasurementNoise(recordings, sigma_error=0.0, unknown=0.0).draw(ecg, generator())
    assert noise.shape == ecg.shape
    torch.testing.assert_close(sigma_y, noise.square().mean(-1).sqrt())
    again, wrong = MeasurementNoise(recordings, sigma_error=0.3, unknown=0.0).draw(ecg, generator())
    torch.testing.assert_close(again, noise)
    assert 0.1 < (wrong / sigma_y).log().std() < 0.6
    _, unknown = MeasurementNoise(recordings, unknown=1.0).draw(ecg, generator())
    torch.testing.assert_close(unknown, (ecg + noise).square().mean(-1).sqrt())


@pytest.mark.parametrize("kind", ["ma", "mix", "coloured"])
def test_noise_in_the_band_has_the_ratio_asked_for(recordings, ecg, kind):
    noise, _ = MeasurementNoise(recordings, snr_db={kind: (6.0, 6.0)}).draw(ecg, generator())
    snr_db = 10 * (ecg.square().mean((1, 2)) / noise.square().mean((1, 2))).log10()
    # What lies below the high-pass is taken away: a little of white noise, more of noise that grows downwards.
    assert (snr_db > 5.8).all()
    assert (snr_db < (7.0 if kind != "coloured" else 40.0)).all()


def test_slow_drift_is_taken_away(ecg):
    drift = np.cumsum(np.random.default_rng(0).standard_normal((2, 5000)), axis=-1)
    slow = {"bw": np.apply_along_axis(lambda v: np.convolve(v, np.ones(400) / 400, "same"), -1, drift)}
    noise, _ = MeasurementNoise(slow, snr_db={"bw": (-10.0, -10.0)}).draw(ecg, generator())
    snr_db = 10 * (ecg.square().mean() / noise.square().mean()).log10()
    assert snr_db > 5


def test_a_share_of_the_records_is_noisy_and_the_rest_unchanged(recordings, ecg):
    class Backbone(torch.nn.Module):
        def forward(self, x, c_noise, label):
            return torch.zeros_like(x[:, :8])

    denoiser = PreconditionedDenoiser(Backbone(), EDMSchedule(), INDEPENDENT_LEADS)
    x = ecg.repeat(20, 1, 1)
    batch = {"x": x, "label": torch.zeros(len(x), 71)}
    noisy = MeasurementNoise(recordings, share=0.5)
    objective = DenoisingObjective(denoiser, NoiseLevels(), ObservationPatterns(), measurement_noise=noisy)
    drawn = objective.draw(batch, generator())
    changed = (drawn["y"] != drawn["x"]).flatten(1).any(1)
    assert torch.equal(changed, (drawn["sigma_y"] > 0).all(1))
    assert 0.35 < changed.float().mean() < 0.65
    assert drawn["observed"][changed].flatten(1).any(1).all()
    assert drawn["observed"][changed].flatten(1).all(1).float().mean() > 0.4
    assert objective(drawn).isfinite().all()
    others = {name: 2 * noise for name, noise in recordings.items()}
    assert objective.sources() == {"noise": noisy.digest} != {"noise": MeasurementNoise(others).digest}
    exact = DenoisingObjective(denoiser, NoiseLevels(), ObservationPatterns()).draw(batch, generator())
    assert torch.equal(exact["y"], exact["x"])
    assert torch.equal(exact["observed"][~changed], drawn["observed"][~changed])
    assert set(objective.validation_batches(drawn, generator())) >= {"noisy", "none/0.1", "lead_I/10"}


def test_shares_are_checked(recordings):
    with pytest.raises(ValueError, match="share"):
        MeasurementNoise(recordings, share=1.5)
