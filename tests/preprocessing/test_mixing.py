"""Mixing of noise into clean ECGs."""

import numpy as np
import pytest
import torch

from preprocessing.mixing import mix_at_power, mix_at_snr

RNG = np.random.default_rng(0)
X, NOISE = RNG.standard_normal((3, 2, 50)), 7 * RNG.standard_normal((3, 2, 50))
X[1] *= 100


@pytest.mark.parametrize("snr_db", [-6.0, 0.0, 24.0])
@pytest.mark.parametrize("noise", [NOISE, NOISE[0]], ids=["per record", "shared"])
def test_ratio_is_met_in_each_record(snr_db, noise):
    added = mix_at_snr(X, noise, snr_db) - X
    power, power_added = (X**2).mean((1, 2)), (added**2).mean((1, 2))
    np.testing.assert_allclose(10 * np.log10(power / power_added), snr_db, atol=1e-10)
    # One gain for all leads of a record: their ratios stay.
    np.testing.assert_allclose((added / noise).std(axis=(1, 2)) / (added / noise).mean(axis=(1, 2)), 0, atol=1e-10)


@pytest.mark.parametrize("mix", [mix_at_snr, mix_at_power])
def test_record_does_not_depend_on_its_batch_and_torch_equals_numpy(mix):
    whole = mix(X, NOISE, 2.0)
    np.testing.assert_allclose(mix(X[1], NOISE[1], 2.0), whole[1], rtol=1e-12)
    tensor = mix(torch.from_numpy(X), torch.from_numpy(NOISE), 2.0)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), whole, rtol=1e-12)


def test_power_scales_peak_to_peak_values_of_each_lead():
    added = mix_at_power(X, NOISE, 2.0) - X
    np.testing.assert_allclose(np.ptp(added, axis=-1), 2 * np.ptp(X, axis=-1), rtol=1e-12)
    np.testing.assert_array_equal(mix_at_power(X, NOISE, 0.0), X)


def test_what_has_no_ratio_is_refused():
    with pytest.raises(ValueError, match="noise of a record is zero"):
        mix_at_snr(X, np.zeros_like(X), 6.0)
    with pytest.raises(ValueError, match="signal of a record is zero"):
        mix_at_snr(np.zeros_like(X), NOISE, 6.0)
    with pytest.raises(ValueError, match="does not change"):
        mix_at_power(X, np.ones_like(X), 1.0)
    with pytest.raises(ValueError, match="negative"):
        mix_at_power(X, NOISE, -1.0)
