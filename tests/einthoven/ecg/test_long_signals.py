import numpy as np
import pytest

from einthoven.ecg import long_signals
from einthoven.ecg.long_signals import blank_signal, lies_in_file, release, take_rows
from einthoven.ecg.reading import read
from noise_quant.api import score
from tests.wfdb_encoding import write_encoded


@pytest.fixture
def record(tmp_path):
    """Half a minute of two leads at 250 Hz, of which one is flat for a while."""
    ecg = np.tile(read(None).signal[:2, :5000:2], (1, 3))
    ecg[1, 3000:4000] = 0.0
    write_encoded(tmp_path, "day", np.rint(200 * ecg).astype(int).T, "212", 250, "200/mV", ("I", "II"))
    return tmp_path / "day"


@pytest.fixture
def small_limit(monkeypatch):
    """Makes what has more than a thousand samples very long."""
    monkeypatch.setattr(long_signals, "LARGEST_IN_MEMORY", 1000)


def test_only_a_very_long_signal_lies_in_a_file(small_limit):
    short, long = blank_signal(2, 500), blank_signal(2, 501)
    assert (lies_in_file(short), lies_in_file(long), lies_in_file(long[:1, 5:])) == (False, True, True)
    assert np.isnan(short).all() and np.isnan(long).all()
    assert not lies_in_file(long.copy())


def test_values_stay_where_memory_is_let_go(small_limit):
    signal = blank_signal(2, 5000)
    signal[:] = expected = np.random.default_rng(1).standard_normal((2, 5000))
    release(signal[1:, 7:])
    np.testing.assert_array_equal(signal, expected)
    taken = take_rows(signal, [1, 0, 1])
    assert lies_in_file(taken)
    np.testing.assert_array_equal(taken, expected[[1, 0, 1]])


def test_an_array_of_someone_else_is_left_alone(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 5000)))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[:] = 1.0
    release(private)
    assert not lies_in_file(private)
    assert (private == 1.0).all()  # letting go of a private mapping would lose them


def test_a_disk_without_room_leaves_memory(small_limit, monkeypatch):
    def full(*_args):
        raise OSError("no room")

    monkeypatch.setattr(long_signals.os, "posix_fallocate", full)
    signal = blank_signal(2, 5000)
    assert not lies_in_file(signal)
    assert signal.shape == (2, 5000)


def test_a_long_recording_is_read_and_scored_as_a_short_one(record, monkeypatch):
    whole, part = read(record), read(record, leads=["II"])
    expected = score(whole)
    monkeypatch.setattr(long_signals, "LARGEST_IN_MEMORY", 1000)
    long = read(record)
    assert lies_in_file(long.signal)
    assert long.notes == whole.notes
    np.testing.assert_array_equal(long.signal, whole.signal)
    one = read(record, leads=["II"])
    assert lies_in_file(one.signal)
    np.testing.assert_array_equal(one.signal, part.signal)
    np.testing.assert_array_equal(score(long).psnr, expected.psnr)


def test_a_flat_lead_has_one_word_from_a_file_and_from_an_array(tmp_path):
    ecg = read(None).signal[:2, :5000:2].copy()
    ecg[1] = 0.0
    write_encoded(tmp_path, "flat", np.rint(200 * ecg).astype(int).T, "212", 250, "200/mV", ("I", "II"))
    recording = read(tmp_path / "flat")
    assert [(item.lead, item.reason) for item in recording.lost] == [("II", "flat")]
    for given in (recording, read(tmp_path / "flat", leads=["II"])):
        assert score(given).reason[-1].tolist() == ["flat"]
    assert score(ecg, 250, ["I", "II"]).reason[1].tolist() == ["flat"]
    unknown = recording.signal.copy()
    assert score(unknown, 250, ["I", "II"]).reason[1].tolist() == ["missing"]
