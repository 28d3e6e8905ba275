import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import einthoven
from einthoven.ecg.filters import resample
from einthoven.ecg.measures.values import MEASURES
from einthoven.ecg.recording import Recording

RATE = 250.0
BEATS = 8
# Amplitude in mV, centre and width in ms from the R peak: a beat whose measures are known.
WAVES = ((0.15, -160.0, 20.0), (1.0, 0.0, 12.0), (-0.25, 34.0, 8.0), (0.3, 280.0, 45.0))
GAINS = {"I": 0.8, "II": 1.0, "V1": 0.4, "V2": 0.6, "V3": 0.8, "V4": 1.1, "V5": 1.0, "V6": 0.9}


def synthetic(rr_ms=900.0, waves=WAVES, st_mv=0.0, leads=tuple(GAINS)):
    """An ECG in mV whose beats are sums of bells; with an ST segment that is raised."""
    times = np.arange(round(BEATS * rr_ms * RATE / 1000)) * 1000.0 / RATE
    ecg = np.zeros_like(times)
    for beat in range(BEATS):
        since = times - (beat + 0.5) * rr_ms
        for height, centre, width in waves:
            ecg += height * np.exp(-0.5 * np.square((since - centre) / width))
        ecg += st_mv * expit((since - 45) / 4) * expit((330 - since) / 8)
    return Recording(np.array([GAINS[lead] * ecg for lead in leads]), RATE, leads, name="bells")


@pytest.fixture(scope="module")
def measures():
    return einthoven.measure(synthetic())


def test_measures_are_those_of_the_beat(measures):
    assert measures["heart_rate"] == pytest.approx(60_000 / 900, abs=0.5)
    assert measures["rr_sd"] < 3.0 and measures["rmssd"] < 5.0
    assert 160 < measures["pr"] < 220 and 70 < measures["qrs"] < 120 and 360 < measures["qt"] < 460
    assert measures["qtc_fridericia"] == pytest.approx(measures["qt"] / np.cbrt(0.9), rel=0.01)
    assert measures["qtc_bazett"] == pytest.approx(measures["qt"] / np.sqrt(0.9), rel=0.01)
    for lead, gain in GAINS.items():
        assert measures["r_amplitude", lead] == pytest.approx(gain * 1.0, rel=0.05)
        assert measures["s_amplitude", lead] == pytest.approx(gain * -0.24, rel=0.2)
        assert measures["t_amplitude", lead] == pytest.approx(gain * 0.3, rel=0.1)
    # Lead aVF is II - I / 2: 0.6 beside 0.8 in lead I.
    assert measures["qrs_axis"] == pytest.approx(np.degrees(np.arctan2(0.6 * 2 / np.sqrt(3), 0.8)), abs=2.0)
    assert (measures.table["reason"] == "").all() and measures.table["lower"].isna().all()


def test_the_table_has_each_measure_over_leads_and_lead_by_lead(measures, tmp_path):
    table = measures.table
    assert list(table.columns) == ["measure", "lead", "value", "lower", "upper", "unit", "reason"]
    expected = sum(m.over_leads for m in MEASURES) + len(GAINS) * sum(m.per_lead for m in MEASURES)
    assert len(table) == expected and not table.duplicated(["measure", "lead"]).any()
    assert "heart rate  67 1/min" in repr(measures) and "<table>" in measures._repr_html_()
    assert len(pd.read_csv(measures.save(tmp_path / "measures.csv"))) == expected
    assert measures.save(tmp_path / "measures.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="saved as .csv"):
        measures.save(tmp_path / "measures.npz")
    with pytest.raises(KeyError, match="choose from heart_rate"):
        measures["nonsense"]


def test_st_levels_are_measured_unless_a_high_pass_moved_them():
    raised = einthoven.measure(synthetic(st_mv=0.2))
    assert raised["st_j60", "II"] == pytest.approx(0.2, abs=0.05)
    filtered = einthoven.measure(synthetic(st_mv=0.2), high_pass_hz=0.5).table
    reasons = filtered[filtered["measure"].isin(["st_j", "st_j60"])]["reason"]
    assert (reasons == "ST after a high-pass of 0.5 Hz").all() and (filtered["reason"] != "").sum() == len(reasons)


def test_what_has_no_beats_is_not_measurable():
    flat = einthoven.measure(np.zeros((2, 1000)), 100.0, ["I", "II"])
    assert flat.table["value"].isna().all() and (flat.table["reason"] == "fewer than three beats").all()
    assert "not measurable: fewer than three beats" in repr(flat)
    assert flat.plot() is not None


def test_a_lead_with_gaps_is_measured_where_it_is_whole():
    ecg = synthetic()
    ecg.signal[2, :] = np.nan
    ecg.signal[3, :400] = np.nan
    measures = einthoven.measure(ecg)
    table = measures.table.set_index(["measure", "lead"])
    assert (table.loc[(slice(None), "V1"), "reason"] == "fewer than three beats").all()
    assert measures["r_amplitude", "V2"] == pytest.approx(0.6, rel=0.05)


def test_an_axis_needs_two_limb_leads():
    table = einthoven.measure(synthetic(leads=("I", "V1"))).table.set_index(["measure", "lead"])
    assert table.loc[("qrs_axis", ""), "reason"] == "an axis needs two limb leads"
    assert np.isfinite(table.loc[("qt", ""), "value"])


def test_atrial_fibrillation_has_no_p_waves():
    rng = np.random.default_rng(0)
    ecg = synthetic(waves=WAVES[1:])
    times = ecg.times
    trembling = sum(np.sin(2 * np.pi * (rate * times + rng.random())) for rate in (5.3, 6.1, 7.9))
    ecg.signal[:] += 0.02 * trembling
    table = einthoven.measure(ecg).table.set_index(["measure", "lead"])
    for key in (("pr", ""), ("pr", "II"), ("p_axis", ""), ("p_amplitude", "V1")):
        assert table.loc[key, "reason"] == "no P waves" and np.isnan(table.loc[key, "value"])
    assert np.isfinite(table.loc[("qt", ""), "value"])


def test_a_paced_heart_has_no_conduction_to_measure():
    ecg = synthetic()
    fine = resample(ecg.signal, RATE, 500.0)
    plain = einthoven.measure(fine, 500.0, ecg.leads).table.set_index(["measure", "lead"])
    for beat in range(BEATS):
        place = round(((beat + 0.5) * 0.9 - 0.06) * 500)
        fine[:, place] += 1.5
    paced = einthoven.measure(fine, 500.0, ecg.leads).table.set_index(["measure", "lead"])
    assert (plain["reason"] == "").all()
    for key in (("pr", ""), ("qrs", ""), ("qtc_bazett", ""), ("st_j", "V2")):
        assert paced.loc[key, "reason"] == "paced"
    assert np.isfinite(paced.loc[("heart_rate", ""), "value"])
    assert (einthoven.measure(ecg, paced=True).table["reason"] == "paced").sum() == (paced["reason"] == "paced").sum()


def test_mistakes_are_reported():
    with pytest.raises(ValueError, match="high_pass_hz is -1"):
        einthoven.measure(synthetic(), high_pass_hz=-1)
    with pytest.raises(ValueError, match="start=100"):
        einthoven.measure(synthetic(), start=100)
    with pytest.raises(ValueError, match="duration=0"):
        einthoven.measure(synthetic(), duration=0)


def test_a_stretch_can_be_chosen():
    measures = einthoven.measure(synthetic(), start=1.0, duration=4.0)
    assert measures.duration == 4.0 and measures["heart_rate"] == pytest.approx(60_000 / 900, abs=1)
