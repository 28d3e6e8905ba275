"""Distances and beats with known answers."""

from dataclasses import replace

import numpy as np
import pytest

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, to_twelve
from evaluation.denoising.metrics import (
    BEAT_RATE,
    Beats,
    beat_errors,
    cosine_similarity,
    find_beats,
    lead_snr,
    maximum_distance,
    output_snr,
    percentage_difference,
    sum_of_squares,
)
from evaluation.denoising.scores import METRICS, find_all_beats, score_beats
from evaluation.scores import Estimate, means, record_values, summarise
from preprocessing.cohorts.simulator import simulate_ecg

RNG = np.random.default_rng(0)
TRUTH = to_twelve(RNG.standard_normal((4, 8, 250)))
ESTIMATE = TRUTH + 0.3 * RNG.standard_normal(TRUTH.shape)
ECG = simulate_ecg(1, rhythm="sinus")[0]


def test_distances_of_a_known_pair():
    truth, estimate = np.array([[[1.0, -1.0, 1.0, 3.0]]]), np.array([[[1.0, -2.0, 1.0, 1.0]]])
    assert sum_of_squares(estimate, truth).item() == 5.0
    assert maximum_distance(estimate, truth).item() == 2.0
    assert percentage_difference(estimate, truth).item() == pytest.approx(100 * np.sqrt(5 / 8))
    assert cosine_similarity(estimate, truth).item() == pytest.approx(7 / np.sqrt(12 * 7))
    assert lead_snr(estimate, truth).item() == pytest.approx(10 * np.log10(12 / 5))


def test_output_snr_pools_the_leads_of_a_record():
    expected = 10 * np.log10((TRUTH**2).sum((1, 2)) / ((ESTIMATE - TRUTH) ** 2).sum((1, 2)))
    np.testing.assert_allclose(output_snr(ESTIMATE, TRUTH), expected)
    assert lead_snr(ESTIMATE, TRUTH).shape == (4, 12)


def test_a_constant_truth_is_left_out_and_a_zero_estimate_is_not():
    flat = np.full((1, 1, 9), 0.2)
    for metric in (percentage_difference, cosine_similarity, lead_snr):
        assert np.isnan(metric(TRUTH[:1, :1, :9], flat)).all()
    assert cosine_similarity(np.zeros_like(TRUTH), TRUTH).max() == 0.0
    assert np.isfinite(lead_snr(TRUTH, TRUTH)).all()


def test_scores_are_over_the_independent_leads():
    noisy = TRUTH + 1.0
    samples = ESTIMATE[:, None] + 0.1 * RNG.standard_normal((4, 5, *TRUTH.shape[1:]))
    band = (ESTIMATE - 0.3, ESTIMATE + 0.3)
    estimate = Estimate(ESTIMATE, TRUTH, np.ones(TRUTH.shape, bool), 100.0, samples, band, noisy)
    found = record_values(estimate, METRICS, INDEPENDENT_LEADS)
    own = [LEADS.index(lead) for lead in INDEPENDENT_LEADS]
    error = (ESTIMATE - TRUTH)[:, own]
    np.testing.assert_allclose(found["output_snr"][:, -1], output_snr(ESTIMATE[:, own], TRUTH[:, own]))
    np.testing.assert_allclose(
        found["snr_improvement"][:, -1], found["output_snr"][:, -1] - output_snr(noisy[:, own], TRUTH[:, own])
    )
    np.testing.assert_allclose(found["rmse"][:, -1], np.sqrt((error**2).mean(axis=(1, 2))))
    np.testing.assert_allclose(found["mae"][:, -1], np.abs(error).mean(axis=(1, 2)))
    np.testing.assert_allclose(found["coverage"][:, -1], 100 * (np.abs(error) <= 0.3).mean(axis=(1, 2)), atol=1e-9)
    assert (found["crps"] < found["mae"]).all()
    without = record_values(replace(estimate, samples=None, band=None), METRICS, INDEPENDENT_LEADS)
    np.testing.assert_allclose(without["crps"], without["mae"])
    assert np.isnan(without["coverage"]).all()
    table = summarise(means(found), INDEPENDENT_LEADS, 20, 0)
    assert len(table) == len(found) * 13 and (table["n_records"] == 4).all()


def test_beats_of_a_simulated_lead_move_with_it():
    lead = ECG[LEADS.index("II")]
    truth = find_beats(lead, 100)
    assert 6 <= len(truth.peaks_ms) <= 20
    assert 30 < truth.qrs_width_ms < 200
    peaks = (truth.peaks_ms / 10).round().astype(int)
    assert np.abs(lead[peaks]).min() > 0.5 * np.abs(lead).max()
    moved = find_beats(np.roll(lead, 2), 100)
    errors = beat_errors(moved, truth)
    assert errors.timing_ms == pytest.approx(20.0, abs=1000 / BEAT_RATE + 0.1)
    assert errors.qrs_failed == 0.0 and errors.qrs_width_ms < 30.0
    assert beat_errors(truth, truth).timing_ms == 0.0


@pytest.mark.parametrize("lead", [np.zeros(500), np.r_[np.zeros(499), 1.0], np.sin(np.arange(60) / 3.0)])
def test_a_lead_without_beats_is_no_error(lead):
    found = find_beats(lead, 100)
    assert np.isfinite(found.peaks_ms).all()
    truth = Beats(np.array([100.0, 900.0]), 90.0)
    errors = beat_errors(Beats(np.empty(0), np.nan), truth)
    assert (errors.missed, errors.qrs_failed) == (100.0, 100.0)
    assert np.isnan([errors.timing_ms, errors.extra, errors.qrs_width_ms]).all()


def test_peaks_match_one_to_one():
    truth = Beats(np.array([0.0, 800.0, 1600.0]), 90.0)
    found = Beats(np.array([10.0, 60.0, 1000.0, 1570.0]), 100.0)
    errors = beat_errors(found, truth)
    assert errors.timing_ms == pytest.approx((10 + 30) / 2)
    assert errors.missed == pytest.approx(100 / 3) and errors.extra == pytest.approx(50.0)
    assert errors.qrs_width_ms == 10.0


def test_beats_are_scored_in_their_leads_only():
    beats = find_all_beats(ECG[None], 100, ["II"])
    found = score_beats(beats, beats, ["II"])
    assert found["timing_ms"].shape == (1, 13)
    assert found["timing_ms"][0, [1, -1]].tolist() == [0.0, 0.0]
    assert np.isnan(np.delete(found["timing_ms"][0], [1, 12])).all()
