from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, to_twelve
from evaluation.inpainting.gap_baselines import STRENGTHS, GapRidge, copy_beats, interpolate_gaps
from preprocessing.store.store import Store, write_store

RATE, LENGTH = 100.0, 60
INNER = [LEADS.index(lead) for lead in INDEPENDENT_LEADS]


def hide(observed: np.ndarray, start: int, stop: int) -> np.ndarray:
    observed = observed.copy()
    observed[..., start:stop] = False
    return observed


def everything(n: int, length: int) -> np.ndarray:
    return np.ones((n, 12, length), bool)


def test_interpolation_is_a_straight_line():
    ramp = np.linspace(0, 1, LENGTH)
    ecg = np.broadcast_to(to_twelve(np.arange(1, 9)[:, None] * ramp), (1, 12, LENGTH))
    observed = hide(everything(1, LENGTH), 20, 40)
    np.testing.assert_allclose(interpolate_gaps(np.where(observed, ecg, np.nan), observed), ecg, atol=1e-6)
    ends = hide(hide(everything(1, LENGTH), 0, 10), 50, LENGTH)
    filled = interpolate_gaps(ecg, ends)
    np.testing.assert_allclose(filled[0, :, :10], np.broadcast_to(ecg[0, :, 10:11], (12, 10)), atol=1e-6)
    np.testing.assert_allclose(filled[0, :, 50:], np.broadcast_to(ecg[0, :, 49:50], (12, 10)), atol=1e-6)
    assert not interpolate_gaps(ecg, np.zeros_like(ends)).any()


@pytest.mark.parametrize("gap", [(0, 180), (260, 420), (620, 800)])
@pytest.mark.parametrize("all_leads", [True, False])
def test_copied_beats_fill_a_regular_rhythm(gap: tuple[int, int], all_leads: bool):
    time = np.arange(80)
    waves = [np.exp(-0.5 * ((time - at) / width) ** 2) for at, width in ((20, 3), (35, 1.5), (60, 5))]
    gains = np.random.default_rng(0).uniform(0.3, 1.0, (8, 3)) * np.array([0.2, 1.0, 0.3])
    ecg = to_twelve(np.tile(gains @ np.array(waves), 10))[None]  # R peaks at 35, 115, ...
    observed = everything(1, 800)
    rows = slice(None) if all_leads else slice(6, 12)
    observed[:, rows, gap[0] : gap[1]] = False
    filled = copy_beats(np.where(observed, ecg, np.nan), observed, RATE)
    np.testing.assert_allclose(filled, ecg, atol=0.02 * np.abs(ecg).max())
    assert np.abs(interpolate_gaps(ecg, observed) - ecg)[~observed].mean() > 0.03


def test_copies_wait_for_the_next_beat_where_one_was_seen():
    """Of 2.5 s with the second half missing, one beat may be left: the next is expected at a typical rhythm."""
    ecg = np.zeros((1, 12, 250), np.float32)
    ecg[0, :, [58, 59, 60, 61, 62]] = np.array([0.2, 0.6, 1.0, 0.5, 0.1])[:, None]
    twelve = to_twelve(ecg[:, INNER])
    observed = hide(everything(1, 250), 100, 250)
    filled = copy_beats(twelve, observed, RATE)[0, 0]
    peaks = np.flatnonzero(filled > 0.9)
    assert peaks.tolist() == [60, 140, 220]


