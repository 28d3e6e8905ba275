"""Whatever holds an ECG in memory becomes the same recording."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import wfdb

from einthoven.ecg.adapters import as_recording
from einthoven.ecg.recording import Recording

RATE = 250.0
ECG = np.random.default_rng(0).standard_normal((3, 700)).round(3)
NAMES = ("I", "aVF", "V2")


class FakeRaw:
    """What is used of an MNE Raw."""

    def __init__(self):
        self.ch_names = ["Lead aVF", "EMG chin", "v2", "I"]
        self.info = {"sfreq": RATE, "bads": ["v2"], "meas_date": None}

    def get_data(self, reject_by_annotation):
        assert reject_by_annotation == "NaN"
        return np.stack([ECG[1], ECG[1], ECG[2], ECG[0]]) / 1e3


@pytest.mark.parametrize(
    "array",
    [
        ECG,
        ECG.tolist(),
        torch.from_numpy(ECG).requires_grad_(),
        np.asfortranarray(ECG),
        np.ma.masked_array(ECG, mask=False),
    ],
    ids=["numpy", "lists", "torch", "Fortran", "masked"],
)
def test_arrays(array):
    recording = as_recording(array, np.float32(RATE), ["i", "avf", "Lead V2"])
    np.testing.assert_array_equal(recording.signal, ECG)
    assert recording.signal.dtype == np.float64
    assert (recording.sampling_rate, recording.leads, type(recording.sampling_rate)) == (RATE, NAMES, float)


def test_one_lead():
    np.testing.assert_array_equal(as_recording(ECG[0], 250, "II").signal, ECG[:1])
    assert as_recording(torch.from_numpy(ECG[0]).float(), torch.tensor(250), ["II"]).leads == ("II",)


def test_what_is_masked_is_missing():
    masked = np.ma.masked_array(ECG.astype(np.float32), mask=ECG > 1)
    np.testing.assert_array_equal(np.isnan(as_recording(masked, 250, NAMES).signal), ECG > 1)


def test_a_recording_passes_through_or_gives_some_of_its_leads():
    recording = Recording(ECG, RATE, NAMES, "mine", notes=("a note",))
    assert as_recording(recording) is recording
    assert as_recording(recording, 250) is recording
    part = as_recording(recording, leads=["V2", "I"])
    np.testing.assert_array_equal(part.signal, ECG[[2, 0]])
    assert (part.leads, part.name, part.notes) == (("V2", "I"), "mine", ("a note",))
    with pytest.raises(ValueError, match="contradicts the recording: it has 250 Hz"):
        as_recording(recording, 500)
    with pytest.raises(ValueError, match="lacks lead"):
        as_recording(recording, leads="II")


def test_a_table_has_lead_names_as_columns():
    table = pd.DataFrame(ECG.T, columns=["i", "aVF", "V2"])
    table.insert(0, "time", np.arange(700) / RATE)
    recording = as_recording(table, 250)
    np.testing.assert_array_equal(recording.signal, ECG)
    assert (recording.leads, recording.other_channels) == (NAMES, ("time",))
    assert "time" in recording.notes[0]
    np.testing.assert_array_equal(as_recording(table, 250, ["V2"]).signal, ECG[2:])
    with pytest.raises(ValueError, match=r"no column of the table is a lead \(0, 1, 2\)"):
        as_recording(pd.DataFrame(ECG.T), 250)


@pytest.mark.parametrize("physical", [True, False])
def test_a_wfdb_record_knows_its_unit_rate_and_leads(tmp_path, physical):
    names, values = ["I", "aVF", "resp", "V2"], np.insert(ECG, 2, 0.5, axis=0).T * 1000
    settings = {"fmt": ["16"] * 4, "adc_gain": [1.0] * 4, "baseline": [0] * 4, "write_dir": str(tmp_path)}
    wfdb.wrsamp("rec", RATE, ["uV", "uV", "V", "uV"], names, values, **settings)
    recording = as_recording(wfdb.rdrecord(str(tmp_path / "rec"), physical=physical))
    np.testing.assert_allclose(recording.signal, ECG, atol=1e-9)
    assert (recording.leads, recording.other_channels, recording.name) == (NAMES, ("resp",), "rec")
    assert recording.source.format == "wfdb.Record"


def test_an_mne_raw_is_in_volts_and_has_bad_channels():
    recording = as_recording(FakeRaw(), leads=NAMES)
    np.testing.assert_allclose(recording.signal[:2], ECG[:2])
    assert np.isnan(recording.signal[2]).all()
    assert recording.other_channels == ("EMG chin",)
    assert recording.notes == ("lead(s) V2 are marked as bad: taken as missing",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((ECG,), "sampling_rate is missing.*sampling_rate=500"),
        ((ECG, 250), "leads is missing.*in the order of the rows"),
        ((ECG, None, NAMES), "sampling_rate is missing"),
        ((ECG, "250", NAMES), "must be a number"),
        ((ECG, [250, 250], NAMES), "must be a number"),
        ((ECG, True, NAMES), "must be a number"),
        ((ECG, 0, NAMES), "an ECG has 1 to"),
        ((ECG, np.nan, NAMES), "an ECG has 1 to"),
        ((ECG, 250, ["I", "II"]), "one row for each lead"),
        ((ECG.T, 250, NAMES), "transpose it"),
        ((ECG[0], 250, NAMES), "one row for each lead"),
        ((ECG[:, :0], 250, NAMES), "one row for each lead"),
        ((ECG, 250, ["I", "W", "V2"]), "unknown lead"),
        ((ECG.astype(int), 250, NAMES), "raw counts"),
        ((ECG.astype(complex), 250, NAMES), "complex128 values"),
        (([["a", "b"]], 250, ["I"]), "values: an ECG in mV"),
        (([[1.0, 2.0], [1.0]], 250, ["I"]), "no array of numbers"),
        (("my_record",), r"einthoven.read\('my_record'\)"),
        ((SimpleNamespace(p_signal=None, d_signal=None, sig_name=["I"]),), "holds no signal"),
        ((SimpleNamespace(p_signal=ECG.T, sig_name=["EEG"]),), "it has EEG"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        as_recording(*arguments)
