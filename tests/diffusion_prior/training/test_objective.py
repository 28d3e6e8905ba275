from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.training.augmentation import Augmentation
from diffusion_prior.training.noise_objective import NoiseObjective
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels, build_objective
from diffusion_prior.training.observation import ObservationPatterns
from preprocessing.cohorts.simulator import DOWER

TINY = {"backbone": {"name": "unet1d", "channels": [32, 32], "kernel_sizes": [3, 3], "attention": [False, True]}}
TINY_SASHIMI = {
    "backbone": {"name": "sashimi", "d_model": 8, "n_layers": 1, "L": 64},
    "schedule": {"name": "discrete"},
    "record_length": 56,
    "segment_length": 64,
}
NONE = Augmentation(amplitude=0, lead_gain=0, rotation=0, stretch=0, stretch_share=0)


def generator():
    return torch.Generator().manual_seed(0)


def test_moved_electrodes_see_a_part_of_their_neighbours():
    x = torch.eye(8)[None].expand(200, 8, 8)
    moved = replace(NONE, neighbours=0.2)(x, 8, generator())
    assert torch.equal(moved[:, :2], x[:, :2])
    torch.testing.assert_close(moved.sum(dim=2), torch.ones(200, 8))
    assert moved.min() >= -0.5 and (moved[:, 4, [3, 5]] > 0).float().mean() == 0.5 and (moved[:, 4, 2] == 0).all()
    assert (moved[:, 7, 6] > 0).any() and (moved[:, 7, :6] == 0).all()
    assert (
        abs(float(1 - moved[:, 4, 4].mean()) - 0.16) < 0.03
    )  # the mean of a normal number's size: 0.8 standard deviations


def test_filters_of_other_machines_reach_from_the_st_segment_to_the_muscle():
    x = torch.zeros(400, 8, 1000)
    x[:, :, 500] = 1
    filtered = replace(NONE, filter_share=0.5)(x, 1000, generator())
    changed = (filtered - x).abs().amax(dim=(1, 2)) > 1e-6
    assert abs(float(changed.float().mean()) - 0.5) < 0.06
    gain = torch.fft.rfft(filtered[changed, 0]).abs()
    assert gain[:, 0].max() < 1e-4 and 0.5 < gain[:, 10].min() < 0.9  # at 1 Hz
    assert gain[:, 400].min() < 0.2 and gain[:, 400].max() > 0.95  # at 40 Hz


def test_augmentation_by_default_is_what_the_bundled_weights_saw():
    x = torch.randn(3, 8, 100, generator=generator())
    assert torch.equal(
        Augmentation()(x, 60, generator()), Augmentation(neighbours=0, filter_share=0)(x, 60, generator())
    )


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
        Conditions(batch["label"], batch["x"], batch["observed"]),
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


def noise_objective(**settings):
    torch.manual_seed(0)
    objective = NoiseObjective(build_denoiser({**TINY_SASHIMI, **settings})).eval()
    with torch.no_grad():
        objective.denoiser.backbone.final_conv[2].conv.weight.normal_()
    return objective


def test_steps_are_uniform_and_stratified():
    batch = {"x": torch.zeros(500, 9, 4), "label": torch.zeros(500, 71)}
    steps = noise_objective().draw(batch, generator())["step"]
    assert sorted((steps / 2).floor().tolist()) == list(range(500))  # one in each pair of steps
    assert not torch.equal(steps, steps.sort().values)
    whole = noise_objective().draw({name: value[:1] for name, value in batch.items()}, generator())["step"]
    assert 0 <= float(whole) <= 999 and float(whole) == int(whole)


def test_the_loss_is_the_error_of_the_noise_and_counts_the_zeros_behind_a_record():
    objective = noise_objective()
    batch = objective.draw({"x": 0.3 * torch.randn(5, 9, 56), "label": torch.ones(5, 71)}, generator())
    assert batch["x"].shape == batch["noise"].shape == (5, 9, 64)
    assert (batch["x"][..., 56:] == 0).all() and batch["noise"][..., 56:].all()
    alpha_bar = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)[batch["step"].long()].float()
    alpha, sigma = alpha_bar.sqrt()[:, None, None], (1 - alpha_bar).sqrt()[:, None, None]
    x_t = alpha * batch["x"] + sigma * batch["noise"]
    found = objective.denoiser.backbone(x_t, batch["step"], batch["label"])
    torch.testing.assert_close(objective(batch), (found - batch["noise"]).square().mean(dim=(1, 2)))


def test_shorter_pieces_are_not_padded():
    batch = noise_objective().draw({"x": torch.zeros(2, 9, 32), "label": torch.zeros(2, 71)}, generator())
    assert batch["x"].shape == (2, 9, 32)


@pytest.mark.parametrize("unconditional", [False, True])
def test_validation_of_a_noise_finder_covers_steps_with_labels_and_without(unconditional):
    objective = noise_objective(unconditional=unconditional)
    batches = objective.validation_batches({"x": torch.zeros(3, 9, 56), "label": torch.ones(3, 71)}, generator())
    names = {name.partition("/")[0] for name in batches}
    assert names == ({"none"} if unconditional else {"none", "labels"})
    assert {float(batch["step"][0]) for batch in batches.values()} == {20.0, 100.0, 300.0, 699.0}
    assert all((batch["label"] == (name[:4] != "none")).all() for name, batch in batches.items())
    assert len({batch["noise"].sum().item() for batch in batches.values()}) == 1
    assert objective(next(iter(batches.values()))).isfinite().all()


def test_an_objective_is_that_of_its_denoiser():
    sashimi, unet = build_denoiser(TINY_SASHIMI), build_denoiser(TINY)
    built = build_objective(sashimi, {"label_dropout": 0.2})
    assert isinstance(built, NoiseObjective) and built.label_dropout == 0.2
    assert build_objective(sashimi, {"label_dropout": 0.2}, unconditional=True).label_dropout == 1.0
    of_unet = {"label_dropout": 0.5, "noise_levels": {}, "patterns": {}, "measurement_noise": None}
    of_unet["covariate_dropout"] = 0.5
    assert isinstance(build_objective(unet, of_unet), DenoisingObjective)
    for denoiser, settings in ((sashimi, of_unet), (unet, {"label_dropout": 0.2})):
        with pytest.raises(ValueError, match="choose backbone=sashimi or backbone=unet1d"):
            build_objective(denoiser, settings)
