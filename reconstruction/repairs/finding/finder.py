"""Finds what is bad in a recording, lead by lead, in pieces of about a second.

Windows of ten seconds are looked at one by one. Plain features and usability checks, joined by one set of trees, say
what is surely bad; the prior's misfit is then asked without it, and a second set of trees joins everything, the noise
score in parts of the window too; a third set looks at what the second says of the seconds and leads beside. All were
fitted on damaged training records (`reconstruction.fit_finder`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.filters import fill_gaps
from noise_quant.scoring.scorer import Scorer
from reconstruction.repairs.finding.context import piece_context
from reconstruction.repairs.finding.features import CHECKS, FLOOR_MV, PLAIN, piece_features
from reconstruction.repairs.finding.limb_leads import LAW_MV, judge_together, spare_at_most_one
from reconstruction.repairs.finding.misfit import MISFIT, piece_misfits
from reconstruction.repairs.finding.trees import Trees
from reconstruction.repairs.pieces import piece_edges, runs
from reconstruction.repairs.storage import Storage
from reconstruction.repairs.windows import WindowRepairer

FINDER = Path(__file__).parent / "finder.npz"
SCORE: tuple[str, ...] = ("score", "score_to_seconds", "score_to_leads")
"""Features of the noise score in parts of a window."""
FEATURES: tuple[str, ...] = (*CHECKS, *PLAIN, *MISFIT, *SCORE)
PARTS: dict[str, tuple[str, ...]] = {
    "score": SCORE, "checks": CHECKS, "plain": PLAIN, "misfit": MISFIT, "all": FEATURES
}  # fmt: skip
"""What the finder joins."""
TREES = ("plain", "joined", "context")
WINDOW_S = 10.0
SHORTEST_S = 2.0
"""Shorter recordings are only checked for flat and saturated stretches."""
HELD_S = 0.3
SATURATED_S = 0.2
LOST_SHARE = 0.5

REASONS: tuple[str, ...] = (
    "", "flat", "saturated", "missing", "fast noise", "slow noise", "does not fit the other leads and times",
)  # fmt: skip
GOOD, FLAT, SATURATED, MISSING, FAST, SLOW, ODD = REASONS


@dataclass(frozen=True)
class Findings:
    """What was found in a recording.

    Attributes:
        edges: First samples of the pieces and, last, the end, shape (pieces + 1,).
        probability: How probably each piece of each lead is bad, shape (n_leads, pieces).
        bad: What counts as bad, after hysteresis, same shape.
        reason: Why: "flat", "saturated", "missing", "fast noise", "slow noise", or that it does not fit; "" where good.
        score: Noise score (PSNR) in dB, NaN where none could be given.
        features: `FEATURES` of each piece, shape (n_leads, pieces, features), NaN where they do not apply.
    """

    edges: NDArray[np.int64]
    probability: NDArray[np.float64]
    bad: NDArray[np.bool_]
    reason: NDArray[np.object_]
    score: NDArray[np.float64]
    features: NDArray[np.float32]

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Bad pieces that say nothing of the ECG, shape (n_leads, pieces)."""
        return np.isin(self.reason.astype(str), (FLAT, SATURATED, MISSING))


@dataclass(frozen=True)
class _Looked:
    """What was found in one window: see `Findings`; reasons by their number in `REASONS`, and where the law holds."""

    probability: NDArray[np.float64]
    reason: NDArray[np.int8]
    score: NDArray[np.float64]
    features: NDArray[np.float64]
    holds: NDArray[np.bool_]


