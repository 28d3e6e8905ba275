import math

import numpy as np
import pytest
import torch

from einthoven.ecg.filters import clean_signal, resample
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, to_twelve
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.recorded import measure_recording

ECG = simulate_ecg(1, 500, 4.0, seed=1)[0].astype(np.float64)


def measure(ecg, leads, rate=500, **settings):
    return measure_recording(ecg, rate, leads, INDEPENDENT_LEADS, 100.0, **settings)


def test_signal_is_filtered_as_the_prior_was_trained():
    measurement, notes = measure(ECG[:1], ["I"])
    np.testing.assert_allclose(measurement.y[0].numpy(), clean_signal(ECG[:1], 500, 100), atol=1e-6)
    assert measurement.observed.all()
    assert "0.6-50 Hz" in notes[0]
    assert "from 500 to 100 Hz" in notes[0]


def test_gaps_spread_by_what_the_resampling_reaches():
    gappy = ECG[:1].copy()
    gappy[0, 1000:1100] = np.nan
    measurement, notes = measure(gappy, ["I"])
    missing = np.flatnonzero(~measurement.observed[0, 0].numpy())
    # The gap lasts from 2.0 to 2.2 s; 0.05 s are added on either side.
    assert (missing[0], missing[-1]) == (195, 224)
    assert len(missing) == 30
    assert (measurement.y[~measurement.observed] == 0).all()
    assert "0.20 s missing, 0.30 s restored" in notes[1]
    same_rate, _ = measure(gappy[:, ::5], ["I"], 100)
    assert np.flatnonzero(~same_rate.observed[0, 0].numpy()).tolist() == list(range(200, 220))


def test_a_gap_hardly_changes_what_is_kept():
    gappy = ECG[:1].copy()
    gappy[0, 1000:1100] = np.nan
    measurement, _ = measure(gappy, ["I"])
    whole, _ = measure(ECG[:1], ["I"])
    error = (measurement.y - whole.y)[measurement.observed].abs()
    assert error.max() < 0.1
    assert error.square().mean().sqrt() < 0.02


def test_a_lead_of_nan_is_not_measured():
    measurement, notes = measure(np.stack([ECG[0], np.full(ECG.shape[-1], np.nan)]), ["I", "V2"])
    assert measurement.observed[0].any(dim=-1).tolist() == [True, False]
    assert notes[1] == "lead V2 is missing throughout: not measured"


def test_too_many_gaps_are_refused():
    gappy = np.full((1, 2000), np.nan)
    gappy[0, 1000:1010] = 0.1 * np.arange(10)
    with pytest.raises(ValueError, match="fewer missing or saturated samples"):
        measure(gappy, ["I"])


def test_two_limb_leads_make_all_six_known():
    measurement, _ = measure(ECG[[5, 4]], ["aVF", "aVL"])
    values, known = measurement.known()
    assert known[0].all(dim=-1).tolist() == [True] * 6 + [False] * 6
    np.testing.assert_allclose(values[0, :6].numpy(), clean_signal(ECG[:6], 500, 100), atol=1e-5)
    assert (values[0, 6:] == 0).all()


def test_one_derived_limb_lead_makes_only_itself_known():
    measurement, _ = measure(ECG[2:3], ["III"])
    _, known = measurement.known()
    assert known[0].all(dim=-1).tolist() == [lead == "III" for lead in LEADS]


def test_a_limb_gap_is_bridged_by_the_other_leads():
    gappy = ECG[:3].copy()
    gappy[1, 500:900] = np.nan
    measurement, _ = measure(gappy, ["I", "II", "III"])
    values, known = measurement.known()
    assert known[0, :6].all()
    np.testing.assert_allclose(values[0, 1].numpy(), clean_signal(ECG[1], 500, 100), atol=0.1)


def test_complete_keeps_the_measured_and_derives_the_rest():
    measurement, _ = measure(ECG[[0, 7]], ["I", "V2"])
    samples = torch.randn(5, 1, 8, 400, generator=torch.Generator().manual_seed(0))
    twelve = measurement.complete(samples)
    assert torch.equal(twelve[:, 0, [0, 7]], measurement.y[0].expand(5, 2, 400))
    inner = samples.clone()
    inner[:, 0, [0, 3]] = measurement.y[0]
    torch.testing.assert_close(twelve, to_twelve(inner))


@pytest.mark.parametrize("leads", [["III"], ["aVR", "V2"]])
def test_complete_moves_i_and_ii_to_fit_another_limb_lead(leads):
    gappy = ECG[[LEADS.index(lead) for lead in leads]].copy()
    gappy[0, 500:900] = np.nan
    measurement, _ = measure(gappy, leads)
    samples = torch.randn(5, 1, 8, 400, generator=torch.Generator().manual_seed(0))
    twelve = measurement.complete(samples)
    torch.testing.assert_close(twelve, to_twelve(twelve[:, :, [0, 1, *range(6, 12)]]), rtol=0, atol=1e-5)
    there, row = measurement.observed[0, 0], LEADS.index(leads[0])
    assert torch.equal(twelve[:, 0, row, there], measurement.y[0, 0, there].expand(5, -1))
    # Nothing else moves, to the bit: other samples, and other leads that were not measured.
    assert torch.equal(twelve[..., :2, ~there], samples[..., :2, ~there])
    assert torch.equal(twelve[..., 8:, :], samples[..., 4:, :])
    moved = twelve[..., :2, :] - samples[..., :2, :]
    assert moved[..., there].abs().max() > 0.1


def test_contradicting_limb_leads_are_told():
    wrong = ECG[:3].copy()
    wrong[2] *= -1
    with pytest.warns(UserWarning, match="Einthoven"):
        _, notes = measure(wrong, ["I", "II", "III"])
    assert "check lead names and electrodes" in notes[-1]


