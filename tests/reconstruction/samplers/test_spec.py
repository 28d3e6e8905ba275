import pickle

import pytest
import torch

from diffusion_prior.checkpoint import DISTILLED, build_denoiser, save_denoiser
from einthoven.run.launch import plain
from einthoven.run.weights_cache import hash_weights
from reconstruction.api import reconstruct
from reconstruction.samplers.ddnm import DDNM
from reconstruction.samplers.mgps import MGPS, GradientSchedule
from reconstruction.samplers.spec import SamplerSpec
from reconstruction.samplers.spectral_em import SpectralEM
from tests.test_configs import compose


def test_it_is_plain_data_that_makes_the_sampler_anywhere(tiny_weights):
    settings = {"n_rounds": 1, "early": {"name": "ddnm", "n_steps": 2}, "final": {"name": "mgps", "n_steps": 3}}
    spec = pickle.loads(pickle.dumps(SamplerSpec("spectral_em", settings, str(tiny_weights))))
    sampler = spec.build()
    assert isinstance(sampler, SpectralEM) and isinstance(sampler.early, DDNM) and isinstance(sampler.final, MGPS)
    assert (sampler.n_rounds, sampler.early.n_steps, sampler.final.n_steps) == (1, 2, 3)
    assert spec.build().final.denoiser is sampler.final.denoiser


def test_from_config(tiny_weights):
    config = compose("inpaint", ["algo=mgps", "algo.sampler.gradients.n_steps=2", f"checkpoint={tiny_weights}"])
    sampler = SamplerSpec.from_config(plain(config)).build()
    assert isinstance(sampler, MGPS)
    assert sampler.gradients == GradientSchedule(n_steps=2)


def test_mistakes_are_reported(tiny_weights):
    with pytest.raises(ValueError, match="did you mean 'mgps'"):
        SamplerSpec("mpgs")
    with pytest.raises(ValueError, match="steps"):
        SamplerSpec("mgps", {"steps": 1}, str(tiny_weights)).build()
    with pytest.raises(ValueError, match="did you mean 'ddnm'"):
        SamplerSpec("spectral_em", {"final": {"name": "ddmn"}}, str(tiny_weights)).build()


def test_the_preset_of_four_calls_takes_its_own_bundled_weights(tiny_weights):
    fastest, best = (SamplerSpec("amortised", {"preset": preset}) for preset in ("fastest", "best"))
    assert fastest.identity()["weights"] == {"prior": hash_weights(DISTILLED)} != best.identity()["weights"]
    assert fastest.build().n_steps == 4
    with pytest.raises(ValueError, match="needs distilled weights"):
        SamplerSpec("amortised", {"preset": "fastest"}, str(tiny_weights)).build()


def test_blind_keeps_what_estimates_noise_and_wraps_the_rest():
    assert SamplerSpec("amortised").blind().name == "amortised"
    assert SamplerSpec("fourier_em").blind().name == "fourier_em"
    blind = SamplerSpec("mgps", {"n_steps": 3}, "file", precision="bf16").blind()
    assert blind == SamplerSpec("spectral_em", {"final": {"name": "mgps", "n_steps": 3}}, "file", precision="bf16")


def test_identity_follows_the_content_of_the_weights(tiny_denoiser, tmp_path):
    path = tmp_path / "w.safetensors"
    save_denoiser(path, tiny_denoiser)
    spec = SamplerSpec("ddnm", weights=str(path))
    first = spec.identity()
    assert spec.identity() == first
    torch.manual_seed(1)
    save_denoiser(path, build_denoiser(tiny_denoiser.spec))
    assert spec.identity() != first


def test_rewritten_weights_change_the_reconstruction(tiny_denoiser, tmp_path):
    path = tmp_path / "w.safetensors"
    ecg = 0.5 * torch.sin(torch.arange(300) / 8)[None].double().numpy()

    def draw():
        return reconstruct(ecg, 100, ["I"], 2, "ddnm", sampler=SamplerSpec("ddnm", {"n_steps": 2}, str(path)).build())

    save_denoiser(path, tiny_denoiser)
    first = draw().samples
    assert (draw().samples == first).all()
    other = build_denoiser(tiny_denoiser.spec)
    torch.manual_seed(2)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save_denoiser(path, other)
    assert (draw().samples != first).any()
