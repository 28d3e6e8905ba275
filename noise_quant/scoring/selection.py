"""Selection of the cleanest training leads by their scores, to train a second time on these only.

Han et al., arXiv 2506.11815 (2025): annotators miss noise, so the leads without a remark are ranked by two models, one
that is sensitive to static noise and one that is sensitive to bursts, and those are kept that both rank high.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from einthoven.checked_files import read_table
from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from noise_quant.scoring.score_table import SCORES

METRICS: dict[str, bool] = {"psnr": True, "ssim": True, "mse": False, "mae": False}
"""Metrics to rank by, and whether higher is cleaner."""
_KEY = ["ecg_id", "lead"]


@dataclass(frozen=True)
class Selection:
    """The leads selected, and how many there were on the way.

    Attributes:
        leads: `ecg_id`, `lead` and the two scores (`static_<metric>`, `burst_<metric>`), in order of the key.
        counts: Numbers of leads: ranked by each run, kept by each run, kept by both; and the scores at which each cuts.
    """

    leads: pd.DataFrame
    counts: dict[str, float]

    def describe(self) -> str:
        """Says in words what was selected."""
        counts = self.counts
        return (
            f"static noise: {counts['static_kept']:.0f} of {counts['static_ranked']:.0f} clean training leads kept, "
            f"score {counts['static_cut']:.4g}\n"
            f"bursts: {counts['burst_kept']:.0f} of {counts['burst_ranked']:.0f} kept, "
            f"score {counts['burst_cut']:.4g}\n"
            f"both: {counts['selected']:.0f} leads of {self.leads['ecg_id'].nunique()} records"
        )


def read_scores(run: str | Path) -> pd.DataFrame:
    """Reads the table of a run folder of `noise_quant.score_noise`, a row per lead and segment.

    Raises:
        ValueError: If the folder is no run folder, or holds no scores.
    """
    folder = RunFolder.open(run).path
    if not (folder / SCORES).is_file():
        raise ValueError(f"{folder} holds no {SCORES}: give a finished run of noise_quant.score_noise")
    return read_table(folder / SCORES)


def select_leads(
    static_scores: pd.DataFrame,
    burst_scores: pd.DataFrame,
    metric: str = "psnr",
    static_percentage: float = 0.5,
    burst_percentage: float = 0.5,
) -> Selection:
    """Selects the clean leads of folds 1-8 that are among the cleanest by both scores.

    Leads are joined by (`ecg_id`, `lead`); a lead of several segments counts with the mean of its scores; one without a
    score, or with an unusable segment, is not ranked.

    Args:
        static_scores: Scores that find static noise: `ecg_id`, `lead`, `strat_fold`, `clean`, the metric, and
            `unusable` where known; several rows of a lead are its segments.
        burst_scores: Scores that find bursts, likewise.
        metric: One of `METRICS`.
        static_percentage: Share kept by the first scores, above 0, at most 1.
        burst_percentage: Share kept by the second scores.

    Raises:
        ValueError: If a value is out of range, a table lacks a column or clean leads of folds 1-8, or both share none.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    counts: dict[str, float] = {}
    shares = {"static": static_percentage, "burst": burst_percentage}
    for name, share in shares.items():
        if not 0 < share <= 1:
            raise ValueError(
                f"{name}_percentage is a share above 0 and at most 1 (0.5 for the better half), not {share}"
            )
    scores = {"static": static_scores, "burst": burst_scores}
    ranked = {name: _ranked(table, metric, f"{name}_run") for name, table in scores.items()}
    if ranked["static"].merge(ranked["burst"], on=_KEY).empty:
        raise ValueError("the two runs share no clean training lead: score the same records with both")
    kept = {}
    for name, table in ranked.items():
        kept[name] = table.head(math.ceil(shares[name] * len(table))).rename(columns={metric: f"{name}_{metric}"})
        counts[f"{name}_ranked"], counts[f"{name}_kept"] = len(table), len(kept[name])
        counts[f"{name}_cut"] = float(kept[name][f"{name}_{metric}"].iloc[-1])
    leads = kept["static"].merge(kept["burst"], on=_KEY, how="inner", validate="one_to_one")
    if leads.empty:
        raise ValueError("no lead is among the best of both runs: raise static_percentage or burst_percentage")
    leads["order"] = leads["lead"].map(LEADS.index)
    leads = leads.sort_values(["ecg_id", "order"], ignore_index=True).drop(columns="order")
    return Selection(leads, {**counts, "selected": len(leads)})


def _ranked(scores: pd.DataFrame, metric: str, run: str) -> pd.DataFrame:
    """Returns the clean leads of folds 1-8 with their score, cleanest first; ties in the order of the key."""
    absent = [column for column in (*_KEY, "strat_fold", "clean", metric) if column not in scores]
    if absent:
        raise ValueError(
            f"the scores of {run} lack column(s) {', '.join(absent)}: score PTB-XL with method=diffusion, "
            "python -m noise_quant.score_noise source=ptbxl include_all_folds=true"
        )
    training = scores[scores["clean"].eq(True) & scores["strat_fold"].between(1, 8)]
    if training.empty:
        raise ValueError(f"{run} holds no clean leads of the training folds 1-8: score with include_all_folds=true")
    usable = training[metric].notna()
    if "unusable" in training:
        usable &= ~training["unusable"].eq(True)
    good = usable.groupby([training[column] for column in _KEY]).transform("all")
    if not good.any():
        raise ValueError(f"none of the {len(training)} clean training leads of {run} has a {metric}")
    # Identical images have an infinite PSNR: a lead of several segments then keeps it.
    means = training[good].groupby(_KEY)[metric].mean().reset_index()
    return means.sort_values([metric, *_KEY], ascending=[not METRICS[metric], True, True], ignore_index=True)
