"""Stretches without a heart: found where they are, and nowhere else."""

import numpy as np
import pytest

from einthoven.ecg import lost
from einthoven.ecg.checks import check_units
from einthoven.ecg.leads import LEADS
from einthoven.ecg.lost import Lost, describe_lost, lost_stretches, without_lost
from einthoven.ecg.reading import read
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 500


@pytest.fixture
def ecg():
    return read(None).signal.copy()


def stretches(ecg, **options):
    return lost_stretches(ecg, RATE, LEADS[: len(ecg)], **options)


def test_a_clean_ecg_loses_nothing(ecg):
    assert stretches(ecg) == ()
    kept, notes = without_lost(ecg, RATE, LEADS)
    assert kept is ecg and notes == ()
    for simulated in simulate_ecg(3, 100).astype(np.float64):
        assert lost_stretches(simulated, 100, LEADS) == ()


def test_flat_and_held_stretches(ecg):
    ecg[0, 2000:4000] = 0.0
    ecg[6, 1000:1600] = 0.7
    ecg[1] = -1.0
    ecg[7, 3000:3300] = 0.1  # 0.6 s: a heart at rest
    assert stretches(ecg)[1:] == (Lost("II", 0, 5000, "flat"), Lost("V1", 1000, 1600, "flat"))
    first = stretches(ecg)[0]
    assert first.lead == "I" and first.reason == "flat"
    assert 1950 < first.first <= 2000 and 4000 <= first.last < 4050  # isoelectric samples beside it hold the same value


def test_disconnected_and_wild_leads_and_limits(ecg):
    ecg[2] = 0.001 * np.random.default_rng(0).standard_normal(5000)
    ecg[3] *= 100
    ecg[9, 1000:1200] = 5.0
    ecg[10, ::50] = np.nan
    assert stretches(ecg) == (
        Lost("III", 0, 5000, "disconnected"),
        Lost("aVR", 0, 5000, "out of range"),
        Lost("V4", 1000, 1200, "saturated"),
    )
    assert [stretch.lead for stretch in stretches(ecg, saturated=False)] == ["III", "aVR"]


def test_offsets_of_volts_and_slow_drift_are_no_loss(ecg):
    ecg += 300 * np.sign(np.arange(12) - 6)[:, None] + 8 * np.sin(np.arange(5000) / 1500)
    assert stretches(ecg) == ()


def test_long_leads_are_looked_at_in_pieces(ecg, monkeypatch):
    long = np.tile(ecg[:2], (1, 4))
    long[0, 9000:11000] = 0.2
    long[1, 10000:15000] *= 100
    whole = stretches(long)
    assert [(item.lead, item.reason) for item in whole] == [("I", "flat"), ("II", "out of range")]
    monkeypatch.setattr(lost, "_CHUNK", 5000)
    assert stretches(long) == whole


def test_notes_say_where_and_why(ecg):
    ecg[0, 2000:4000] = 0.7
    ecg[1] = 0.0
    missing, notes = without_lost(ecg, RATE, LEADS)
    assert notes == (
        "lead I is flat from 4.0 to 8.0 s: taken as not measured",
        "lead II is flat throughout: taken as not measured",
    )
    assert np.isnan(missing[0, 2000:4000]).all() and np.isnan(missing[1]).all() and not np.isnan(missing[2:]).any()
    assert np.isfinite(ecg).all()
    several = [Lost("I", 0, 500, "flat"), Lost("I", 1000, 2000, "flat")]
    assert describe_lost(several, RATE, 5000) == (
        "lead I is flat in 2 stretches, 3.0 s in all, from 0.0 to 4.0 s: taken as not measured",
    )


def test_volts_are_told_from_leads_that_are_off(ecg):
    with pytest.raises(ValueError, match="volts: multiply by 1000"):
        check_units(ecg / 1000, RATE)
    check_units(0.001 * np.random.default_rng(0).standard_normal((12, 5000)), RATE)


def test_read_makes_lost_stretches_missing(tmp_path, write_record, ecg):
    ecg[4], ecg[8, 500:1500] = 0.0, 0.0
    recording = read(write_record(tmp_path, "rec", np.round(ecg, 3), RATE))
    assert np.isnan(recording.signal[4]).all() and np.isnan(recording.signal[8, 500:1500]).all()
    assert "lead aVL is flat throughout: taken as not measured" in recording.notes
    assert np.isfinite(recording.signal[0]).all()
