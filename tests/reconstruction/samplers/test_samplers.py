"""What holds for every posterior sampler by name; a new one needs a line in FEW_STEPS."""

import inspect
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from diffusion_prior.checkpoint import build_denoiser, load_denoiser, save_denoiser
from einthoven.randomness import record_generators
from einthoven.run.launch import CONFIGS
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import SpectralNoise, WhiteNoise
from reconstruction.measurement.operators import Compose, LeadSelection, Mask, MeasuredLeads, Resampling
from reconstruction.samplers.base import Calls
from reconstruction.samplers.ddnm import DDNM
from reconstruction.samplers.decoupled import DecoupledSampler
from reconstruction.samplers.mgps import GradientSchedule
from reconstruction.samplers.registry import BLIND_METHODS, METHODS

SAMPLERS = METHODS | BLIND_METHODS
LENGTH = 96
KEYS = ("a", "b", "c")

# Settings that are quick; expected network calls, and how many of them with a gradient, for lead I.
FEW_STEPS = {
    "amortised": ({"n_steps": 4}, 5, 0),
    "mgps": ({"n_steps": 3, "gradients": GradientSchedule(1, 1, 0)}, 7, 3),
    "ddnm": ({"n_steps": 4}, 5, 0),
    "diffpir": ({"n_steps": 4}, 5, 0),
    "repaint": ({"n_steps": 4, "n_resamples": 2, "jump_length": 2}, 9, 0),
    "decoupled": ({"n_steps": 4}, 5, 0),
    "dps": ({"n_steps": 4}, 5, 4),
    "pigdm": ({"n_steps": 4}, 4, 4),
    "red_diff": ({"n_steps": 4}, 4, 0),
    "spectral_em": (
        {
            "n_rounds": 1,
            "n_em_samples": 3,
            "early": partial(DecoupledSampler, n_steps=2),
            "final": partial(DecoupledSampler, n_steps=3),
        },
        7,
        0,
    ),
    "fourier_em": ({"n_rounds": 1, "n_frequencies": 16, "inner": partial(DDNM, n_steps=3)}, 8, 0),
}

# Adam divides by the root of a squared gradient, so rounding grows where a gradient is nearly zero.
LOOSE = {"mgps": 1e-3, "red_diff": 1e-3}


def gaps(n_leads):
    return torch.rand(n_leads, LENGTH, generator=torch.Generator().manual_seed(1)) < 0.7


def spectrum(n_leads):
    """Noise of 0.05 mV that falls with frequency."""
    falling = torch.linspace(2, 0.1, LENGTH).square()
    return SpectralNoise((0.05**2 * falling / falling.mean()).expand(n_leads, -1))


# With what the amortised sampler, which sees nothing but samples of the prior's leads, says to it (None: takes it).
MEASUREMENTS = {
    "lead I": (LeadSelection(["I"]), 0.02, None),
    "mask": (Mask(gaps(8)), 0.02, None),
    "derived lead alone": (LeadSelection(["aVF"]), 0.02, "single other limb lead"),
    "half the rate": (Compose(Resampling(1, 2, LENGTH), LeadSelection(["I", "V5"])), 0.02, "Compose"),
    "noise of each lead": (LeadSelection(["I", "V2"]), WhiteNoise(torch.tensor([0.03, 0.1])), None),
    "coloured noise": (LeadSelection(["I", "V2"]), spectrum(2), None),
    "gaps and coloured noise": (MeasuredLeads(gaps(2), ["II", "aVL"]), spectrum(2), "single other limb lead"),
}


def test_every_method_is_tested():
    assert FEW_STEPS.keys() == SAMPLERS.keys()


@pytest.mark.parametrize("name", [name for name in SAMPLERS if (CONFIGS / "algo" / f"{name}.yaml").is_file()])
def test_its_config_has_the_settings_of_the_class(name):
    config = OmegaConf.to_container(OmegaConf.load(CONFIGS / "algo" / f"{name}.yaml"))
    assert config["name"] == name
    cls, settings = SAMPLERS[name], config["sampler"]
    defaults = {key: parameter.default for key, parameter in inspect.signature(cls).parameters.items()}
    plain = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    assert plain == {key: defaults[key] for key in plain}


@pytest.fixture(params=SAMPLERS)
def method(request):
    return request.param


@pytest.fixture
def sampler(method, tiny_denoiser):
    return SAMPLERS[method](tiny_denoiser, **FEW_STEPS[method][0])


def ecgs(n_records=3, dtype=torch.float32):
    return 0.3 * torch.randn(n_records, 8, LENGTH, generator=torch.Generator().manual_seed(3)).to(dtype)


def run(sampler, y, keys, operator=MEASUREMENTS["lead I"][0], noise=0.02, n_samples=2):
    return draw(sampler, y, keys, operator, noise, n_samples).samples


def draw(sampler, y, keys, operator=MEASUREMENTS["lead I"][0], noise=0.02, n_samples=2):
    return sampler(GaussianLikelihood(operator, y, noise), n_samples, record_generators(0, keys, n_samples))


