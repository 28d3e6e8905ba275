"""What textbooks go by, as a score for each mistake: the larger, the more it looks like it. The baseline of the check.

- Limb electrodes: the axes of P and QRS are nearer to where the swap turns usual ones (Batchvarov, Malik and Camm,
  Incorrect electrode cable connection during electrocardiographic recording, Europace 9, 1081-1090 (2007)). For RA/LA
  also that lead I goes against V6; LA/LL has a rule of its own, a P wave larger in I than in II (Abdollah and
  Milliken, Recognition of electrocardiographic left arm/left leg lead reversal, Am J Cardiol 80, 1247-1249 (1997)).
- Chest electrodes: R / (R + S) falls where it should grow from V1 to V6.
- A lead inverted: it goes against its neighbours.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS, to_twelve
from einthoven.ecg.measures.beats import BEAT_RATE, AverageBeat
from evaluation.generation.average_beat import average_beat
from reconstruction.electrodes.maps import CHEST, LIMB, hypotheses

RATE_HZ = 100.0
USUAL_P_DEG, USUAL_QRS_DEG = 50.0, 40.0
P_S, LEVEL_S, QRS_S, BEAT_S = (-0.24, -0.08), (-0.07, -0.05), (-0.05, 0.06), (-0.25, 0.4)
"""Where P waves, the level before the QRS complex, the complex and the beat are looked for, in s from the R peak."""
NEIGHBOURS_OF = {"I": ("V6",), "II": ("V5", "V6")} | {
    lead: tuple(CHEST[at] for at in (place - 1, place + 1) if 0 <= at < len(CHEST)) for place, lead in enumerate(CHEST)
}


def rule_scores(ecg: NDArray[np.floating]) -> dict[str, float]:
    """Scores an ECG of eight leads in mV, (8, L) at `RATE_HZ`, by name of a hypothesis; {} where no beats are found."""
    try:
        beat = average_beat(to_twelve(ecg.astype(np.float64)), RATE_HZ)
    except ValueError:
        return {}
    waves = {name: _waves(beat, *span) for name, span in (("P", P_S), ("QRS", QRS_S), ("beat", BEAT_S))}
    p = {lead: _farthest(row) for lead, row in zip(LEADS, waves["P"], strict=True)}
    qrs = dict(zip(LEADS, waves["QRS"].mean(axis=-1).tolist(), strict=True))
    rows = dict(zip(LEADS, waves["beat"], strict=True))
    return {
        **_limb_scores(p, qrs, _alike(rows["I"], rows["V6"])),
        **_chest_scores({lead: row for lead, row in zip(LEADS, waves["QRS"], strict=True) if lead in CHEST}),
        **{
            f"{lead} inverted": -max(_alike(rows[lead], rows[other]) for other in others)
            for lead, others in NEIGHBOURS_OF.items()
        },
    }


def _limb_scores(p: dict[str, float], qrs: dict[str, float], one_like_v6: float) -> dict[str, float]:
    scores = {}
    for one in hypotheses().values():
        if one.kind != LIMB:
            continue
        total = 0.0
        for wave, usual in ((p, USUAL_P_DEG), (qrs, USUAL_QRS_DEG)):
            axis, right = _axis(wave["I"], wave["II"]), _leads_of_axis(usual)
            total += np.cos(axis - _axis(*(one.swap[:2, :2] @ right))) - np.cos(axis - np.deg2rad(usual))
        scores[one.name] = total
    scores["RA/LA"] -= one_like_v6
    scores["LA/LL"] = (p["I"] - p["II"]) / max(abs(p["I"]) + abs(p["II"]), 1e-6)
    return scores


def _chest_scores(qrs: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    shares = {lead: row.max() / max(row.max() - row.min(), 1e-6) for lead, row in qrs.items()}
    scores = {f"{first}/{second}": shares[first] - shares[second] for first, second in pairwise(CHEST)}
    scores["V1-V6 reversed"] = -float(np.polyfit(range(len(CHEST)), [shares[lead] for lead in CHEST], 1)[0])
    return scores


def _waves(beat: AverageBeat, start_s: float, stop_s: float) -> NDArray[np.float64]:
    level = beat.window(*LEVEL_S, BEAT_RATE).mean(axis=-1, keepdims=True)
    return beat.window(start_s, stop_s, BEAT_RATE) - level


def _farthest(row: NDArray[np.float64]) -> float:
    return float(row[np.argmax(np.abs(row))])


def _axis(one: float, two: float) -> float:
    """Returns the angle of a wave in the frontal plane, in radians, from its size in leads I and II."""
    return float(np.arctan2((2 * two - one) / np.sqrt(3), one))


def _leads_of_axis(degrees: float) -> NDArray[np.float64]:
    angle = np.deg2rad(degrees)
    return np.array([np.cos(angle), (np.sqrt(3) * np.sin(angle) + np.cos(angle)) / 2])


def _alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    spread = float(first.std() * second.std())
    return float(((first - first.mean()) * (second - second.mean())).mean()) / spread if spread > 0 else 0.0
