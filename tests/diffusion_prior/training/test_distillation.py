import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, load_denoiser
from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.model.schedule import EDMSchedule
from diffusion_prior.training.distillation import ConsistencyDistillation
from diffusion_prior.training.objective import NoiseLevels, build_objective
from diffusion_prior.training.observation import ObservationPatterns
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.operators import LeadSelection
from reconstruction.samplers.amortised import AmortisedSampler
from reconstruction.samplers.spec import SamplerSpec

LEVELS = (20.0, 2.0, 0.3)
TINY = {"channels": (8, 16), "kernel_sizes": (3, 3), "attention": (False, False), "n_blocks": 1}


def student(**backbone):
    torch.manual_seed(0)
    denoiser = build_denoiser({"backbone": {"name": "unet1d", **TINY, **backbone}})
    for weight in denoiser.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return denoiser


def objective(denoiser=None, patterns=None, **settings):
    patterns = patterns or ObservationPatterns(lead_i=1.0, leads=0, blocks=0, points=0)
    return ConsistencyDistillation(denoiser or student(), NoiseLevels(), patterns, levels=LEVELS, **settings)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def records(n=4, length=64):
    return {"x": 0.3 * torch.randn(n, 8, length, generator=generator(9)), "label": torch.zeros(n, 71)}


def test_steps_lie_within_the_segments_and_measured_samples_do_not_count():
    distilled = objective(n_substeps=3)
    drawn = distilled.draw(records(60), generator())
    assert bool((drawn["end"] <= drawn["lower"]).all() and (drawn["lower"] < drawn["sigma"]).all())
    assert sorted({round(float(end), 3) for end in drawn["end"]}) == [0.01, 0.3, 2.0]
    loss = distilled(drawn)
    assert loss.shape == (60,) and bool(loss.isfinite().all())
    loss.mean().backward()
    assert all(weight.grad is None for weight in distilled._teacher[0].parameters())
    everything = {**drawn, "observed": torch.ones_like(drawn["observed"])}
    assert not distilled(everything).any()


def test_one_step_at_the_end_of_a_segment_is_the_teachers():
    distilled = objective(n_substeps=1)  # each step ends its segment: there the student does not enter the target
    batch = distilled.validation_batches(records(), generator())["lead_I/2"]
    x_t = batch["x"] + 2.0 * batch["noise"]
    high, low = (torch.full((4, 1, 1), level) for level in (2.0, 0.3))
    told = Conditions(batch["label"], batch["y"], batch["observed"], batch["sigma_y"])
    with torch.no_grad():
        target = (distilled._teach(x_t, high, low, told) - low / high * x_t) / (1 - low / high)
    lands = low / high * x_t + (1 - low / high) * target
    torch.testing.assert_close(lands, distilled._teach(x_t, high, low, told))
    estimate = distilled.denoiser(x_t, distilled.denoiser.schedule.inverse(batch["sigma"]), told)
    weight = torch.where(batch["observed"], 0, 2.0**-2 + distilled.denoiser.sigma_data**-2) * (1 - 0.15) ** 2
    wanted = (weight * (estimate - target).square()).sum(dim=(1, 2)) / (~batch["observed"]).sum(dim=(1, 2))
    torch.testing.assert_close(distilled(batch), wanted)


class White(torch.nn.Module):
    """The denoiser of white noise of variance v, or (`distilled`) what it becomes when it is distilled, both exact."""

    def __init__(self, v=0.09):
        super().__init__()
        self.schedule, self.v, self.distilled = EDMSchedule(0.01, 30.0), v, False
        self.sigma_data, self.n_labels, self.covariates = v**0.5, 0, ()

    def forward(self, x_t, t, conditions):
        s = self.schedule(t)[1][:, None, None]
        if not self.distilled:
            return self.v / (self.v + s**2) * x_t
        ends = torch.tensor([*LEVELS[1:], 0.01])
        f = torch.stack(
            [ends[ends < level].max() if (ends < level * 0.999).any() else level / 2 for level in s.flatten()]
        )
        f = f[:, None, None]
        x_f = x_t * ((self.v + f**2) / (self.v + s**2)).sqrt()
        return (x_f - f / s * x_t) / (1 - f / s)


def test_the_exact_student_of_a_gaussian_has_no_loss():
    denoiser = White()
    distilled = ConsistencyDistillation(
        denoiser, NoiseLevels(), ObservationPatterns(0, 0, 0, 0), levels=LEVELS, n_substeps=32
    )
    drawn = distilled.draw(records(40), generator())
    plain = distilled(drawn).mean()
    denoiser.distilled = True
    assert distilled(drawn).mean() < 1e-3 * plain


def test_the_sampler_calls_distilled_weights_at_their_levels(tmp_path):
    objective().save(tmp_path / "student.safetensors", 3)
    denoiser = load_denoiser(tmp_path / "student.safetensors")
    sampler = AmortisedSampler(denoiser)
    draws = sampler(GaussianLikelihood(LeadSelection(["I"]), records()["x"][:, :1], 0.01), 2, generator())
    assert draws.calls.network == len(LEVELS) == sampler.n_steps
    assert bool(draws.samples.isfinite().all())
    with pytest.raises(ValueError, match="distilled for 3 steps"):
        AmortisedSampler(denoiser, n_steps=8)
    with pytest.raises(ValueError, match="distilled for amortised, and mgps"):
        SamplerSpec("mgps").on(denoiser)


def test_a_distillation_is_built_from_plain_data():
    settings = {
        "label_dropout": 0.5,
        "covariate_dropout": 0.5,
        "noise_levels": {},
        "patterns": {},
        "measurement_noise": None,
        "distillation": {"levels": [20.0, 1.0], "n_substeps": 2},
    }
    assert isinstance(build_objective(student(), settings), ConsistencyDistillation)
    assert not isinstance(build_objective(student(), settings | {"distillation": None}), ConsistencyDistillation)


@pytest.mark.parametrize("levels", [(), (1.0, 2.0), (900.0, 1.0), (1.0, 0.001)])
def test_levels_that_do_not_descend_are_refused(levels):
    with pytest.raises(ValueError, match="levels that descend"):
        ConsistencyDistillation(student(), NoiseLevels(), ObservationPatterns(), levels=levels)


def test_dropout_is_refused():
    with pytest.raises(ValueError, match="dropout=0"):
        objective(student(dropout=0.1))
