"""Scores of the check, of the covariance and of the rules, for each mistake against "as recorded".

A swap made on purpose and undone by its hypothesis is the record itself, and "as recorded" is then the record with the
swap: so the evidence of the record alone, where the same pair was compared, says what the swapped one's would be, with
the other sign, for every record and not only for those whose swap was drawn.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from evaluation.electrodes.rules import rule_scores
from reconstruction.electrodes.calibration import Calibration, leg_log_odds, log_ratios, probabilities
from reconstruction.electrodes.evidence import COMMON
from reconstruction.electrodes.fitting.trials import Trial, swapped
from reconstruction.electrodes.maps import AS_RECORDED, LEG, hypotheses

METHODS = ("prior", "covariance", "rules")
NOTHING_SEEN = -1e9
"""Score where a method has none, such as the rules without beats."""


def compared() -> list[str]:
    """Returns the hypotheses that each method scores in every record."""
    return [one.name for one in hypotheses().values() if one.kind in COMMON and one.name != AS_RECORDED]


def opposite(name: str) -> str:
    """Returns the hypothesis whose map undoes that of another."""
    undo = hypotheses()[name].undo
    return next(one.name for one in hypotheses().values() if undo is not None and np.allclose(one.swap, undo))


def score_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """Scores records as they are and with each swap: `record`, `hypothesis`, `method`, `right`, `swapped`."""
    known = [one.name for one in hypotheses().values() if one.undo is not None]
    rows = []
    for trial in trials:
        if trial.truth != AS_RECORDED:
            continue
        misfit, prior = trial.evidence.misfit, log_ratios(trial.evidence)
        found = {"prior": prior, "covariance": np.log(misfit[0] / misfit)}
        as_it_is = rule_scores(trial.ecg)
        for name in compared():
            for method, ratios in found.items():
                right, with_it = ratios[known.index(name)], -ratios[known.index(opposite(name))]
                rows.append((trial.record, name, method, right, with_it))
            by_rules = rule_scores(swapped(trial.ecg, hypotheses()[name]))
            pair = (as_it_is.get(name, NOTHING_SEEN), by_rules.get(name, NOTHING_SEEN))
            rows.append((trial.record, name, "rules", *pair))
    return pd.DataFrame(rows, columns=["record", "hypothesis", "method", "right", "swapped"])


def decision_table(trials: Sequence[Trial], calibration: Calibration) -> pd.DataFrame:
    """Decides on each trial: `record`, `truth`, `kind`, probability `as_recorded`, likeliest mistake `other`."""
    known = [one for one in hypotheses().values() if one.undo is not None]
    legs = [one for one in hypotheses().values() if one.kind == LEG]
    rows = []
    for trial in trials:
        values = [*calibration.log_odds(trial.evidence, known), *leg_log_odds(trial.ecg, legs)]
        odds = zip((one.name for one in (*known, *legs)), values, strict=True)
        shares = probabilities({name: float(value) for name, value in odds if np.isfinite(value)})
        other = next(name for name in shares if name != AS_RECORDED)
        kind = hypotheses()[trial.truth].kind
        rows.append((trial.record, trial.truth, kind, shares[AS_RECORDED], other))
    return pd.DataFrame(rows, columns=["record", "truth", "kind", "as_recorded", "other"])