@dataclass(frozen=True)
class Finder:
    """The trees and their limits.

    Attributes:
        plain: Trees of `CHECKS` and `PLAIN`, which say from what the misfit is asked.
        joined: Trees of `FEATURES`.
        begin: Probability from which a piece is bad.
        go_on: Probability from which a piece beside a bad one is bad too.
        surely: Probability by the plain trees from which the misfit is asked without a piece.
        context: Trees of `piece_context`, which have the last word; None: the joined ones have it.
    """

    plain: Trees
    joined: Trees
    begin: float
    go_on: float
    surely: float
    context: Trees | None = None

    @classmethod
    def load(cls, path: str | Path | None = None) -> "Finder":
        """Reads a finder that `save` wrote; None: the packaged one."""
        return _load(str(path or FINDER))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns all of it as arrays by name, for a file."""
        named = {name: trees for name in TREES if (trees := getattr(self, name)) is not None}
        trees = {f"{name}_{key}": value for name, own in named.items() for key, value in own.arrays().items()}
        return {**trees, "limits": np.array([self.begin, self.go_on, self.surely])}

    def __call__(
        self,
        ecg: NDArray[np.float64],
        sampling_rate: float,
        leads: Sequence[str],
        repairer: WindowRepairer,
        scorer: Scorer | None,
        key: int | str = 0,
        storage: Storage | None = None,
    ) -> Findings:
        """Looks at a recording.

        Args:
            ecg: ECG in mV, shape (n_leads, L), NaN where missing; read window by window.
            sampling_rate: Its rate in Hz.
            leads: Names of its leads.
            repairer: What knows the prior.
            scorer: What gives noise scores; None: the finder does without.
            key: Key of the recording, to which the scores' random numbers belong.
            storage: Where what is found is kept; None: memory.
        """
        storage, length = storage or Storage(), ecg.shape[-1]
        spans = windows(length, sampling_rate)
        edges = [first + piece_edges(last - first, sampling_rate)[:-1] for first, last in spans]
        places = np.cumsum([0, *map(len, edges)])
        shape = (len(leads), int(places[-1]))
        probability, score = (storage.array(name, shape, np.float64) for name in ("probability", "score"))
        codes, holds = storage.array("reason", shape, np.int8), storage.array("law", shape[1:], np.bool_)
        features = storage.array("features", (*shape, len(FEATURES)), np.float32)
        looked = storage.array("looked", (len(spans),), np.bool_)
        for number in np.flatnonzero(~looked).tolist():
            (first, last), place = spans[number], slice(*places[number : number + 2])
            part = self._look(ecg[:, first:last], sampling_rate, leads, repairer, scorer, f"{key}/{first}")
            probability[:, place], score[:, place] = part.probability, part.score
            codes[:, place], holds[place], features[:, place] = part.reason, part.holds, part.features
            storage.done("looked", number)
        storage.flush()
        bad = self.decide_together(probability, holds, leads)
        reason = np.where(bad, np.array(REASONS, dtype=object)[codes], GOOD)
        return Findings(np.append(np.concatenate(edges), length), probability, bad, reason, score, features)

    def decide(self, probability: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Says which pieces of a lead, shape (pieces,), are bad, so that it does not flicker.

        Pieces beside a bad one need less; a single good piece between two bad ones is bad.
        """
        possible, bad = probability >= self.go_on, np.zeros(len(probability), dtype=bool)
        for first, last in runs(possible):
            bad[first:last] = bool((probability[first:last] >= self.begin).any())
        between = np.zeros_like(bad)
        between[1:-1] = bad[:-2] & bad[2:]
        return bad | between

    def decide_together(
        self, probability: NDArray[np.float64], holds: NDArray[np.bool_], leads: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Says which pieces are bad, (n_leads, pieces), limb leads together where Einthoven's law holds, (pieces,)."""
        bad = np.stack([self.decide(row) for row in probability])
        return spare_at_most_one(bad, probability, holds, leads)

    def judge(
        self, features: NDArray[np.float64], leads: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Says from `FEATURES` how probably pieces are bad, (n_leads, pieces), and where the law holds, (pieces,)."""
        holds = law_holds(features)
        log_odds = self.joined.log_odds(features)
        if self.context is not None:
            log_odds = self.context.log_odds(piece_context(log_odds, features, leads))
        probability = logistic(judge_together(log_odds, holds, leads))
        held, saturated = (features[..., FEATURES.index(name)] for name in ("held_s", "saturated_s"))
        return np.where((held >= LOST_SHARE) | (saturated >= LOST_SHARE), 1.0, probability), holds

    def _look(
        self,
        ecg: NDArray[np.float64],
        rate: float,
        leads: Sequence[str],
        repairer: WindowRepairer,
        scorer: Scorer | None,
        key: str,
    ) -> "_Looked":
        """Looks at one window."""
        edges = piece_edges(ecg.shape[-1], rate)
        missing = np.stack([np.isnan(ecg[:, first:last]).mean(axis=-1) for first, last in _spans(edges)], axis=-1)
        if ecg.shape[-1] < SHORTEST_S * rate:
            features = np.full((*missing.shape, len(FEATURES)), np.nan)
            probability = np.zeros(missing.shape)
            holds = np.zeros(missing.shape[-1], dtype=bool)
        else:
            features = self.features(ecg, rate, leads, repairer, scorer, key)
            probability, holds = self.judge(features, leads)
        held, saturated = (features[..., FEATURES.index(name)] for name in ("held_s", "saturated_s"))
        reason = _noise_reason(features)
        for name, there in ((FLAT, held >= HELD_S), (SATURATED, saturated >= SATURATED_S), (MISSING, missing > 0)):
            reason[there & ((name != MISSING) | (missing > LOST_SHARE))] = REASONS.index(name)
        probability = np.where(missing > LOST_SHARE, 1.0, probability)
        return _Looked(probability, reason, features[..., FEATURES.index("score")], features, holds)

    def features(
        self,
        ecg: NDArray[np.float64],
        rate: float,
        leads: Sequence[str],
        repairer: WindowRepairer,
        scorer: Scorer | None,
        key: str,
    ) -> NDArray[np.float64]:
        """Computes `FEATURES` of each piece of each lead of a window, shape (n_leads, pieces, features)."""
        plain = piece_features(ecg, rate, leads)
        usable = logistic(self.plain.log_odds(plain)) < self.surely
        misfit = piece_misfits(ecg, usable, rate, leads, repairer)
        return np.concatenate([plain, misfit, piece_scores(ecg, rate, leads, scorer, key)], axis=-1)


def law_holds(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tells in which pieces Einthoven's law holds between all limb leads, from `FEATURES`, to shape (..., pieces)."""
    misfit = features[..., FEATURES.index("law")]
    known = np.isfinite(misfit)
    return np.asarray(known.any(axis=-2) & (~known | (misfit < np.log10(LAW_MV + FLOOR_MV))).all(axis=-2))


def piece_scores(
    ecg: NDArray[np.float64], sampling_rate: float, leads: Sequence[str], scorer: Scorer | None, key: str
) -> NDArray[np.float64]:
    """Computes `SCORE` of each piece of each lead of a window, shape (n_leads, pieces, 3); NaN without a scorer."""
    n_pieces = len(piece_edges(ecg.shape[-1], sampling_rate)) - 1
    psnr = np.full((len(ecg), n_pieces), np.nan)
    if scorer is not None and sampling_rate >= 100 and ecg.shape[-1] >= SHORTEST_S * sampling_rate:
        scores = scorer.score(fill_gaps(ecg), sampling_rate, key, 10, tuple(leads))
        middle = (np.arange(n_pieces) + 0.5) * ecg.shape[-1] / sampling_rate / n_pieces
        psnr = scores.psnr[:, np.searchsorted(scores.stop_s, middle).clip(max=scores.psnr.shape[1] - 1)]
    to_seconds = psnr - _nanmedian(psnr, axis=1)
    return np.stack([psnr, to_seconds, psnr - _nanmedian(psnr, axis=0)], axis=-1)


def windows(length: int, sampling_rate: float) -> list[tuple[int, int]]:
    """Cuts a recording into windows of equal length, ten seconds at most, as first sample and last + 1."""
    n_windows = max(1, math.ceil(length / (WINDOW_S * sampling_rate) - 1e-3))
    edges = np.round(np.linspace(0, length, n_windows + 1)).astype(int)
    return [(int(first), int(last)) for first, last in zip(edges[:-1], edges[1:], strict=True)]


def _noise_reason(features: NDArray[np.float64]) -> NDArray[np.int8]:
    """Says how each piece differs most from the lead's other seconds, should it be bad.

    Returns:
        Numbers of `REASONS`, shape (n_leads, pieces).
    """
    fast, slow = (features[..., FEATURES.index(name)] for name in ("roughness_relative", "band0_relative"))
    drift = features[..., FEATURES.index("level")]
    reason = np.full(fast.shape, REASONS.index(ODD), dtype=np.int8)
    reason[(slow > 0.2) | (drift > -0.5)] = REASONS.index(SLOW)
    reason[(fast > 0.25) & ~(slow > fast)] = REASONS.index(FAST)
    return reason


def _spans(edges: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(int(first), int(last)) for first, last in zip(edges[:-1], edges[1:], strict=True)]


def logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the probabilities of log odds."""
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def _nanmedian(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    known = np.isfinite(values).any(axis=axis, keepdims=True)
    return np.where(known, np.nanmedian(np.where(known, values, 0.0), axis=axis, keepdims=True), np.nan)


@lru_cache(maxsize=4)
def _load(path: str) -> Finder:
    """Reads a finder, once a file."""
    with np.load(path, allow_pickle=False) as file:
        values = {name: file[name] for name in file.files}
    trees = {
        name: Trees.of_arrays({key: values[f"{name}_{key}"] for key in Trees.__dataclass_fields__})
        for name in TREES
        if f"{name}_value" in values  # finders of before have no context
    }
    begin, go_on, surely = (float(limit) for limit in values["limits"])
    return Finder(**trees, begin=begin, go_on=go_on, surely=surely)