@pytest.mark.parametrize("measurement", MEASUREMENTS)
def test_a_record_is_the_same_alone_and_beside_others(method, sampler, measurement):
    operator, noise, refusal = MEASUREMENTS[measurement]
    y = operator(ecgs())
    if method == "amortised" and refusal:
        with pytest.raises(ValueError, match=refusal):
            run(sampler, y, KEYS, operator, noise)
        return
    together = run(sampler, y, KEYS, operator, noise)
    assert together.shape == (2, 3, 8, LENGTH)
    assert together.isfinite().all()
    assert torch.equal(together, run(sampler, y, KEYS, operator, noise))
    assert not torch.equal(together[0], together[1])
    wild = torch.cat([y[:1], 50 * y[1:].flip(-1) + 10])
    other = run(sampler, wild, ("a", "d", "e"), operator, noise)
    alone = run(sampler, y[:1], ("a",), operator, noise)
    tolerance = LOOSE.get(method, 1e-4)
    torch.testing.assert_close(other[:, 0], together[:, 0], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(alone[:, 0], together[:, 0], rtol=tolerance, atol=tolerance)


def test_batch_mates_change_not_a_bit(sampler):
    y = ecgs()[:, :1]
    other = torch.cat([y[:1], 50 * y[1:].flip(-1) + 10])
    assert torch.equal(run(sampler, y, KEYS)[:, 0], run(sampler, other, ("a", "d", "e"))[:, 0])


def test_a_sample_belongs_to_its_generator(method, sampler):
    y = ecgs(1)[:, :1]
    three = run(sampler, y, ["a"], n_samples=3)
    likelihood = GaussianLikelihood(MEASUREMENTS["lead I"][0], y, 0.02)
    back = sampler(likelihood, 3, record_generators(0, ["a"], 3)[::-1]).samples.flip(0)
    tolerance = LOOSE.get(method, 1e-4)
    torch.testing.assert_close(back, three, rtol=tolerance, atol=tolerance)
    assert not torch.equal(three, run(sampler, y, ["b"], n_samples=3))


@pytest.mark.parametrize(("n_samples", "n_records"), [(1, 1), (1, 2), (3, 1)])
def test_shapes_of_few_samples_and_records(sampler, n_samples, n_records):
    y = ecgs(n_records)[:, :1]
    assert run(sampler, y, KEYS[:n_records], n_samples=n_samples).shape == (n_samples, n_records, 8, LENGTH)
    plain = sampler(GaussianLikelihood(MEASUREMENTS["lead I"][0], y, 0.02), n_samples, torch.Generator())
    assert plain.samples.shape == (n_samples, n_records, 8, LENGTH)


@pytest.mark.parametrize("measurement", ["mask", "half the rate", "coloured noise"])
def test_float64_stays_float64(method, tiny_denoiser, measurement):
    operator, noise, refusal = MEASUREMENTS[measurement]
    if method == "amortised" and refusal:
        pytest.skip("refused")
    double = build_denoiser(tiny_denoiser.spec).double()
    double.load_state_dict(tiny_denoiser.state_dict())
    sampler = SAMPLERS[method](double.eval().requires_grad_(False), **FEW_STEPS[method][0])
    samples = run(sampler, operator(ecgs(1, torch.float64)), ["a"], operator, noise)
    assert samples.dtype == torch.float64
    assert samples.isfinite().all()


def test_calls_are_counted(method, sampler, tiny_denoiser):
    counts = Counter()

    def count(module, inputs, output):
        counts["network"] += 1
        if output.requires_grad:
            output.register_hook(lambda gradient: counts.update(["gradient"]))

    handle = tiny_denoiser.backbone.register_forward_hook(count)
    draws = draw(sampler, ecgs(1)[:, :1], ["a"])
    handle.remove()
    _, network_calls, gradient_calls = FEW_STEPS[method]
    assert draws.calls == Calls(network_calls, gradient_calls)
    assert (counts["network"], counts["gradient"]) == (network_calls, gradient_calls)
    assert draw(sampler, ecgs(1)[:, :1], ["a"]).calls == draws.calls


def test_samples_carry_no_gradient(sampler):
    with torch.enable_grad():
        assert not run(sampler, ecgs(1)[:, :1], ["a"]).requires_grad


def test_a_sampler_has_the_name_that_it_is_registered_by(method, sampler):
    class Own(type(sampler)):
        pass

    sampler.__class__ = Own
    assert sampler.name == method


@pytest.mark.parametrize("name", ["amortised", "decoupled", "spectral_em"])
def test_what_was_fitted_for_weights_comes_with_them(name, tiny_denoiser, tmp_path):
    assert SAMPLERS[name](tiny_denoiser).spread == 1.0
    path = tmp_path / "fitted.safetensors"
    save_denoiser(path, tiny_denoiser, {"fitted": {name: {"spread": 1.3}}})
    fitted = load_denoiser(path)
    assert SAMPLERS[name](fitted).spread == 1.3
    assert SAMPLERS[name](fitted, spread=1.0).spread == 1.0
    with pytest.raises(ValueError, match="spread must be positive"):
        SAMPLERS[name](fitted, spread=0.0)


def test_the_bundled_weights_know_what_was_fitted_for_them():
    found = {name: dict(settings) for name, settings in load_denoiser().facts["fitted"].items()}
    assert np.linalg.eigvalsh(found["amortised"].pop("amplitude_covariance")).min() > -1e-3
    expected = {"amortised": {"spread": 1.1, "blind_error": 0.035}}
    expected |= {"decoupled": {"spread": 1.2}, "spectral_em": {"spread": 1.7}}
    assert found == expected
