"""Networks, samplers, trainings, superlets and scores on a second device: nothing is made on the wrong one.

What is found there is what the CPU finds, to the bit; and the host waits for the device only where `WAITS` says so.
"""

import copy

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, PartialState

from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.generation import GenerationSettings, draw_ecgs
from einthoven.ecg.leads import LEADS
from einthoven.randomness import record_generators
from evaluation.classification.xresnet1d import XResNet1d
from noise_quant.model.checkpoint import build_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.superlet import SuperletSettings, superlet_transform
from noise_quant.scoring.scorer import Scorer
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from tests.diffusion_prior.training.test_objective import TINY, TINY_SASHIMI
from tests.diffusion_prior.training.test_trainer import make, make_sashimi
from tests.elsewhere import ELSEWHERE, SecondDevice, local, remote

KEYS = ("a", "b")
NOISE_MODEL = {"kind": "latent", "ae": {"width": 8, "latent_channels": 2, "n_blocks": 1}, "unet": {"channels": [8]}}
MODELS = {
    "latent": {**NOISE_MODEL, "scaling_factor": 1.0},
    "pixel": {"kind": "pixel", "unet": {"channels": [8], "patch": 4}},
    "autoencoder": {"kind": "autoencoder", "ae": NOISE_MODEL["ae"]},
}


def randomised(module):
    """Gives layers that begin at zero weights too."""
    torch.manual_seed(1)
    for weight in module.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return module.eval()


def moved(module):
    """Returns a copy of a module on the second device, in whose block this is called."""
    return copy.deepcopy(module).to(ELSEWHERE)


def gradients(module):
    return [weight.grad for weight in module.parameters() if weight.grad is not None]


@pytest.mark.parametrize("spec", [TINY, TINY_SASHIMI], ids=["unet", "sashimi"])
def test_a_prior_and_its_gradients(spec):
    denoiser = randomised(build_denoiser(spec))
    x, t = torch.randn(2, len(denoiser.leads), 56), torch.tensor(0.5)
    expected = denoiser(x, t)
    expected.square().sum().backward()
    with SecondDevice() as device:
        there = moved(denoiser)
        found = there(remote(x), remote(t))
        found.square().sum().backward()
        # to rounding: attention is another kernel on this device
        torch.testing.assert_close(local(found), expected.detach(), rtol=0, atol=1e-6)
        for one, other in zip(gradients(there), gradients(denoiser), strict=True):
            torch.testing.assert_close(local(one), other, rtol=1e-4, atol=1e-5)
    assert not device.waits, device.waits


@pytest.mark.parametrize("kind", MODELS)
def test_a_noise_model(kind):
    model = randomised(build_model(MODELS[kind]))
    x = torch.randn(2, 1, 32, 256)

    def call(one, image):
        if kind == "autoencoder":
            return one(image)
        return one.reconstruct(image, ReverseProcess(20, 10), record_generators(0, KEYS[:2], 1)[0])

    with torch.no_grad(), SecondDevice() as device:
        assert torch.equal(local(call(moved(model), remote(x))), call(model, x))
    assert not device.waits, device.waits


@pytest.mark.parametrize("published", [False, True])
def test_superlets(published):
    ecg = torch.from_numpy(simulate_ecg(1, 250)[0, :2])
    settings = SuperletSettings(published=published)
    with SecondDevice() as device:
        found = superlet_transform(remote(ecg), 250, settings, 128)
        assert torch.equal(local(found), superlet_transform(ecg, 250, settings, 128))
    assert set(device.waits) == {"noise_quant/scalogram/superlet.py: superlet_transform"}  # is the signal finite?


def test_noise_scores():
    model, ecg = randomised(build_model(MODELS["latent"])), simulate_ecg(1, 250)[0, :2].astype(np.float64)

    def psnr(one):
        return Scorer(one, ReverseProcess(20, 10), batch_size=1).score(ecg, 250, LEADS[:2]).psnr

    with SecondDevice() as device:
        np.testing.assert_array_equal(psnr(moved(model)), psnr(model))
    assert sum(device.waits.values()) <= 6, device.waits  # of two batches, images and what was made of them; checks


def test_generation():
    denoiser, labels = randomised(build_denoiser(TINY)), np.zeros((2, 71), np.float32)
    counts = []
    for n_steps in (3, 6):
        settings = GenerationSettings(n_steps=n_steps, length=64)
        with SecondDevice() as device:
            found = draw_ecgs(moved(denoiser), labels, [1, 2], settings)
            np.testing.assert_allclose(found, draw_ecgs(denoiser, labels, [1, 2], settings), rtol=0, atol=1e-5)
        counts.append(sum(device.waits.values()))
    assert counts == [1, 1], device.waits  # at the end


@pytest.mark.parametrize("make", [make, make_sashimi], ids=["unet", "sashimi"])
def test_training(make, tmp_path, monkeypatch):
    store = simulate_store(tmp_path / "store", n_records=20)

    def losses(name):
        trainer = make(store, tmp_path / name)
        trainer.step = 1
        return [trainer._update() for _ in range(2)], trainer.validate()

    expected, expected_validation = losses("here")
    for state in (PartialState, AcceleratorState):
        monkeypatch.setitem(state._shared_state, "device", ELSEWHERE)
    with SecondDevice() as device:
        trainer = make(store, tmp_path / "there")
        trainer.step = 1
        begun = device.waits.copy()
        found = [trainer._update() for _ in range(2)]
        waits = device.waits - begun
        assert [float(local(loss)) for loss in found] == [float(loss) for loss in expected]
        assert trainer.validate() == pytest.approx(expected_validation, rel=1e-6)
    assert not waits, waits


def test_a_classifier():
    network = randomised(XResNet1d(12, 5, blocks=(1, 1, 1, 1), stem=(8, 8, 8), width=8))
    x = torch.randn(2, 12, 100)
    with torch.no_grad(), SecondDevice() as device:
        assert torch.equal(local(moved(network)(remote(x))), network(x))
    assert not device.waits
