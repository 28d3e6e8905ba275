"""What leads I and II alone, and so III, aVR, aVL and aVF, tell of the limb electrodes.

Each mistake is undone in turn, and one set of networks says how right the typical beats of I and II then look: as they
share it, what is learnt of one mistake serves all. The log odds of a mistake are the difference to the ECG as recorded,
plus the logarithm of how often it happens. R peaks and the typical beat are those of the three cables' potentials, of
which swapped electrodes change no more than the order.
"""

import numpy as np
from numpy.typing import NDArray

from reconstruction.electrodes.few_leads.beats import N_SAMPLES, beat_features, with_small_waves
from reconstruction.electrodes.few_leads.networks import FewLeads, Networks
from reconstruction.electrodes.maps import AS_RECORDED, INVERTED, LIMB, Hypothesis, hypotheses, potentials_of_leads

USUAL_SHARES = {LIMB: 0.009 / 5, INVERTED: 0.0005 / 2}
"""How often each mistake of a kind happens: as in the check of all eight leads, its inverted leads being these two."""
OFTEN = 0.5


def limb_hypotheses() -> list[Hypothesis]:
    """Returns what can be told from I and II: "as recorded" first."""
    return [
        one for one in hypotheses().values()
        if one.kind in (AS_RECORDED, LIMB) or one.name in ("I inverted", "II inverted")
    ]  # fmt: skip


def pair_features(ecg: NDArray[np.float64], sampling_rate: float) -> NDArray[np.float32]:
    """Returns the typical beats of I and II in mV, (2, L), as `beat_features` does, shape (windows, features)."""
    return beat_features(ecg, sampling_rate, ("I", "II"), potentials_of_leads()[:3, :2])


def undone(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Undoes each mistake in the beats of rows (n, features); returns what networks take, (n, mistakes, inputs)."""
    pairs = features[:, :-2].reshape(-1, 2, N_SAMPLES)
    maps = np.stack([one.undo[:2, :2] for one in limb_hypotheses() if one.undo is not None])
    beats = np.einsum("hij,njs->nhis", maps, pairs).astype(np.float32)
    beats /= beats.std(axis=-1).max(axis=-1)[..., None, None] + np.float32(1e-6)
    rates = np.broadcast_to(features[:, None, -2:-1], (*beats.shape[:2], 1))
    return np.concatenate([with_small_waves(beats.reshape(*beats.shape[:2], -1)), rates], axis=-1)


def limb_evidence(features: NDArray[np.float32], networks: Networks) -> NDArray[np.float64]:
    """Returns the log odds of each mistake against "as recorded", all being as frequent, shape (mistakes,)."""
    odds = networks(undone(features))[..., 0].mean(axis=0)
    return np.asarray(odds - odds[0])


def usual_log_odds() -> NDArray[np.float64]:
    """Returns the log odds of each mistake against "as recorded" before the ECG is looked at."""
    shares = np.array([USUAL_SHARES.get(one.kind, 0.0) for one in limb_hypotheses()])
    shares[0] = 1 - shares.sum()
    return np.asarray(np.log(shares / shares[0]))


def describe_power(few_leads: FewLeads) -> str:
    """Says which mistakes leads I and II alone show, by how often they were told of records that were held out."""
    told = few_leads.facts["told"]
    seen: list[str] = []
    hidden: list[str] = []
    for one in limb_hypotheses()[1:]:
        (seen if told[one.name] >= OFTEN else hidden).append(one.name)
    return f"judged by I and II alone: {', '.join(hidden)} often cannot be told from them; {', '.join(seen)} mostly can"
