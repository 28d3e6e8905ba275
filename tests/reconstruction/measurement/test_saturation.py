import numpy as np
import pytest

from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.measurement.saturation import check_saturation, find_saturated

ECG = simulate_ecg(1, 500, 5.0, seed=3)[0].astype(np.float64)
HEIGHT = 0.6 * np.abs(ECG[1]).max()


@pytest.mark.parametrize("saturation", ["auto", (-HEIGHT, HEIGHT), (-np.inf, HEIGHT)])
def test_cut_peaks_are_found(saturation):
    clipped = np.stack([0.3 * ECG[0], ECG[1].clip(max=HEIGHT)])
    at_low, at_high = find_saturated(clipped, 500, saturation)
    assert not at_low.any()
    assert not at_high[0].any()
    assert at_high[1].tolist() == (ECG[1] >= HEIGHT - 1e-3).tolist()


def test_lower_limits_and_gaps_are_minded():
    clipped = np.maximum(-ECG[1:2], -HEIGHT)
    clipped[0, :400] = np.nan
    for saturation in ("auto", (-HEIGHT, 5.0)):
        at_low, at_high = find_saturated(clipped, 500, saturation)
        assert not at_high.any()
        assert not at_low[0, :400].any()
        assert at_low[0, 400:].tolist() == (-ECG[1, 400:] <= -HEIGHT + 1e-3).tolist()


def test_whole_recordings_have_no_saturated_samples():
    for saturation in (None, "auto", (-20, 20)):
        assert not np.any(find_saturated(ECG, 500, saturation))
    assert not np.any(find_saturated(np.full((1, 2500), np.nan), 500, "auto"))


def test_mistakes_are_told():
    for limits in ((1.0, -1.0), (1.0,), (np.nan, 1.0), (0.0, 0.0)):
        with pytest.raises(ValueError, match=r"such as \(-5.0, 5.0\)"):
            check_saturation(limits)
    with pytest.raises(ValueError, match="did you mean 'auto'"):
        check_saturation("automatic")
    for good in (None, "auto", (-5, 5), (-np.inf, 5.0)):
        check_saturation(good)
