import numpy as np
import pytest

from einthoven.run.registry import check_choice
from reconstruction.measurement.checks import check_recording


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
        ({"ecg": wave(seconds=12)}, "longer recordings come in a later version"),
        ({"ecg": wave(seconds=2)}, "needs 2.5 to 10 s"),
        ({"ecg": np.where(wave() > 0.9, np.inf, wave())}, "infinite values: write missing samples as NaN"),
        ({"ecg": wave() * np.nan}, "all samples are missing"),
        ({"ecg": np.full((1, 2500), 0.3)}, "lead I is flat"),
        ({"ecg": np.vstack([wave(), np.zeros((1, 2500))]), "leads": ["I", "V2"]}, "lead V2 is flat"),
        ({"ecg": np.zeros((1, 0))}, "lasts 0.00 s"),
        ({"ecg": wave() * 1000}, "microvolts divide by 1000"),
        ({"ecg": wave() / 1000}, "volts multiply by 1000"),
        ({"ecg": (wave() * 200).astype(np.int16)}, "raw counts"),
    ],
)
def test_mistakes_are_told(change, message):
    arguments = {"ecg": wave(), "sampling_rate": 500, "leads": ["I"], **change}
    with pytest.raises(ValueError, match=message):
        check_recording(**arguments)


def test_ten_seconds_and_one_sample_pass():
    check_recording(np.sin(np.arange(5001) / 20)[None], 500, ["I"])


def test_low_rates_pass():
    check_recording(np.sin(np.arange(250) / 5)[None], 50, ["I"])


def test_near_names_of_a_choice():
    with pytest.raises(ValueError, match="did you mean 'amortised'"):
        check_choice("method", "amortized", ["amortised", "mgps"])
