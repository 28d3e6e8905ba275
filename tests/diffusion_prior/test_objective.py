import numpy as np
import pytest
import torch

from diffusion_prior.augmentation import Augmentation
from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.observation import ObservationPatterns
from preprocessing.synthetic import DOWER

TINY = {"backbone": {"name": "unet1d", "channels": [32, 32], "kernel_sizes": [3, 3], "attention": [False, True]}}
NONE = Augmentation(amplitude=0, lead_gain=0, rotation=0, stretch=0, stretch_share=0)


def generator():
    return torch.Generator().manual_seed(0)


def test_noise_levels_are_stratified_log_normal():
    log_sigma = NoiseLevels(-0.6, 1.6).draw(4000, generator()).log()
    expected = torch.distributions.Normal(-0.6, 1.6).icdf((torch.arange(4000) + 0.5) / 4000)
    assert (log_sigma.sort().values - expected)[20:-20].abs().max() < 0.15


def test_patterns_have_their_shares():
    observed = ObservationPatterns(0.25, 0.15, 0.1, 0.05).draw((4000, 8, 50), generator())
    whole = observed.all(2)
    lead_i = whole[:, 0] & ~observed[:, 1:].any(2).any(1)
    empty = ~observed.any(2).any(1)
    assert abs(float(empty.float().mean()) - 0.45) < 0.03
    # one lead of eight is lead I in a seventh of a seventh of the random sets: 0.3 % more
    assert abs(float(lead_i.float().mean()) - 0.25) < 0.03
    assert not whole.all(1).any()


def test_impossible_shares_are_refused():
    with pytest.raises(ValueError, match="at most 1"):
        ObservationPatterns(0.9, 0.9, 0.0, 0.0)


def test_loss_counts_only_what_was_not_measured():
    torch.manual_seed(0)
    objective = DenoisingObjective(build_denoiser(TINY), NoiseLevels(), ObservationPatterns()).eval()
    batch = objective.draw({"x": 0.1 * torch.randn(6, 8, 64), "label": torch.zeros(6, 71)}, generator())
    batch["observed"][:] = False
    batch["observed"][:, :4] = True
    loss = objective(batch)
    estimate = objective.denoiser(
        batch["x"] + batch["sigma"][:, None, None] * batch["noise"],
        objective.denoiser.schedule.inverse(batch["sigma"]),
        batch["label"], batch["x"], batch["observed"],
    )  # fmt: skip
    weight = 1 / batch["sigma"] ** 2 + 1 / 0.25**2
    expected = weight * (estimate - batch["x"])[:, 4:].square().mean(dim=(1, 2))
    torch.testing.assert_close(loss, expected)


def test_label_dropout_hides_all_or_nothing():
    objective = DenoisingObjective(build_denoiser(TINY), NoiseLevels(), ObservationPatterns(), label_dropout=0.3)
    label = objective.draw({"x": torch.zeros(2000, 8, 8), "label": torch.ones(2000, 71)}, generator())["label"]
    assert set(label.sum(1).tolist()) == {0.0, 71.0}
    assert abs(float((label[:, 0] == 0).float().mean()) - 0.3) < 0.05


def test_validation_covers_each_level_with_and_without_lead_i():
    objective = DenoisingObjective(build_denoiser(TINY), NoiseLevels(), ObservationPatterns())
    batches = objective.validation_batches({"x": torch.zeros(3, 8, 64), "label": torch.zeros(3, 71)}, generator())
    assert len(batches) == 12
    assert batches["lead_I/0.1"]["observed"][:, 0].all() and not batches["lead_I/0.1"]["observed"][:, 1:].any()
    assert not batches["none/10"]["observed"].any()


def test_no_augmentation_only_cuts():
    x = torch.randn(5, 8, 100)
    piece = NONE(x, 60, generator())
    starts = [int((x[i, 0] == piece[i, 0, 0]).nonzero()[0]) for i in range(5)]
    torch.testing.assert_close(piece, torch.stack([x[i, :, s : s + 60] for i, s in enumerate(starts)]))
    assert len(set(starts)) > 1


def test_rotation_keeps_the_dipole_and_its_length():
    forward = torch.as_tensor(DOWER, dtype=torch.float32)
    heart = torch.randn(4, 3, 50)
    piece = Augmentation(amplitude=0, lead_gain=0, rotation=0.3, stretch_share=0)(forward @ heart, 50, generator())
    turned = torch.linalg.pinv(forward) @ piece
    torch.testing.assert_close(forward @ turned, piece, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(turned.norm(dim=1), heart.norm(dim=1), atol=1e-4, rtol=1e-4)
    assert (turned - heart).abs().max() > 0.1


def test_stretch_interpolates_in_band_signals():
    stretch = Augmentation(amplitude=0, lead_gain=0, rotation=0, stretch=0.1, stretch_share=1.0)
    time = torch.arange(1000) / 100
    x = torch.sin(2 * np.pi * 10 * time).expand(20, 8, 1000)
    piece = stretch(x, 512, generator())[:, 0, 20:-20]
    spectrum = torch.fft.rfft(piece * torch.hann_window(piece.shape[1])).abs()
    peaks = spectrum.argmax(1) * 100 / piece.shape[1]
    assert peaks.min() < 9.5 and peaks.max() > 10.5
    assert abs(float(piece.abs().max()) - 1) < 0.02
