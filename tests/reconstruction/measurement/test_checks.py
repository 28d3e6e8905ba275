import numpy as np
import pytest

from einthoven.run.registry import check_choice
from reconstruction.measurement.checks import check_recording, is_long, without_lost_stretches


def wave(n_leads=1, seconds=5.0, rate=500):
    return np.sin(np.arange(round(seconds * rate)) / 20)[None].repeat(n_leads, 0)


def test_a_good_recording_passes_with_names_spelt_as_ours():
    ecg, leads = check_recording(wave(2), 500, ["avr", "v3"])
    assert leads == ("aVR", "V3")
    assert ecg.dtype == np.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling_rate": 40}, "50 Hz or more"),
        ({"sampling_rate": float("nan")}, "sampling_rate"),
        ({"leads": ["I", "II"]}, "one row for each lead"),
        ({"ecg": wave()[0]}, r"ecg\[None\]"),
        ({"ecg": wave(3).T, "leads": ["I", "II", "V1"]}, "transpose"),
        ({"leads": ["W1"]}, "unknown lead"),
        ({"ecg": wave(seconds=2)}, "needs 2.5 s or more"),
        ({"ecg": np.where(wave() > 0.9, np.inf, wave())}, "infinite values: write missing samples as NaN"),
        ({"ecg": wave() * np.nan}, "all samples are missing"),
        ({"ecg": np.zeros((1, 0))}, "lasts 0.00 s"),
        ({"ecg": wave() * 1000}, "microvolts divide by 1000"),
        ({"ecg": (wave() * 200).astype(np.int16)}, "raw counts"),
    ],
)
def test_mistakes_are_told(change, message):
    arguments = {"ecg": wave(), "sampling_rate": 500, "leads": ["I"], **change}
    with pytest.raises(ValueError, match=message):
        check_recording(**arguments)


def test_any_length_passes_and_what_is_long_has_more_than_a_sample_beyond_ten_seconds():
    check_recording(np.sin(np.arange(30_000) / 20)[None], 500, ["I"])
    assert not is_long(5001, 500)
    assert is_long(5002, 500)


def test_a_flat_and_a_wild_lead_are_lost_and_the_rest_is_used():
    ecg = np.vstack([wave(), np.zeros((1, 2500)), 50 * wave()])
    check_recording(ecg, 500, ["I", "V2", "V3"])
    left, notes = without_lost_stretches(ecg, 500, ["I", "V2", "V3"])
    assert np.isnan(left).all(axis=1).tolist() == [False, True, True]
    assert notes == (
        "lead V2 is flat throughout: taken as not measured",
        "lead V3 is out of range throughout: taken as not measured",
    )


def test_a_recording_without_a_lead_is_told():
    with pytest.raises(ValueError, match="no lead is left to start from: lead I is flat throughout"):
        without_lost_stretches(np.full((1, 2500), 0.3), 500, ["I"])


def test_low_rates_pass():
    check_recording(np.sin(np.arange(250) / 5)[None], 50, ["I"])


def test_near_names_of_a_choice():
    with pytest.raises(ValueError, match="did you mean 'amortised'"):
        check_choice("method", "amortized", ["amortised", "mgps"])
