"""A wrong sampling rate shows as a heart rate that cannot be."""

import numpy as np
import pytest

from einthoven.ecg.adapters import as_recording
from einthoven.ecg.heart_rate import beat_distance, rate_note
from einthoven.ecg.reading import read


@pytest.fixture(scope="module")
def ecg():
    recording = read()
    assert recording.sampling_rate == 500
    return recording.signal


def test_a_plausible_rate_is_not_noted(ecg):
    assert rate_note(ecg, 500) is None
    bpm = 60 * 500 / beat_distance(ecg, 500)
    assert 50 < bpm < 110
    gaps = ecg.copy()
    gaps[:, 700:900] = np.nan
    assert beat_distance(gaps, 500) == pytest.approx(beat_distance(ecg, 500), rel=0.05)


@pytest.mark.parametrize(("factor", "stated"), [(5, 500), (1, 100), (1, 250), (2, 1000)])
def test_a_wrong_rate_is_noted_with_one_that_fits(ecg, factor, stated):
    bpm, true = 60 * 500 / beat_distance(ecg, 500), 500 // factor
    note = rate_note(ecg[:, ::factor], stated)
    shown = int(note.split()[-4])
    assert note.endswith(f": {stated} Hz stated; {true} Hz would give {shown} beats a minute")
    assert shown == pytest.approx(bpm, abs=3)


def test_the_note_is_the_recordings(ecg):
    noted = as_recording(ecg[:1], 250, "I")
    assert "250 Hz stated; 500 Hz would give" in noted.notes[0]
    assert as_recording(noted) is noted
    assert as_recording(ecg[:1], 500, "I").notes == ()


def test_files_are_noted_too(ecg, write_record, tmp_path):
    wrong, right = (read(write_record(tmp_path, f"rec{rate}", ecg, rate)).notes for rate in (250, 500))
    assert any("250 Hz stated; 500 Hz would give" in note for note in wrong)
    assert not any("Hz would give" in note for note in right)


@pytest.mark.parametrize("signal", [np.zeros((2, 5000)), np.full((2, 5000), np.nan), np.zeros((1, 3))])
def test_what_has_no_beats_has_no_note(signal):
    assert rate_note(signal, 500) is None


def test_noise_has_no_note():
    assert rate_note(np.random.default_rng(0).standard_normal((3, 5000)), 500) is None
