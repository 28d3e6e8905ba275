"""The networks that the benchmark compares."""

import pytest
import torch

from evaluation.benchmarks import networks

SETTING = {"sashimi": {"d_model": 8, "n_layers": 1, "pool": [2], "L": 32}, "device": "cpu"}


def test_one_ecg_is_restored(prior):
    calls = networks.restore(["amortised", "amortised, fast"], 2, prior)
    assert [call()["network_calls"] for call in calls.values()] == [19, 8]
    assert networks.restore("amortised", 2, prior).keys() == {"amortised"}


def test_networks_are_called_both_ways(prior):
    for backward, way in ((False, "forward"), (True, "forward + backward")):
        calls = networks.call_networks(["U-Net"], 2, backward, weights=prior, length=30, **SETTING)
        assert list(calls) == [f"U-Net, {way}"] and calls[f"U-Net, {way}"]()["parameters"] > 0


def test_networks_take_the_same_ecgs_and_are_frozen(prior):
    names = ["SaShiMi", "SaShiMi, kernels per call", networks.RHYTHMDIFF]
    ours, fresh, theirs = (networks.build_network(name, prior, **SETTING) for name in names)
    assert ours.backbone.keep_kernels and not fresh.backbone.keep_kernels
    assert not any(weight.requires_grad for weight in theirs.parameters())
    x = torch.randn(2, 9, 30)
    outputs = [denoiser(x, torch.tensor(0.3)) for denoiser in (ours, fresh, theirs)]
    assert torch.equal(outputs[0], outputs[1]) and outputs[0].std() > 0
    torch.testing.assert_close(outputs[2], outputs[0], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="no network Unet: take U-Net, SaShiMi"):
        networks.build_network("Unet", None, **SETTING)


def test_mgps_is_compared_with_the_calls_of_rhythmdiffs(prior, monkeypatch):
    seconds = iter((2.0, 5.0))
    monkeypatch.setattr(networks, "timed", lambda call: {"seconds": next(seconds)})
    calls = networks.compare_mgps(2, ["float32"], prior, SETTING["sashimi"], 30, "cpu")
    assert next(iter(calls)) == "MGPS, float32"
    assert calls["RhythmDiff's MGPS, calls x seconds"]() == {"seconds": 248 * 2.0 + 290 * 5.0}
