"""Typical beats do not depend on unit, rate, gaps or length, and are refused where there are none."""

from dataclasses import replace

import numpy as np
import pytest

import einthoven
from einthoven.ecg.filters import resample
from reconstruction.electrodes.few_leads.beats import N_SAMPLES, beat_features, window_spans


@pytest.fixture(scope="module")
def demo():
    whole = einthoven.read(einthoven.DEMO_ECG)
    return replace(whole, signal=whole.ordered(("II",)), leads=("II",))


def look(signal, rate):
    return beat_features(np.atleast_2d(signal), rate, ["II"])


def test_a_beat_has_no_unit_but_its_size_has(demo):
    one, other = (look(gain * demo.signal + 7, demo.sampling_rate)[0] for gain in (1.0, 812.0))
    assert one.shape == (N_SAMPLES + 2,)
    np.testing.assert_allclose(other[:-1], one[:-1], atol=1e-4)
    assert other[-1] - one[-1] == pytest.approx(np.log(812), abs=1e-3)


@pytest.mark.parametrize("rate", [128.0, 250.0, 1000.0])
def test_a_beat_hardly_depends_on_the_rate(demo, rate):
    beat = look(demo.signal, demo.sampling_rate)[0]
    again = look(resample(demo.signal, demo.sampling_rate, rate), rate)[0]
    assert np.corrcoef(beat[:-2], again[:-2])[0, 1] > 0.98


def test_beats_in_gaps_do_not_count(demo):
    signal = demo.signal.copy()
    signal[:, : round(3 * demo.sampling_rate)] = np.nan
    beat, whole = look(signal, demo.sampling_rate)[0], look(demo.signal, demo.sampling_rate)[0]
    assert np.corrcoef(beat[:-2], whole[:-2])[0, 1] > 0.98


def test_a_long_recording_is_looked_at_in_windows(demo):
    three = np.tile(demo.signal, (1, 3))
    assert len(look(three, demo.sampling_rate)) == 3
    three[:, : round(10 * demo.sampling_rate)] = 0.0
    assert len(look(three, demo.sampling_rate)) == 2
    assert window_spans(100_000, 100.0)[-1] == (99_000, 100_000)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, rate: (x[:, : round(2 * rate)], rate), "2.5 s are needed"),
        (lambda x, rate: (x, 30.0), "50 Hz or more"),
        (lambda x, rate: (np.zeros_like(x), rate), "flat"),
        (lambda x, rate: (np.full_like(x, np.nan), rate), "missing"),
        (lambda x, rate: (np.random.default_rng(0).standard_normal(x.shape), rate), "no usable beats"),
        (lambda x, rate: (np.sin(np.arange(x.shape[-1]) / rate / 3)[None], rate), "no usable beats"),
    ],
)
def test_what_has_no_beats_is_refused(demo, change, words):
    with pytest.raises(ValueError, match=words):
        look(*change(demo.signal, demo.sampling_rate))
