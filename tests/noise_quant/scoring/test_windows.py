import numpy as np
import pytest

from noise_quant.scalogram.image import WIDTH
from noise_quant.scoring.windows import cut_windows


def published_columns(n_samples, rate, n_partitions):
    """Ranges of columns that the published code scores in each segment, written anew from its description."""
    length, width = 10 * rate, WIDTH // n_partitions
    n_full, rest = divmod(n_samples, length)
    ranges = []
    for segment in range(n_full + bool(rest)):
        first = WIDTH - int(WIDTH * rest / length) if segment == n_full else 0
        parts = []
        for number in range(n_partitions):
            start = first + number * width
            stop = min(start + width, WIDTH) if number < n_partitions - 1 else WIDTH
            if start < min(stop, WIDTH):
                parts.append((start, stop))
        ranges += [tuple(parts)] if parts else []
    return ranges


@pytest.mark.parametrize("n_samples", [5000, 10000, 7000, 12345, 5001, 5019, 5020, 14999])
@pytest.mark.parametrize("n_partitions", [1, 2, 3, 4, 10])
def test_columns_are_those_of_the_published_code(n_samples, n_partitions):
    windows = cut_windows(n_samples, 500)
    assert [window.partitions(n_partitions) for window in windows] == published_columns(n_samples, 500, n_partitions)


@pytest.mark.parametrize("rate", [100, 128, 257, 360, 500, 1000])
def test_windows_cover_the_recording_once(rate):
    for n_samples in (round(10 * rate), round(27.3 * rate), round(4.4 * rate), 3 * rate):
        windows = cut_windows(n_samples, rate)
        scored = sum(last - first for first, last in (window.scored for window in windows))
        assert scored == pytest.approx(n_samples / rate * WIDTH / 10, abs=1)
        assert all(0 <= window.judged[0] < window.judged[1] <= n_samples for window in windows)
        assert windows[-1].judged[1] == n_samples


def test_the_tail_is_the_last_ten_seconds():
    ecg = np.arange(13_000.0)[None]
    windows = cut_windows(13_000, 500)
    np.testing.assert_array_equal(windows[-1].cut(ecg), ecg[:, -5000:])
    assert windows[-1].scored == (WIDTH - int(WIDTH * 0.6), WIDTH)
    assert windows[-1].judged == (10_000, 13_000)


@pytest.mark.parametrize("n_samples", [500, 1300, 2600, 4999])
def test_short_recordings_are_mirrored(n_samples):
    ecg = np.random.default_rng(0).standard_normal((2, n_samples))
    (window,) = cut_windows(n_samples, 500)
    signal = window.cut(ecg)
    assert signal.shape == (2, 5000)
    np.testing.assert_array_equal(signal[:, :n_samples], ecg)
    np.testing.assert_array_equal(signal[:, n_samples], ecg[:, -2])
    assert window.scored == (0, WIDTH * n_samples // 5000)
    assert window.partitions(4)[-1][1] == window.scored[1]


def test_too_short_recordings_are_refused():
    with pytest.raises(ValueError, match="at least 1 s"):
        cut_windows(499, 500)
