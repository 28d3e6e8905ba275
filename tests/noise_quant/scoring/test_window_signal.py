import numpy as np
import pytest

from noise_quant.scoring.scorer import Scorer
from noise_quant.scoring.verdict import Thresholds, verdicts
from noise_quant.scoring.window_signal import MISSING, cut_signal
from noise_quant.scoring.windows import cut_windows
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 250


@pytest.fixture(scope="module")
def recording():
    return simulate_ecg(1, RATE, duration=23.0, rhythm="sinus")[0, :3].astype(np.float64)


def cut(ecg, number=0):
    return cut_signal(ecg, cut_windows(ecg.shape[-1], RATE)[number], RATE)


def test_one_missing_sample_costs_nothing(recording, tiny_model):
    gap = recording.copy()
    gap[:, 1000] = np.nan
    piece = cut(gap)
    assert piece.counted.all()
    assert piece.reasons == [""] * 3
    assert np.abs(piece.signal - recording[:, :2500]).max() < 0.1
    whole, scores = (Scorer(tiny_model).score(x, RATE) for x in (recording, gap))
    np.testing.assert_allclose(scores.psnr, whole.psnr, atol=0.5)
    np.testing.assert_array_equal(scores.psnr[:, 1:], whole.psnr[:, 1:])
    assert not scores.missing_s.any()


def test_a_longer_gap_is_left_out_with_what_is_near(recording, tiny_model):
    gap = recording.copy()
    gap[1, 500:1000] = np.nan  # 2 to 4 s
    columns = np.flatnonzero(~cut(gap).counted[1])
    np.testing.assert_allclose(columns[[0, -1]] * 10 / 256, [1.7, 4.3], atol=0.05)
    scores = Scorer(tiny_model).score(gap, RATE, n_partitions=4)
    np.testing.assert_allclose(scores.missing_s[1, :3], [0.8, 1.8, 0], atol=0.05)
    assert np.isfinite(scores.psnr).all()
    whole = Scorer(tiny_model).score(recording, RATE, n_partitions=4)
    np.testing.assert_array_equal(scores.psnr[[0, 2]], whole.psnr[[0, 2]])


def test_parts_and_windows_without_a_sample_have_no_score(recording, tiny_model):
    gap = recording.copy()
    gap[0, 1200:3000] = np.nan
    gap[2, 2500:] = np.nan
    scores = Scorer(tiny_model).score(gap, RATE, n_partitions=2)
    assert scores.reason[0].tolist() == ["", MISSING, "2.3 s missing", "", ""]
    assert scores.reason[2].tolist() == ["", "", MISSING, MISSING, MISSING]
    np.testing.assert_array_equal(np.isnan(scores.psnr), scores.unusable)
    np.testing.assert_array_equal(scores.unusable, scores.reason == MISSING)


def test_hum_is_told_with_its_amplitude(recording, tiny_model):
    time = np.arange(recording.shape[-1]) / RATE
    noisy = recording + np.array([[0.0], [0.5], [8.0]]) * np.sin(2 * np.pi * 50 * time)
    scores = Scorer(tiny_model).score(noisy, RATE)
    assert scores.reason[:, 0].tolist() == ["", "mains hum 0.5 mV", "mains hum 8 mV"]
    assert not scores.unusable.any()
    clean = verdicts(np.full((3, 3), 50.0), scores.unusable, Thresholds(40.0, 1.0), scores.hum_mv)
    assert clean[:, 0].tolist() == ["clean", "partly noisy", "heavily noisy"]


def test_nothing_but_the_window_is_read(recording):
    class Pieces:
        def __getitem__(self, place):
            assert place[1].stop - place[1].start == 2500
            return recording[place]

    np.testing.assert_array_equal(
        cut_signal(Pieces(), cut_windows(5750, RATE)[1], RATE).signal, recording[:, 2500:5000]
    )
