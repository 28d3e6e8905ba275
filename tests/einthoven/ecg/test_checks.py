import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.checks import check_units, flat_leads, lead_problems, longest_hold, saturated_samples
from einthoven.ecg.formats.wfdb import read_wfdb
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 500
NOISE_COLUMNS = ["baseline_drift", "static_noise", "burst_noise", "electrodes_problems"]


@pytest.fixture(scope="module")
def ecg():
    """Three simulated leads, (3, 5000), in mV."""
    return simulate_ecg(1, RATE, rhythm="sinus", seed=2)[0, [0, 1, 7]].astype(np.float64)


@pytest.mark.parametrize("rate", [100, 250, 360, 500, 1000])
@pytest.mark.parametrize("rhythm", ["sinus", "af"])
def test_simulated_ecgs_are_usable(rate, rhythm):
    for record in simulate_ecg(5, rate, rhythm=rhythm, noise=0.0):
        assert lead_problems(record, rate) == [""] * 12


def test_each_problem_is_named(ecg):
    rng = np.random.default_rng(0)
    time = np.arange(ecg.shape[1]) / RATE
    lead = ecg[1]
    broken = {
        "not finite": np.where(time == 3.0, np.nan, lead),
        "flat": np.full_like(lead, 0.3),
        "out of range": lead + 60 * np.sin(2 * np.pi * 0.1 * time),
        "saturated": np.where((time > 3) & (time < 3.5), 5.0, lead),
        "clipped": np.clip(lead, None, 0.3 * lead.max()),
    }
    for problem, signal in broken.items():
        assert lead_problems(signal[None], RATE) == [problem]
    assert lead_problems(np.where(time == 3.0, np.inf, lead)[None], RATE) == ["not finite"]
    assert lead_problems((0.002 * rng.random(lead.shape))[None], RATE) == ["flat"]
    assert lead_problems(np.where(time > 8, 0.0, lead)[None], RATE) == ["flat"]  # the electrode fell off
    assert lead_problems(np.where(np.arange(len(time)) % 997 == 0, 1.0, 0.0)[None], RATE) == ["flat"]  # spikes only
    assert lead_problems(np.full_like(lead, -80.0)[None], RATE) == ["saturated"]


def test_samples_at_the_limits_are_found(ecg):
    lead = ecg[1]
    height = 0.3 * lead.max()
    at_low, at_high = saturated_samples(lead.clip(max=height), RATE)
    assert not at_low.any()
    assert at_high.tolist() == (lead >= height - 1e-3).tolist()
    at_low, at_high = saturated_samples(-lead.clip(max=height), RATE)
    assert not at_high.any()
    assert at_low.tolist() == (lead >= height - 1e-3).tolist()
    assert not np.any(saturated_samples(lead, RATE))


def test_a_problem_of_one_lead_is_not_the_others(ecg):
    broken = ecg.copy()
    broken[1] = 0.0
    assert lead_problems(broken, RATE) == ["", "flat", ""]


def test_drift_noise_and_offset_are_no_problem(ecg):
    time = np.arange(ecg.shape[1]) / RATE
    drift = 4 * np.sin(2 * np.pi * 0.15 * time)
    noise = 0.5 * np.random.default_rng(1).standard_normal(ecg.shape)
    for signal in (ecg + drift, ecg + noise, ecg + 50.0, np.round(ecg / 0.005) * 0.005):
        assert lead_problems(signal, RATE) == ["", "", ""]


def test_only_observed_samples_count(ecg):
    broken = ecg.copy()
    broken[0, 2500:] = np.nan
    observed = np.isfinite(broken)
    assert lead_problems(broken, RATE) == ["not finite", "", ""]
    assert lead_problems(broken, RATE, observed) == ["", "", ""]
    assert lead_problems(broken, RATE, observed[0]) == ["", "", ""]
    assert lead_problems(broken, RATE, ~observed[0]) == ["not finite", "", ""]
    assert lead_problems(broken, RATE, np.zeros(5000, bool)) == ["not finite"] * 3


@pytest.mark.parametrize(
    ("ecg", "rate", "observed"),
    [
        (np.zeros(100), 100, None),
        (np.zeros((2, 0)), 100, None),
        (np.zeros((2, 9)), 0, None),
        (np.zeros((2, 9)), 1, [1]),
    ],
)
def test_wrong_shapes_are_refused(ecg, rate, observed):
    with pytest.raises(ValueError, match=r"shape|positive"):
        lead_problems(ecg, rate, observed)


def test_units_are_checked(ecg):
    check_units(ecg, RATE)
    check_units(np.zeros((2, 5000)), RATE)
    check_units(np.full((2, 5000), np.nan), RATE)
    loose = ecg + 80 * np.sin(2 * np.pi * 0.05 * np.arange(ecg.shape[1]) / RATE)
    check_units(loose, RATE)
    with pytest.raises(ValueError, match="microvolts divide by 1000"):
        check_units(1000.3 * ecg, RATE)
    for gain in (100, 200, 1000):
        with pytest.raises(ValueError, match="raw counts"):
            check_units(np.round(gain * ecg), RATE)


@pytest.mark.data
def test_real_recordings(ecg_data):
    """Of PTB-XL's leads without a remark hardly any is unusable, of CinC 2011's unacceptable records many."""
    table = pd.read_csv(ecg_data / "ptb-xl" / "ptbxl_database.csv")
    clean = table[table[NOISE_COLUMNS].isna().all(axis=1)].iloc[::12]
    problems = []
    for name in clean["filename_lr"]:
        record = read_wfdb(ecg_data / "ptb-xl" / name)
        check_units(record.signal, record.sampling_rate)
        problems += lead_problems(record.signal, record.sampling_rate)
    assert len(problems) > 1000
    assert np.mean([problem != "" for problem in problems]) < 0.005
    rates = {}
    for kind in ("acceptable", "unacceptable"):
        found = []
        for name in (ecg_data / "cinc2011" / f"RECORDS-{kind}").read_text().split()[::6]:
            record = read_wfdb(ecg_data / "cinc2011" / "set-a" / name)
            check_units(record.signal, record.sampling_rate)
            found += lead_problems(record.signal, record.sampling_rate)
        rates[kind] = np.mean([problem != "" for problem in found])
    assert rates["acceptable"] < 0.02
    assert rates["unacceptable"] > 0.15


def test_longest_hold_counts_samples_at_the_extremes():
    x = np.array([[0, 1, 1, 1, 0, 1.0], [0, -2, -2, 3, 2, 1], [4, 4, 4, 4, 4, 4]])
    assert [longest_hold(lead) for lead in x] == [3, 2, 6]


def test_flat_leads_are_named():
    x = np.array([[1.0, 1.0, 1.0], [0.0, 1e-9, 0.0], [0.0, 0.0, 0.0]])
    assert flat_leads(x, ("V1", "V2", "V3")) == ("V1", "V3")
