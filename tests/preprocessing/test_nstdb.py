"""The three noise recordings, their halves, and pieces of them."""

import numpy as np
import pytest
from scipy import signal

from preprocessing.nstdb import GAP_S, noise_pieces, read_nstdb

DURATION_S = 60


@pytest.fixture
def folder(tmp_path, write_record):
    """A tone of 5 Hz in the first half, of 9 Hz in the second, on a slow drift; offsets and sizes differ."""
    time = np.arange(DURATION_S * 360) / 360
    tone = np.sin(2 * np.pi * np.where(time < DURATION_S / 2, 5.0, 9.0) * time)
    noise = np.stack([0.5 + 1.5 * tone, 0.2 * tone + 0.4 * np.sin(2 * np.pi * 0.3 * time)])
    write_record(tmp_path, "bw", noise, 360, ["noise1", "noise2"])
    write_record(tmp_path, "em", noise[:1], 360, ["noise1"])
    write_record(tmp_path, "ma", np.zeros((2, 30 * 360)), 360, ["noise1", "noise2"])
    return tmp_path


def strongest(noise, rate):
    frequencies, power = signal.welch(noise, rate, nperseg=4 * rate)
    return frequencies[power.argmax(axis=-1)]


@pytest.mark.parametrize(("half", "tone"), [("fit", 5.0), ("test", 9.0)])
def test_halves_share_nothing_and_have_no_unit(folder, half, tone):
    noise = read_nstdb(folder, "bw", 500, half)
    assert noise.shape == (2, (DURATION_S - GAP_S) / 2 * 500)
    np.testing.assert_allclose(noise.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(noise.std(axis=1), 1)
    np.testing.assert_allclose(strongest(noise[0], 500), tone)
    noise[:] = 0  # the caller's own copy
    assert read_nstdb(folder, "bw", 500, half).std() > 0.9


def test_high_pass_takes_the_drift(folder):
    assert strongest(read_nstdb(folder, "bw", 100, "fit"), 100)[1] < 1
    np.testing.assert_allclose(strongest(read_nstdb(folder, "bw", 100, "fit", high_pass=1.0), 100), 5.0)


def test_pieces_belong_to_their_keys():
    noise = np.random.default_rng(0).standard_normal((2, 2000))
    pieces = noise_pieces(noise, 500, 12, (0, 17, "em"))
    assert pieces.shape == (12, 500)
    np.testing.assert_allclose(pieces.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_array_equal(pieces, noise_pieces(noise, 500, 12, (0, 17, "em")))
    np.testing.assert_array_equal(pieces[:3], noise_pieces(noise, 500, 3, (0, 17, "em")))
    assert not np.allclose(pieces, noise_pieces(noise, 500, 12, (0, 18, "em")))
    assert np.abs(np.corrcoef(pieces) - np.eye(12)).max() < 0.9
    places = [np.abs(np.correlate(channel, piece)).argmax() for piece in pieces for channel in noise]
    assert len(set(places)) > 12


def test_mistakes_are_told(folder, tmp_path):
    for arguments, message in (
        ((folder, "mains", 500, "fit"), "bw, em, ma"),
        ((folder, "bw", 500, "train"), "fit"),
        ((folder / "none", "bw", 500, "fit"), "lacks bw"),
        ((folder, "em", 500, "fit"), "two channels"),
        ((folder, "ma", 500, "fit"), "does not change"),
        ((folder, "bw", 100, "fit", 50.0), "high-pass"),
    ):
        with pytest.raises(ValueError, match=message):
            read_nstdb(*arguments)
    with pytest.raises(ValueError, match="no piece"):
        noise_pieces(np.zeros((2, 10)), 11, 1, (0,))


@pytest.mark.data
def test_real_recordings(ecg_data):
    for noise_type, share in (("bw", 0.99), ("em", 0.5), ("ma", 0.7)):
        for half in ("fit", "test"):
            noise = read_nstdb(ecg_data / "nstdb", noise_type, 100, half)
            assert noise.shape == (2, 89778)
            frequencies, power = signal.welch(noise, 100, nperseg=1000)
            assert (power[:, frequencies < 1].sum(1) / power.sum(1)).min() > share
