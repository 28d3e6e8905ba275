import numpy as np
import pytest

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.measurement.added_noise import AddNoise

RNG = np.random.default_rng(0)
RECORDED = {name: RNG.standard_normal((2, 4000)).cumsum(axis=-1) for name in ("bw", "em", "ma")}
KEYS = [3, 8, 11]
INDEPENDENT = [LEADS.index(lead) for lead in INDEPENDENT_LEADS]


@pytest.fixture(scope="module")
def truth():
    return simulate_ecg(3, 100, 5.0).astype(np.float32)


def test_measurement_is_the_noisy_ecg(truth):
    measurement, extras = AddNoise(RECORDED, "em", snr_db=3.0)(KEYS, truth)
    assert measurement.leads == INDEPENDENT_LEADS
    assert measurement.observed.all()
    assert measurement.noise is not None
    noisy = extras["noisy"]
    assert noisy.shape == truth.shape and noisy.dtype == np.float32
    np.testing.assert_array_equal(noisy[:, INDEPENDENT], measurement.y.numpy())
    np.testing.assert_allclose(noisy[:, LEADS.index("III")], noisy[:, 1] - noisy[:, 0], atol=1e-5)
    clean, added = truth[:, INDEPENDENT], (noisy - truth)[:, INDEPENDENT]
    ratio = 10 * np.log10((clean**2).mean(axis=(1, 2)) / (added**2).mean(axis=(1, 2)))
    np.testing.assert_allclose(ratio, 3.0, atol=1e-3)
    assert not measurement.known()[1].any()


def test_power_and_prefilter(truth):
    raw, filtered = (AddNoise(RECORDED, "bw", power=2.0, prefilter=flag)(KEYS, truth) for flag in (False, True))
    np.testing.assert_array_equal(raw[1]["noisy"], filtered[1]["noisy"])
    np.testing.assert_allclose(filtered[0].y.numpy(), clean_signal(raw[0].y.numpy(), 100, 100), atol=1e-5)
    assert (filtered[0].noise.rms(filtered[0].y) < raw[0].noise.rms(raw[0].y)).all()
    added = (raw[1]["noisy"] - truth)[:, INDEPENDENT]
    np.testing.assert_allclose(np.ptp(added, axis=-1), 2 * np.ptp(truth[:, INDEPENDENT], axis=-1), rtol=1e-4)


def test_a_record_does_not_depend_on_its_batch_mates(truth):
    task = AddNoise(RECORDED, "mix", snr_db=0.0, known_type=False)
    together, alone = task(KEYS, truth), task(KEYS[1:2], truth[1:2])
    np.testing.assert_array_equal(together[1]["noisy"][1:2], alone[1]["noisy"])
    spectra = together[0].noise.spectrum[1:2], alone[0].noise.spectrum
    np.testing.assert_allclose(*(spectrum.numpy() for spectrum in spectra), rtol=1e-5)


def test_mistakes_are_told(truth):
    with pytest.raises(ValueError, match="did you mean 'em'"):
        AddNoise(RECORDED, "emm", snr_db=3.0)
    for levels in ({}, {"snr_db": 3.0, "power": 1.0}):
        with pytest.raises(ValueError, match="once"):
            AddNoise(RECORDED, "em", **levels)
