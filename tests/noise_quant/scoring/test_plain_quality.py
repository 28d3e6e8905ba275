import numpy as np
import pytest
import wfdb

from noise_quant.scoring.plain_quality import FEATURES, lead_quality, plain_score, quality_features
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 250


@pytest.fixture(scope="module")
def ecg():
    """Twelve simulated leads (12, L) in mV."""
    return simulate_ecg(1, RATE, rhythm="sinus", noise=0.01)[0].astype(np.float64)


def test_one_row_per_lead_in_order(ecg):
    table = lead_quality(ecg, RATE)
    assert list(table.columns) == ["flat", "saturated", *FEATURES, "plain"]
    assert len(table) == 12 and not table[["flat", "saturated"]].any(axis=None)
    alone = lead_quality(ecg[4:5], RATE)
    assert alone.iloc[0].to_dict() == table.iloc[4].to_dict()


@pytest.mark.parametrize(
    ("column", "noise"),
    [
        ("power_baseline", lambda time, rng: 1.5 * np.sin(2 * np.pi * 0.3 * time)),
        ("power_high", lambda time, rng: 0.2 * np.sin(2 * np.pi * 50 * time)),
        ("power_high", lambda time, rng: 0.2 * rng.standard_normal(len(time))),
    ],
)
def test_noise_shows_in_its_index_and_in_the_sum(ecg, column, noise):
    time = np.arange(ecg.shape[1]) / RATE
    clean, noisy = (lead_quality(x, RATE) for x in (ecg, ecg + noise(time, np.random.default_rng(0))))
    assert (noisy[column] > clean[column] + 1.0).all()
    assert (noisy["plain"] < clean["plain"]).all()


def test_powers_are_those_of_sines():
    time = np.arange(10 * RATE) / RATE
    lead = np.sin(2 * np.pi * 10 * time) + 0.5 * np.sin(2 * np.pi * 20 * time) + 0.1 * np.sin(2 * np.pi * 0.5 * time)
    table = lead_quality(lead[None], RATE)
    assert table["power_qrs"][0] == pytest.approx(np.log(1.0 / 0.25), abs=1e-3)
    assert table["power_baseline"][0] == pytest.approx(np.log(0.01 / 1.25), abs=1e-3)


def test_flat_leads_have_the_lowest_score(ecg):
    bad = ecg[:4].copy()
    bad[0] = 0.3
    bad[1, 200:500] = bad[1, 200]
    bad[2] *= 0.001
    table = lead_quality(bad, RATE)
    assert table["flat"].tolist() == [True, True, True, False]
    assert np.isneginf(table["plain"][:3]).all() and np.isfinite(table["plain"][3])
    assert table.loc[0, list(FEATURES)].isna().all()


def test_saturated_and_broken_leads_have_the_lowest_score(ecg):
    bad = ecg[:3].copy()
    bad[0, 500:560] = bad[0].max()
    bad[1, 7] = np.nan
    table = lead_quality(bad, RATE)
    assert table["saturated"].tolist() == [True, False, False]
    assert not table["flat"].any()
    assert np.isneginf(table["plain"][:2]).all() and np.isfinite(table["plain"][2])


def test_a_lead_without_beats_is_no_error():
    rng = np.random.default_rng(0)
    drift = np.linspace(0, 1, 2 * RATE) + 1e-4 * rng.standard_normal(2 * RATE)
    table = lead_quality(np.stack([drift, rng.standard_normal(2 * RATE)]), RATE)
    assert ((table["neurokit"] >= 0) & (table["neurokit"] < 0.9)).all()


def test_both_rates_of_a_lead_agree():
    high, low = (simulate_ecg(1, rate, rhythm="sinus", noise=0.0)[0] for rate in (500, 100))
    tables = [lead_quality(x, rate) for x, rate in ((high, 500), (low, 100))]
    for column in ("power_baseline", "power_qrs", "kurtosis"):
        np.testing.assert_allclose(tables[0][column], tables[1][column], rtol=0.15, atol=0.1)


def test_features_are_cut_and_make_the_sum(ecg):
    table = lead_quality(ecg[:2] + np.linspace(0, 1e4, ecg.shape[1]), RATE)
    features = quality_features(table)
    assert features.max() == 10.0 and features.min() >= -3.0
    np.testing.assert_allclose(plain_score(table), -features.mean(axis=1))


@pytest.mark.parametrize(("shape", "rate"), [((500,), 250), ((2, 499), 250), ((2, 5000), 90)])
def test_what_does_not_suit_is_told(shape, rate):
    with pytest.raises(ValueError, match="lead_quality needs"):
        lead_quality(np.zeros(shape), rate)


@pytest.mark.data
def test_clean_leads_are_neither_flat_nor_saturated(ecg_data):
    files = sorted((ecg_data / "ptb-xl" / "records500").rglob("*.hea"))[:8]
    tables = [lead_quality(wfdb.rdrecord(str(file.with_suffix(""))).p_signal.T, 500) for file in files]
    assert np.mean([table[["flat", "saturated"]].any(axis=1).mean() for table in tables]) < 0.01
    assert np.mean([(table["neurokit"] > 0.9).mean() for table in tables]) > 0.7


@pytest.mark.data
def test_acceptable_records_score_higher(ecg_data):
    lowest = {}
    for label in ("acceptable", "unacceptable"):
        names = (ecg_data / "cinc2011" / f"RECORDS-{label}").read_text().split()[:10]
        tables = [
            lead_quality(wfdb.rdrecord(str(ecg_data / "cinc2011/set-a" / name)).p_signal.T, 500) for name in names
        ]
        lowest[label] = np.array([table["plain"].min() for table in tables])
    assert np.mean(lowest["acceptable"][:, None] > lowest["unacceptable"]) > 0.75
