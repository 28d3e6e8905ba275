"""What a picture is made of: samples where few, else least and greatest, whatever the length."""

import json

import numpy as np
import pytest

from einthoven.web.traces import BLOCK, View, cut, save_signal

RATE, LENGTH = 250.0, 150_000


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """A long signal with a gap: its file, and its values in uV."""
    signal = np.random.default_rng(0).normal(0, 1, (2, LENGTH)).cumsum(axis=-1) / 100
    signal[1, 20_000:40_000] = np.nan
    file = tmp_path_factory.mktemp("trace") / "before.npy"
    save_signal(file, signal)
    return file, np.round(signal * 1000)


def ask(file, **view):
    answer = cut(file, ["I", "II"], ["II", "I"], RATE, View(**view))
    json.dumps(answer, allow_nan=False)
    return answer


def test_few_samples_are_sent_themselves(trace):
    file, values = trace
    answer = ask(file, start=79.0, duration=4.0)
    assert (answer["kind"], answer["step"], answer["start"]) == ("samples", 1 / RATE, 79.0)
    sent = np.array(answer["leads"]["II"], dtype=float)
    np.testing.assert_array_equal(sent, values[1, 19_750:20_750])
    assert list(answer["leads"]) == ["II", "I"]


@pytest.mark.parametrize("width", [20, 100])
@pytest.mark.parametrize("start", [0.0, 33.3])
def test_pixels_hold_least_and_greatest(trace, width, start):
    file, values = trace
    answer = ask(file, start=start, width=width)
    assert answer["kind"] == "minmax"
    first, step = round(answer["start"] * RATE), round(answer["step"] * RATE)
    assert abs(answer["start"] - start) <= BLOCK / RATE
    for row, lead in enumerate(("I", "II")):
        low, high = (np.array(answer["leads"][lead][name], dtype=float) for name in ("min", "max"))
        assert len(low) <= 2 * width
        for pixel in range(len(low)):
            part = values[row, first + pixel * step : first + (pixel + 1) * step]
            if np.isnan(part).all():
                assert np.isnan(low[pixel]) and np.isnan(high[pixel])
            else:
                assert (low[pixel], high[pixel]) == pytest.approx((np.nanmin(part), np.nanmax(part)), abs=1)


def test_a_low_pass_leaves_the_slow_and_the_gaps(tmp_path):
    time = np.arange(2500) / RATE
    slow, fast = np.sin(2 * np.pi * time), np.sin(2 * np.pi * 90 * time)
    signal = np.stack([slow + fast, slow])
    signal[1, 1000:1200] = np.nan
    save_signal(tmp_path / "x.npy", signal)
    answer = ask(tmp_path / "x.npy", start=2.0, duration=4.0, width=1000, low_pass=40)
    np.testing.assert_allclose(answer["leads"]["I"], 1000 * slow[500:1500], atol=5)
    assert [value is None for value in answer["leads"]["II"]] == np.isnan(signal[1, 500:1500]).tolist()


@pytest.mark.parametrize(
    "view",
    [
        {"start": -1.0},
        {"start": float("nan")},
        {"duration": 0.0},
        {"duration": float("inf")},
        {"width": 1},
        {"width": 10**9},
        {"low_pass": 5.0},
        {"low_pass": 40.0},
        {"start": 1e300},
        {"duration": 1e300},
    ],
)
def test_views_that_cannot_be_are_refused(trace, view):
    with pytest.raises(ValueError):
        ask(trace[0], **view)


def test_a_view_behind_the_end_is_the_last_sample(trace):
    answer = ask(trace[0], start=1e9, duration=10.0)
    assert [len(row) for row in answer["leads"].values()] == [1, 1]
