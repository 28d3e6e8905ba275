"""The published networks against their own outputs, with weights made by a rule (golden/README.md)."""

import json
import zlib

import numpy as np
import pytest
import torch

from noise_quant.model.checkpoint import build_model
from noise_quant.model.reverse_process import ReverseProcess
from tests.paths import GOLDEN

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the golden files beside the repository")


def rule_made(name, shape):
    w = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape).astype(np.float32)
    if len(shape) >= 2:
        w /= np.float32(np.sqrt(np.prod(shape[1:])))
    else:
        w = 1 + np.float32(0.1) * w if name.endswith("weight") else np.float32(0.1) * w
    return torch.from_numpy(w)


@pytest.fixture(scope="module", params=["latent", "pixel"])
def published(request):
    """A published model with weights made by the rule, its expected shapes, inputs and outputs."""
    model = build_model({"kind": request.param, "size": "published"}).eval().requires_grad_(False)
    model.load_state_dict({name: rule_made(name, tuple(w.shape)) for name, w in model.state_dict().items()})
    shapes = json.loads((GOLDEN / f"scalogram_{request.param}_full_shapes.json").read_text())
    with np.load(GOLDEN / f"scalogram_{request.param}_io.npz") as arrays:
        return model, shapes, {name: torch.from_numpy(arrays[name]) for name in arrays}


def test_names_and_shapes_are_those_of_the_published_state(published):
    model, shapes, _ = published
    assert {name: list(w.shape) for name, w in model.state_dict().items()} == shapes["state"]
    assert sum(w.numel() for w in model.parameters()) == shapes["parameters"]
    assert model.clip_sample == shapes["scheduler"]["clip_sample"]


def test_outputs_are_the_published_ones(published):
    model, _, arrays = published
    epsilon = model.unet(arrays["unet_input"], arrays["unet_t"])
    torch.testing.assert_close(epsilon, arrays["unet_epsilon"], rtol=0, atol=1e-4)
    if "ae_latent" in arrays:
        torch.testing.assert_close(model.ae.encode(arrays["x"]), arrays["ae_latent"], rtol=0, atol=1e-4)
        restored = model.ae.decode(arrays["ae_latent"])
        torch.testing.assert_close(restored, arrays["ae_reconstruction"], rtol=0, atol=1e-4)


def test_the_whole_process_is_the_published_one(published):
    model, _, arrays = published
    restored = model.reconstruct(arrays["x"], ReverseProcess(30, 10, "ddim"), start_noise=arrays["start_noise"])
    torch.testing.assert_close(restored, arrays["denoised"], rtol=0, atol=1e-4)
