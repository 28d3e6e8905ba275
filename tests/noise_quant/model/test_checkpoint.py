"""Weights on disk: ours and published ones, read back whole or refused with the reason."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from noise_quant.model.checkpoint import (
    PRETRAINED,
    build_model,
    load_autoencoder,
    load_model,
    load_scalogram_model,
    save_model,
    take_weights,
)
from noise_quant.model.models import ScalogramAutoencoder, ScalogramDiffusion
from noise_quant.scalogram.image import ScalogramSettings

AE = {"width": 8, "n_blocks": 1}
SPECS = {
    "autoencoder": {"ae": AE},
    "latent": {"ae": AE, "unet": {"channels": [8]}, "scaling_factor": 0.7, "max_timestep": 300},
    "pixel": {"unet": {"channels": [8], "patch": 4}, "scalogram": {"k_sd": 4.0}},
}
CLASSES = {"autoencoder": ScalogramAutoencoder, "latent": ScalogramDiffusion, "pixel": ScalogramDiffusion}


def tiny(kind):
    return build_model({"kind": kind, **SPECS[kind]})


@pytest.mark.parametrize("kind", SPECS)
def test_a_model_comes_back_as_it_was_written(kind, tmp_path):
    model = tiny(kind)
    save_model(tmp_path / "weights.safetensors", model, {"steps": 3})
    loaded = load_scalogram_model(tmp_path)  # a run's folder
    assert isinstance(loaded, CLASSES[kind]) and loaded.facts == {"steps": 3} and loaded.spec == model.spec
    assert not loaded.training and not any(w.requires_grad for w in loaded.parameters())
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)
    assert loaded.scalogram == model.scalogram and loaded.discretization
    if kind == "latent":
        assert (loaded.scaling_factor, loaded.max_timestep, loaded.clip_sample) == (0.7, 300, False)
    if kind == "pixel":
        assert loaded.scalogram == ScalogramSettings(k_sd=4.0)


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path):
    model = tiny("latent")
    model.facts = {"thresholds": {"ddim-10-30": {"clean": 30.0, "heavy": 25.0}}}
    for half in (False, True):
        save_model(tmp_path / f"{half}.safetensors", model, half=half)
    sizes = [(tmp_path / f"{half}.safetensors").stat().st_size for half in (False, True)]
    loaded = load_model(tmp_path / "True.safetensors")
    assert sizes[1] < 0.6 * sizes[0] + 20_000 and loaded.facts == model.facts
    for a, b in zip(loaded.parameters(), model.parameters(), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b.detach(), rtol=1e-3, atol=1e-4)


def test_the_autoencoder_of_a_latent_model_can_be_had_alone(tmp_path):
    model = tiny("latent")
    save_model(tmp_path / "latent.safetensors", model)
    autoencoder = load_autoencoder(tmp_path / "latent.safetensors")
    image = torch.rand(1, 1, 32, 256)
    assert torch.equal(autoencoder.ae.encode(image), model.ae.encode(image))
    save_model(tmp_path / "ae.safetensors", autoencoder)
    assert torch.equal(load_autoencoder(tmp_path / "ae.safetensors")(image), autoencoder(image))
    with pytest.raises(ValueError, match="train_latent_diffusion"):
        load_model(tmp_path / "ae.safetensors")
    save_model(tmp_path / "pixel.safetensors", tiny("pixel"))
    with pytest.raises(ValueError, match="holds no autoencoder"):
        load_autoencoder(tmp_path / "pixel.safetensors")


def test_weights_of_other_networks_are_not_taken(tmp_path):
    save_model(tmp_path / "weights.safetensors", tiny("latent"))
    other = build_model({"kind": "latent", **SPECS["latent"], "unet": {"channels": [16]}})
    with pytest.raises(ValueError, match="of another shape"):
        take_weights(other, tmp_path)
    same = tiny("latent")
    take_weights(same, tmp_path)
    assert torch.equal(same.ae.patch_in.weight, load_model(tmp_path).ae.patch_in.weight)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "video"}, "kind"),
        ({"kind": "pixel", "size": "huge"}, "size"),
        ({"kind": "latent", "unet": {"in_channels": 33}}, "in_channels"),
        ({"kind": "latent", "ae": {"wdith": 3}}, "wdith"),
        ({"kind": "pixel", "size": "published", "unet": {"channels": [8]}}, "channels"),
    ],
)
def test_a_spec_that_builds_nothing_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        build_model(spec)


class Trap:
    """What a hostile pickle holds: code that is run by reading it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path):
    torch.save({"unet.conv_in.weight": Trap(tmp_path / "ran")}, tmp_path / "trap.pth")
    with pytest.raises(ValueError, match="never run"):
        load_model(tmp_path / "trap.pth")
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("hello")
    for name in ("text.pth", "empty.pth", "text.safetensors"):
        with pytest.raises(ValueError, match=name):
            load_model(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="state dictionary"):
        load_model(tmp_path / "list.pth")
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="no published model"):
        load_model(tmp_path / "other.pth")
    with pytest.raises(ValueError, match="no weights at"):
        load_model(tmp_path / "absent.safetensors")


def test_a_prior_is_no_scalogram_model():
    from diffusion_prior.checkpoint import PRETRAINED as PRIOR

    with pytest.raises(ValueError, match="not written by noise_quant"):
        load_model(PRIOR)


def test_missing_bundled_weights_are_told(monkeypatch, tmp_path):
    assert PRETRAINED.parent.parent.name == "noise_quant"
    monkeypatch.setattr("noise_quant.model.checkpoint.PRETRAINED", tmp_path / "small.safetensors")
    with pytest.raises(ValueError, match="no weights at"):
        load_model()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["latent", "pixel"])
def test_published_pickles_load_by_their_names(kind, tmp_path):
    model = build_model({"kind": kind, "size": "published"})
    state = OrderedDict((name, w.clone()) for name, w in model.state_dict().items())
    torch.save(state, tmp_path / "pretrained.pth")
    loaded = load_model(tmp_path / "pretrained.pth")
    assert isinstance(loaded, CLASSES[kind]) and loaded.scalogram.published and loaded.clip_sample
    assert loaded.spec["kind"] == kind and loaded.facts["published"]
    assert ("thresholds" in loaded.facts) == (kind == "latent")
    for name, weight in state.items():
        assert torch.equal(loaded.state_dict()[name], weight)
    if kind == "latent":
        assert loaded.scaling_factor == 0.18215
        torch.save(
            {n.removeprefix("ae."): w for n, w in state.items() if n.startswith("ae.")}, tmp_path / "ema_100.pth"
        )
        assert torch.equal(load_autoencoder(tmp_path / "ema_100.pth").ae.quant_conv.weight, model.ae.quant_conv.weight)
    state.pop("unet.conv_out.bias")
    state["unet.conv_in.weight"] = torch.zeros(64, 3, 3, 3)
    state["unet.extra"] = torch.zeros(1)
    torch.save(state, tmp_path / "damaged.pth")
    with pytest.raises(ValueError, match=r"1 missing \(unet.conv_out.bias\).*1 unexpected \(unet.extra\).*conv_in"):
        load_model(tmp_path / "damaged.pth")
