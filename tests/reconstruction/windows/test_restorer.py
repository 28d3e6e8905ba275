import numpy as np
import pytest
import torch

from reconstruction.windows.restorer import fade, lay_windows


@pytest.mark.parametrize("rate", [50, 100, 128, 250, 257.3, 360, 500, 997, 1000 / 3, 62.4725, 99.9])
@pytest.mark.parametrize("seconds", [10.5, 13, 18, 30, 121.3])
def test_windows_cover_a_recording_once_and_have_two_seconds_in_common(rate, seconds):
    length = round(seconds * rate)
    layout = lay_windows(length, rate, 100.0)
    windows = layout.windows
    assert layout.rate == pytest.approx(rate, rel=2e-3)
    assert (windows[0].start, windows[0].first, windows[-1].stop, windows[-1].last) == (0, 0, length, length)
    for one, other in zip(windows[:-1], windows[1:], strict=True):
        assert one.last == other.first
        assert other.start < other.first < one.stop
        assert other.start % layout.down == 0
        assert (one.stop - other.start) * layout.up == other.n_before * layout.down == one.n_after * layout.down
        assert one.stop - other.start > 1.0 * rate
    assert max(window.stop - window.start for window in windows) < 11.1 * rate


def test_whole_rates_are_taken_as_they_are():
    for rate in (50, 125, 128, 360, 997, 1000):
        assert lay_windows(30 * rate, rate, 100.0).rate == rate


def test_fading_holds_what_was_before_and_ends_in_what_comes():
    before, x = torch.ones(2, 100), torch.zeros(2, 300)
    faded = fade(before, x, 25).numpy()
    assert (faded[:, :25] == 1).all()
    assert (faded[:, 100:] == 0).all()
    assert (np.diff(faded) <= 0).all()
    assert np.abs(np.diff(faded)).max() < 0.03