def test_known_of_a_batch_is_of_each_record():
    observed = torch.ones(2, 2, 10, dtype=torch.bool)
    observed[1, 1] = False
    measurement = Measurement(torch.ones(2, 2, 10), observed, ("I", "II"), INDEPENDENT_LEADS)
    _, known = measurement.known()
    assert known[0].any(-1).sum() == 6
    assert known[1].any(-1).sum() == 1


@pytest.mark.parametrize("rate", [50, 62.5, 75, 99])
def test_a_lower_rate_stays_and_the_operator_knows_it(rate):
    slow = resample(ECG[:2], 500, rate)
    measurement, notes = measure(slow, ["I", "II"], rate)
    assert measurement.y.shape[-1] == slow.shape[-1]
    assert 0 <= ECG.shape[-1] / 5 - measurement.length <= 2
    # What the operator makes of the ECG at the prior's rate is what was measured, but for the ends.
    inner = torch.from_numpy(clean_signal(ECG[[0, 1, *range(6, 12)]], 500, 100))[None, :, : measurement.length]
    error = (measurement.operator(inner) - measurement.y).abs()[measurement.observed]
    assert error.max() < 0.03
    assert error.square().mean().sqrt() < 0.006
    n_edge = math.ceil(0.05 * rate)
    assert not measurement.observed[..., :n_edge].any()
    assert not measurement.observed[..., -n_edge:].any()
    assert measurement.observed[..., n_edge:-n_edge].all()
    assert f"0.6-{rate / 2:g} Hz" in notes[0]
    assert not measurement.known()[1].any()


def cut(ecg, share=0.6):
    height = share * np.abs(ecg).max()
    return ecg.clip(-height, height), height


@pytest.mark.parametrize("rate", [100, 500])
def test_saturated_samples_are_bounded_not_measured(rate):
    whole = ECG[:1, :: 500 // rate]
    clipped, height = cut(whole)
    measurement, notes = measure(clipped, ["I"], rate, saturation=(-height, height))
    saturated = np.abs(whole[0, :: rate // 100]) >= height
    assert not measurement.observed[0, 0, saturated].any()
    assert measurement.observed.float().mean() > 0.8
    assert "at the recorder's limit" in notes[1]
    # The bound is below the true ECG, or nearly, and what is below it is pulled there.
    truth, lower = clean_signal(whole, rate, 100)[0], measurement.lower[0, 0].numpy()
    assert np.isfinite(lower[whole[0, :: rate // 100] >= height]).all()
    assert not measurement.observed[0, 0, np.isfinite(lower)].any()
    assert (truth - lower)[np.isfinite(lower)].min() > -0.05
    there = torch.from_numpy(np.isfinite(lower))
    low = measurement.complete(torch.full((2, 1, 8, measurement.length), -9.0))
    torch.testing.assert_close(low[1, 0, 0, there], measurement.lower[0, 0, there])
    high = measurement.complete(torch.full((2, 1, 8, measurement.length), 9.0))
    assert (high[:, 0, 0, there] == 9.0).all()
    np.testing.assert_allclose(high[:, 0, 2], high[:, 0, 1] - high[:, 0, 0])


def test_a_derived_lead_is_bounded_too():
    clipped, height = cut(ECG[2:3])
    measurement, _ = measure(clipped, ["III"], saturation=(-height, height))
    there = measurement.lower[0, 0].isfinite()
    assert there.any()
    low = torch.zeros(1, 1, 8, 400)
    low[:, :, 1] = -9.0
    pulled = measurement.complete(low)[0, 0, 2]
    torch.testing.assert_close(pulled[there], measurement.lower[0, 0, there])


def test_unsaturated_recordings_say_so():
    measurement, notes = measure(ECG[:1], ["I"], saturation=(-50.0, 50.0))
    assert measurement.lower is None
    assert measurement.upper is None
    assert measurement.observed.all()
    assert notes[1] == "no sample was at the recorder's limits"


def test_noise_of_limb_leads_counts_once():
    measurement, _ = measure(ECG[::-1].copy(), LEADS[::-1], noise="ma")
    assert set(measurement.leads) == set(INDEPENDENT_LEADS)
    assert measurement.y.shape == measurement.noise.variances(measurement.y).shape == (1, 8, 400)
    assert not measurement.known()[1].any()
    gappy = ECG[:4].copy()
    gappy[1, 800:1200] = np.nan
    bridged, _ = measure(gappy, LEADS[:4], noise="auto")
    assert bridged.leads == ("I", "II", "III")
    assert torch.equal(bridged.observed[0, 1], ~bridged.observed[0, 2])
    assert bridged.observed[0, 0].all()


def test_saturated_samples_of_a_noisy_recording_are_not_measured():
    clipped, height = cut(ECG[:3])
    measurement, _ = measure(clipped, ["I", "II", "III"], noise="bw", saturation=(-height, height))
    assert measurement.lower is None
    assert measurement.observed.shape == measurement.y.shape
    assert not measurement.observed.all()
    assert measurement.complete(torch.zeros(1, 1, 8, 400)).shape == (1, 1, 12, 400)


def test_noise_is_looked_at_in_each_lead():
    rng = np.random.default_rng(0)
    noisy = ECG[[0, 6]] + np.array([[0.2], [0.02]]) * rng.standard_normal((2, 2000))
    measurement, _ = measure(noisy, ["I", "V1"], noise="ma")
    quiet, loud = sorted(measurement.noise.rms(measurement.y)[0].tolist())
    assert loud > 2 * quiet
    samples = torch.randn(3, 1, 8, 400, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(measurement.complete(samples), to_twelve(samples))
