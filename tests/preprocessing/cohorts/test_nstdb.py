"""The three noise recordings, their halves, and pieces of them."""

import numpy as np
import pytest
from scipy import signal

from preprocessing.cohorts.nstdb import GAP_S, load_noise, mix_recorded_noise, noise_pieces, prepare_nstdb, read_nstdb

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


@pytest.fixture
def whole_folder(folder, write_record):
    noise = np.random.default_rng(1).standard_normal((2, DURATION_S * 360))
    for name in ("em", "ma"):
        write_record(folder, name, noise, 360, ["noise1", "noise2"])
    return folder


def test_prepared_noise_is_that_of_the_recordings(whole_folder, tmp_path):
    manifest = prepare_nstdb(whole_folder, tmp_path / "store", 100)
    assert set(manifest["sources"]) == {f"{name}.{end}" for name in ("bw", "em", "ma") for end in ("dat", "hea")}
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"manifest.json", "noise.npz"}
    for half in ("fit", "test"):
        prepared, read = load_noise(tmp_path / "store", half), load_noise(whole_folder, half)
        assert list(prepared) == list(read) == ["bw", "em", "ma"]
        for name in prepared:
            np.testing.assert_allclose(prepared[name], read[name], atol=1e-6)
            np.testing.assert_array_equal(read[name], read_nstdb(whole_folder, name, 100, half))


def test_a_folder_without_noise_is_told(whole_folder, tmp_path):
    with pytest.raises(ValueError, match="prepare_nstdb"):
        load_noise(tmp_path / "store", "fit")
    prepare_nstdb(whole_folder, tmp_path / "store", 100)
    with pytest.raises(ValueError, match="no half"):
        load_noise(tmp_path / "store", "train")
    with pytest.raises(ValueError, match="not 200 Hz"):
        load_noise(tmp_path / "store", "fit", 200)
    (tmp_path / "store" / "noise.npz").write_bytes(b"torn")
    with pytest.raises(ValueError, match="damaged"):
        load_noise(tmp_path / "store", "fit")


RECORDED = {
    name: np.random.default_rng(place).standard_normal((2, 3000)) for place, name in enumerate(("bw", "em", "ma"))
}
ECGS = np.random.default_rng(9).standard_normal((3, 8, 400)).astype(np.float32)


def test_recorded_noise_is_added_at_its_level():
    noisy = mix_recorded_noise(ECGS, RECORDED, "em", [5, 6, 7], 0, snr_db=6.0)
    assert noisy.shape == ECGS.shape and noisy.dtype == np.float32
    ratio = (ECGS**2).mean(axis=(1, 2)) / ((noisy - ECGS) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(10 * np.log10(ratio), 6.0, atol=1e-3)
    at_power = mix_recorded_noise(ECGS, RECORDED, "em", [5, 6, 7], 0, power=2.0)
    np.testing.assert_allclose(np.ptp(at_power - ECGS, axis=-1), 2 * np.ptp(ECGS, axis=-1), rtol=1e-4)
    alone = mix_recorded_noise(ECGS[1:2], RECORDED, "em", [6], 0, snr_db=6.0)
    np.testing.assert_array_equal(alone, noisy[1:2])
    other = mix_recorded_noise(ECGS[1:2], RECORDED, "em", [6], 1, snr_db=6.0)
    assert abs(np.corrcoef((other - ECGS[1:2]).ravel(), (alone - ECGS[1:2]).ravel())[0, 1]) < 0.2


def test_mix_holds_each_noise_at_equal_power():
    added = mix_recorded_noise(ECGS, RECORDED, "mix", [5, 6, 7], 0, snr_db=0.0) - ECGS
    parts = [mix_recorded_noise(ECGS, RECORDED, name, [5, 6, 7], 0, snr_db=0.0) - ECGS for name in RECORDED]
    total = sum(part / np.sqrt((part**2).mean(axis=(1, 2), keepdims=True)) for part in parts)
    for mine, wanted in zip(added, total, strict=True):
        assert np.corrcoef(mine.ravel(), wanted.ravel())[0, 1] == pytest.approx(1.0, abs=1e-5)


def test_mistakes_in_mixing_are_told():
    for arguments, message in (
        ({"noise_type": "mains", "snr_db": 0.0}, "bw, em, ma, or mix"),
        ({"noise_type": "em"}, "once"),
        ({"noise_type": "em", "snr_db": 0.0, "power": 1.0}, "once"),
        ({"noise_type": "em", "snr_db": 0.0, "keys": [1]}, "one a record"),
    ):
        with pytest.raises(ValueError, match=message):
            mix_recorded_noise(**{"x": ECGS, "noise": RECORDED, "keys": [1, 2, 3], "seed": 0, **arguments})


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
