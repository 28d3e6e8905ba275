import numpy as np
import pandas as pd
import pytest
import wfdb

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_ROWS, LEADS
from einthoven.ecg.measures.beats import BEAT_RATE
from einthoven.ecg.measures.marks import qrs_bounds
from evaluation.generation.average_beat import average_beat, average_beats
from evaluation.generation.ecg_features import FEATURES, INTERVALS, beat_features, measure_features
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 100.0


@pytest.fixture(scope="module")
def ecgs():
    return simulate_ecg(6, RATE, rhythm="sinus", seed=3).astype(np.float64)


def test_median_beat_is_the_beat_that_repeats():
    beat = np.sin(2 * np.pi * np.arange(80) / 80) * np.exp(-0.5 * ((np.arange(80) - 40) / 2.0) ** 2)
    beat += np.exp(-0.5 * ((np.arange(80) - 40) / 1.5) ** 2)
    ecg = np.tile(beat, (len(LEADS), 12)) * np.linspace(0.5, 2.0, len(LEADS))[:, None]
    noisy = ecg + 0.01 * np.random.default_rng(0).standard_normal(ecg.shape)
    average = average_beat(noisy, RATE)
    assert np.median(average.rr_ms) == pytest.approx(800.0, abs=2.0)
    cut = average.window(-0.2, 0.3, RATE)
    assert cut.shape == (len(LEADS), 50)
    expected = ecg[:, 3 * 80 + 20 : 3 * 80 + 70]
    shift = np.argmax(expected[-1]) - np.argmax(cut[-1])
    for lead, truth in zip(np.roll(cut, shift, axis=1)[:, 5:-5], expected[:, 5:-5], strict=True):
        assert np.corrcoef(lead, truth)[0, 1] > 0.98
        assert lead.max() == pytest.approx(truth.max(), rel=0.05)


def test_features_do_not_depend_on_noise_shift_or_gain(ecgs):
    noise = 0.01 * np.random.default_rng(1).standard_normal(ecgs.shape)
    variants = [ecgs, ecgs + noise, np.roll(ecgs, 30, axis=-1)[..., 30:], 2.0 * ecgs]
    plain, noisy, shifted, doubled = (
        measure_features(average_beats(variant, RATE)[0], range(len(ecgs))) for variant in variants
    )
    for name, tolerance in (("heart_rate", 3.0), ("qrs", 12.0), ("qt", 40.0), ("r_V5", 0.1)):
        assert np.abs(noisy[name] - plain[name]).median() < tolerance
        assert np.abs(shifted[name] - plain[name]).median() < tolerance
    np.testing.assert_allclose(doubled["r_II"], 2.0 * plain["r_II"], rtol=1e-6)
    np.testing.assert_allclose(doubled["qrs"], plain["qrs"])


def test_a_wider_complex_has_a_wider_qrs(ecgs):
    average = average_beat(ecgs[0], RATE)
    onset, offset = qrs_bounds(average, INDEPENDENT_ROWS)
    assert onset <= average.peak <= offset
    place = np.arange(average.beat.shape[-1])
    bump = 0.8 * np.exp(-0.5 * ((place - offset - 0.02 * BEAT_RATE) / (0.015 * BEAT_RATE)) ** 2)
    wide = type(average)(average.beat + bump, average.peak, average.rr_ms)
    assert (
        np.diff(qrs_bounds(wide, INDEPENDENT_ROWS))[0] * 1000.0 / BEAT_RATE
        > (offset - onset) * 1000.0 / BEAT_RATE + 20.0
    )


def test_limb_amplitudes_obey_einthoven(ecgs):
    flipped = ecgs[0].copy()
    features = beat_features(average_beat(flipped, RATE))
    assert features["qtc"] == pytest.approx(features["qt"] / np.cbrt(60.0 / features["heart_rate"]), rel=1e-9)
    assert features["p_aVR"] < 0.0 < features["p_II"]


@pytest.mark.filterwarnings("error")
def test_what_has_no_beats_is_contained_and_reported(ecgs):
    broken = ecgs.copy()
    broken[0], broken[1, 3, 5] = 0.0, np.nan
    broken[2] = 0.0
    broken[2, :, 400:404] = 1.0
    beats, problems = average_beats(broken, RATE)
    assert [beat is None for beat in beats] == [bool(problem) for problem in problems]
    assert "R peaks" in problems[0] and "not finite" in problems[1] and problems[2] and problems[3:] == [""] * 3
    table = measure_features(beats, range(10, 16))
    assert list(table["ecg_id"]) == list(range(10, 16)) and list(table["n_beats"][:3]) == [0, 0, 0]
    assert table[[feature.name for feature in FEATURES]].iloc[:3].isna().all(axis=None)
    assert table[[feature.name for feature in INTERVALS]].iloc[3:].notna().all(axis=None)


@pytest.mark.data
def test_features_of_recordings_agree_with_their_statements(ecg_data):
    table = pd.read_csv(ecg_data / "ptb-xl" / "ptbxl_database.csv")
    found = {}
    for statement in ("NORM", "CLBBB", "1AVB"):
        rows = table[table["scp_codes"].str.contains(f"'{statement}'", regex=False)].head(12)
        files = [ecg_data / "ptb-xl" / name for name in rows["filename_lr"]]
        ecgs = [clean_signal(wfdb.rdrecord(str(file)).p_signal.T, RATE, RATE) for file in files]
        found[statement] = measure_features(average_beats(ecgs, RATE)[0], rows["ecg_id"]).median()
    assert 70.0 < found["NORM"]["qrs"] < 100.0 < 120.0 < found["CLBBB"]["qrs"]
    assert 130.0 < found["NORM"]["pr"] < 190.0 < found["1AVB"]["pr"]
    assert 380.0 < found["NORM"]["qtc"] < 440.0