def test_records_without_a_peak_are_interpolated():
    ecg = np.zeros((1, 12, 300), np.float32)
    observed = hide(everything(1, 300), 100, 200)
    np.testing.assert_array_equal(copy_beats(ecg, observed, RATE), ecg)
    nothing = np.zeros_like(observed)
    np.testing.assert_array_equal(copy_beats(ecg + 1, nothing, RATE), ecg)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Records of a stationary process: three sources, smoothed, mixed into the leads."""
    rng = np.random.default_rng(0)
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    sources = rng.standard_normal((80, 3, 3 * LENGTH + 12))
    smooth = np.apply_along_axis(np.convolve, -1, sources, kernel, mode="valid")
    mixed = np.einsum("ij,njl->nil", rng.standard_normal((8, 3)), smooth) / 3
    table = pd.DataFrame({"ecg_id": np.arange(80), "split": ["train"] * 60 + ["val"] * 20})
    path: Path = tmp_path_factory.mktemp("process") / "store"
    return write_store(path, to_twelve(mixed).astype(np.float32), table, RATE, LEADS)


def masks(kind: str, n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    observed = everything(n, LENGTH)
    if kind == "block":
        return hide(observed, 20, 35)
    if kind == "points":
        inner = rng.random((n, 8, LENGTH)) < 0.4
        observed[:, INNER] = inner
        observed[:, 2:6] = (inner[:, 0] & inner[:, 1])[:, None]
        return observed
    observed[:] = False
    observed[:, [LEADS.index("aVF"), LEADS.index("V2")], 10:] = True
    return observed


@pytest.mark.parametrize("kind", ["block", "points", "derived lead alone"])
def test_ridge_is_the_conditional_mean(process: Store, kind: str):
    observed = masks(kind, 3)
    ridge = GapRidge.fit(process, observed)
    truth = process.read(process.rows("val"), LEADS)[:3, :, :LENGTH]
    found = ridge.predict(np.where(observed, truth, np.nan), observed)
    # The same by dense algebra: E[x given A x + n] with the covariance built lag by lag.
    place = np.arange(LENGTH)[None] - np.arange(LENGTH)[:, None] + LENGTH - 1
    covariance = ridge.lags[:, :, place].transpose(0, 2, 1, 3).reshape(8 * LENGTH, 8 * LENGTH)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-9)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    noise = ridge.strength * covariance.diagonal().mean()
    for row in range(3):
        if kind == "derived lead alone":
            seen = np.zeros((12, LENGTH), bool)
            seen[[LEADS.index("aVF"), LEADS.index("V2")], 10:] = True
        else:
            seen = np.zeros((12, LENGTH), bool)
            seen[INNER] = observed[row, INNER]
        a = np.kron(to_twelve(np.eye(8)), np.eye(LENGTH))[seen.ravel()]
        weights = np.linalg.solve(a @ covariance @ a.T + noise * np.eye(len(a)), truth[row][seen])
        expected = to_twelve((covariance @ a.T @ weights).reshape(8, LENGTH))
        np.testing.assert_allclose(found[row][~observed[row]], expected[~observed[row]], atol=1e-4)
        np.testing.assert_array_equal(found[row][observed[row]], truth[row][observed[row]])


def test_ridge_beats_the_other_baselines_on_a_gaussian_process(process: Store):
    observed = masks("block", 20)
    ridge = GapRidge.fit(process, observed)
    truth = process.read(process.rows("val"), LEADS)[..., :LENGTH]
    errors = [
        np.abs(x - truth)[~observed].mean() for x in (ridge.predict(truth, observed), interpolate_gaps(truth, observed))
    ]
    assert errors[0] < 0.9 * errors[1]
    assert ridge.strength == STRENGTHS[int(np.argmin(ridge.validation_mae))]
    assert errors[0] == pytest.approx(min(ridge.validation_mae), rel=1e-4)


def test_a_record_does_not_depend_on_the_others(process: Store):
    observed = masks("points", 4)
    ridge = GapRidge.fit(process, observed)
    truth = process.read(process.rows("val"), LEADS)[:4, :, :LENGTH]
    together = ridge.predict(truth, observed)
    np.testing.assert_allclose(ridge.predict(truth[2:3], observed[2:3])[0], together[2], atol=1e-6)


def test_ridge_needs_both_splits(tmp_path: Path):
    table = pd.DataFrame({"ecg_id": [1], "split": ["train"]})
    store = write_store(tmp_path / "store", np.zeros((1, 12, LENGTH), np.float32), table, RATE, LEADS)
    with pytest.raises(ValueError, match="train and val"):
        GapRidge.fit(store, masks("block", 1))
