"""DICOM waveforms: values as pydicom reads them, on the file that it ships, and on written ones of every kind."""

from pathlib import Path

import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from tests.damaged_files import check_refused, check_truncated

pydicom = pytest.importorskip("pydicom")


@pytest.fixture(scope="module")
def shipped():
    return Path(pydicom.data.get_testdata_file("waveform_ecg.dcm"))


def test_the_recorded_group_of_a_real_file(shipped):
    recording = read(shipped)
    theirs = pydicom.dcmread(shipped).waveform_array(0).T / 1000
    np.testing.assert_allclose(recording.signal, theirs, atol=1e-12)
    assert (recording.leads, recording.sampling_rate, recording.signal.shape) == (LEADS, 1000.0, (12, 10000))
    assert (recording.patient.age, recording.patient.sex) == (42.0, "female")
    assert recording.start_time.isoformat() == "2013-01-25T10:59:19"
    assert any("median beat" in note for note in recording.notes)
    limb = recording.signal
    np.testing.assert_allclose(limb[2], limb[1] - limb[0], atol=0.006)


def test_files_of_two_carts():
    ecgprocess = pytest.importorskip("ecgprocess")
    folder = Path(ecgprocess.__file__).parent / "example_data" / "example_datasets"
    for name in ("example-DICOM1.dcm", "example-DICOM2.dcm"):
        recording = read(folder / name)
        theirs = pydicom.dcmread(folder / name).waveform_array(0).T / 1000
        np.testing.assert_allclose(recording.signal, theirs, atol=1e-12)
        assert (recording.leads, recording.sampling_rate) == (LEADS, 500.0)


def edited(shipped, path, change):
    data = pydicom.dcmread(shipped)
    del data.WaveformSequence[1]
    change(data, data.WaveformSequence[0])
    data.save_as(path)
    return path


def test_padding_baseline_correction_and_label(shipped, tmp_path):
    def change(data, group):
        group.add_new("WaveformPaddingValue", "OW", b"\x00\x80")
        samples = np.frombuffer(group.WaveformData, "<i2").reshape(-1, 12).copy()
        samples[100:120, 3] = -32768
        group.WaveformData = samples.tobytes()
        channel = group.ChannelDefinitionSequence[3]
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = 0.5, 10
        group.ChannelDefinitionSequence[0].ChannelLabel = "V6"  # the code says I
        del group.ChannelDefinitionSequence[4].ChannelSourceSequence[0].CodeValue
        group.ChannelDefinitionSequence[4].ChannelLabel = "Lead aVL"

    recording = read(edited(shipped, tmp_path / "padded.dcm", change))
    whole = read(shipped).signal
    assert recording.leads == LEADS
    assert np.isnan(recording.signal[3, 100:120]).all() and np.isnan(recording.signal).sum() == 20
    np.testing.assert_allclose(recording.signal[3, 200:], whole[3, 200:] / 2 + 0.01, atol=1e-12)


@pytest.mark.parametrize(("bits", "kind", "stored"), [(8, "SB", 8), (8, "UB", 8), (16, "US", 16), (16, "SS", 12)])
def test_other_widths(shipped, tmp_path, bits, kind, stored):
    dtype = {"SB": "<i1", "UB": "<u1", "US": "<u2", "SS": "<i2"}[kind]
    values = np.random.default_rng(0).integers(-100 if kind[0] == "S" else 0, 100, (10000, 12))

    def change(data, group):
        held = values & 0x0FFF if stored == 12 else values  # what stands above twelve bits is no sign
        group.WaveformBitsAllocated, group.WaveformSampleInterpretation = bits, kind
        group.WaveformData = held.astype(dtype).tobytes()
        for channel in group.ChannelDefinitionSequence:
            channel.WaveformBitsStored = stored

    recording = read(edited(shipped, tmp_path / "narrow.dcm", change))
    np.testing.assert_allclose(recording.signal, values.T * 1.25 / 1000, atol=1e-12)


def test_damage_is_told_in_a_line(shipped, tmp_path):
    path = tmp_path / "rec.dcm"
    path.write_bytes(shipped.read_bytes())
    check_truncated(path, shares=(0.002, 0.02, 0.3))
    for name, value in (("NumberOfWaveformSamples", 2**31), ("NumberOfWaveformChannels", 13), ("SamplingFrequency", 0)):
        check_refused(edited(shipped, path, lambda data, group, n=name, v=value: setattr(group, n, v)))
    check_refused(edited(shipped, path, lambda data, group: delattr(data, "WaveformSequence")))
