import numpy as np
import pytest
import torch

from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.scorer import SCORE_NAMES, Scorer
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 100
TOLERANCE_DB = 0.02
"""Rounding in batches of another size may turn a level into its neighbour."""


class Identity(ScalogramDiffusion):
    """Restores nothing: without noise and with a network that predicts none, images come back as they were."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__(torch.nn.Linear(1, 1))
        self.shift = shift

    @property
    def latent_shape(self):
        return (1, 32, 256)

    def encode(self, image):
        return image

    def decode(self, latent):
        return latent

    def reconstruct(self, image, process=None, generator=None, start_noise=None):
        return image + self.shift


@pytest.fixture(scope="module")
def recording():
    """Twelve leads of two whole windows and three seconds, (12, 2300), in mV."""
    return simulate_ecg(1, RATE, duration=23.0, rhythm="sinus")[0].astype(np.float64)


@pytest.fixture(scope="module")
def scored(tiny_model, recording):
    return Scorer(tiny_model, keep_images=True).score(recording, RATE, key=7)


def test_shapes(scored):
    for name in (*SCORE_NAMES, "unusable", "reason"):
        assert getattr(scored, name).shape == (12, 3)
    assert scored.levels.shape == scored.cleaned.shape == (12, 3, 32, 256)
    np.testing.assert_array_equal(scored.segment, [0, 1, 2])
    np.testing.assert_allclose(scored.start_s, [0, 10, 20], atol=0.04)
    np.testing.assert_allclose(scored.stop_s, [10, 20, 23])
    assert not scored.unusable.any()
    assert np.isfinite(scored.psnr).all()


def test_images_of_the_first_windows_alone(tiny_model, recording, scored):
    scores = Scorer(tiny_model, keep_images=True, most_images=2).score(recording, RATE, key=7)
    np.testing.assert_array_equal(scores.levels, scored.levels[:, :2])
    np.testing.assert_array_equal(scores.psnr, scored.psnr)


def test_progress_counts_seconds(tiny_model, recording):
    seconds = []
    Scorer(tiny_model, batch_size=12).score(recording, RATE, progress=seconds.append)
    assert len(seconds) == 3
    assert sum(seconds) == pytest.approx(23, abs=0.05)


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_scores_do_not_depend_on_the_batch(tiny_model, recording, scored, batch_size):
    others = Scorer(tiny_model, batch_size=batch_size)
    alone = others.score(recording[[4, 2]], RATE, key=7, leads=("aVL", "III"))
    np.testing.assert_allclose(alone.psnr, scored.psnr[[4, 2]], atol=TOLERANCE_DB)
    before = others.score(recording[:, :2000], RATE, key=7)
    np.testing.assert_allclose(before.psnr, scored.psnr[:, :2], atol=TOLERANCE_DB)


def test_many_records_are_scored_as_each_alone(tiny_model, recording):
    scorer = Scorer(tiny_model, batch_size=7)
    records = [(3, recording, RATE), ("b", recording[:2, :500], RATE), (9, recording[:1], 2 * RATE, ["V1"])]
    many = dict(scorer.score_many(iter(records)))
    assert list(many) == [3, "b", 9]
    for key, ecg, rate, *names in records:
        alone = scorer.score(ecg, rate, key, leads=names[0] if names else None)
        for name in SCORE_NAMES:
            np.testing.assert_allclose(getattr(many[key], name), getattr(alone, name), rtol=0.01)


def test_records_are_read_as_they_are_needed(tiny_model, recording):
    read = []

    def records():
        for key in range(6):
            read.append(key)
            yield key, recording[:, :1000], RATE

    results = Scorer(tiny_model, batch_size=12).score_many(records())
    assert next(results)[0] == 0
    assert len(read) <= 2


def test_seeds_belong_to_the_key_and_the_lead(tiny_model, recording):
    scorer = Scorer(tiny_model)
    same = np.repeat(recording[:1, :1000], 3, axis=0)
    scores = scorer.score(same, RATE, key=1).psnr[:, 0]
    assert len(set(scores)) == 3
    np.testing.assert_array_equal(scorer.score(same, RATE, key=1).psnr[:, 0], scores)
    assert scorer.score(same, RATE, key=2).psnr[0, 0] != scores[0]
    assert Scorer(tiny_model, seed=5).score(same, RATE, key=1).psnr[0, 0] != scores[0]


def test_an_unusable_lead_has_no_number(tiny_model, recording, scored):
    broken = recording.copy()
    broken[0, 1000:2000] = 0.0
    broken[1, 1500] = np.nan
    broken[2] = np.inf
    broken[3, 2290] = np.nan
    broken[4, 2100:] = 1e300
    scores = Scorer(tiny_model).score(broken, RATE, key=7)
    reasons = {(0, 1): "flat", (4, 2): "saturated"}
    reasons |= {(2, segment): "not finite" for segment in range(3)}
    for place in np.ndindex(12, 3):
        assert scores.reason[place] == reasons.get(place, "")
    np.testing.assert_array_equal(scores.unusable, scores.reason != "")
    for name in SCORE_NAMES:
        np.testing.assert_array_equal(np.isnan(getattr(scores, name)), scores.unusable)
    np.testing.assert_allclose(scores.psnr[5:], scored.psnr[5:], atol=TOLERANCE_DB)


def test_a_flat_lead_never_looks_clean(recording):
    """Its image is black and restored to the level: the score would be infinite."""
    flat = np.zeros((1, 1000))
    scores = Scorer(Identity()).score(np.concatenate([flat, recording[:1, :1000]]), RATE)
    assert np.isnan(scores.psnr[0, 0])
    assert np.isposinf(scores.psnr[1, 0])


def test_the_tail_is_scored_on_its_new_part_only(recording):
    model = Identity()
    quiet, spoilt = recording[:1], recording[:1].copy()
    spoilt[:, 1300:1600] += np.sin(2 * np.pi * 20 * np.arange(300) / RATE)

    def cleaned_as_quiet(signal):
        scorer = Scorer(model, keep_images=True)
        return scorer.score(signal, RATE)

    reference, noisy = cleaned_as_quiet(quiet), cleaned_as_quiet(spoilt)
    difference = np.abs(reference.levels - noisy.levels).max(axis=(0, 2))
    assert difference[2, :100].max() > 20  # the noise lies in the old part of the last window's image
    assert difference[2, -int(0.3 * 256) :].max() < 20


def test_partitions(tiny_model, recording, scored):
    parts = Scorer(tiny_model).score(recording, RATE, key=7, n_partitions=4)
    assert parts.psnr.shape == (12, 4 + 4 + 2)
    np.testing.assert_array_equal(parts.segment, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
    np.testing.assert_allclose(parts.mse[:, :4].mean(1), scored.mse[:, 0], rtol=0.01)


def test_levels_are_whole_only_on_request(tiny_model, recording):
    piece = recording[:1, :1000]
    whole = Scorer(tiny_model, keep_images=True).score(piece, RATE)
    exact = Scorer(tiny_model, keep_images=True, discretization=False).score(piece, RATE)
    np.testing.assert_array_equal(whole.cleaned, np.round(whole.cleaned))
    assert (exact.cleaned != np.round(exact.cleaned)).any()


def test_a_constant_shift_has_a_known_score(recording):
    scores = Scorer(Identity(shift=-4 / 127.5)).score(recording[:, :1000], RATE)
    # Levels below 4 are cut at 0, so the error is at most 4 levels.
    assert (scores.mse <= 16).all()
    np.testing.assert_allclose(scores.psnr, 10 * np.log10(255**2 / scores.mse))


def test_ddpm(tiny_model, recording):
    process = ReverseProcess(timestep=3, noise_scheduler_type="ddpm")
    scores = [Scorer(tiny_model, process, batch_size=n).score(recording[:3, :1000], RATE) for n in (1, 8)]
    np.testing.assert_allclose(scores[0].psnr, scores[1].psnr, atol=TOLERANCE_DB)


def test_mistakes_are_named(tiny_model, recording):
    scorer = Scorer(tiny_model)
    with pytest.raises(ValueError, match="batch_size"):
        Scorer(tiny_model, batch_size=0)
    with pytest.raises(ValueError, match="shape"):
        scorer.score(recording[0], RATE)
    with pytest.raises(ValueError, match="n_partitions"):
        scorer.score(recording, RATE, n_partitions=0)
    with pytest.raises(ValueError, match="lead names"):
        scorer.score(recording, RATE, leads=["I"])
    with pytest.raises(ValueError, match="at least 1 s"):
        scorer.score(recording[:, :50], RATE)
