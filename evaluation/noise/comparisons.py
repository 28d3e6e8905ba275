"""Compares noise scores with what is known about leads: PTB-XL's labels, CinC 2011's, and the dose of mixed-in noise.

Each function returns rows with the columns `COLUMNS`, and what its pictures show.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from einthoven.ecg.leads import LEADS
from einthoven.statistics import Interval
from evaluation.noise.discrimination import MACRO, Comparison, compare_groups, dose_response, largest_w1, mean_curve
from evaluation.noise.runs import NOISE_TYPES, ScoredLeads

COLUMNS = ["set", "method", "metric", "group", "value", "lower", "upper", "n_clean", "n_noisy", "n_unusable"]

TEST, FOLD_10, FOLD_9 = "test", "fold 10", "fold 9"
PTBXL_SETS = {
    TEST: "PTB-XL: clean leads of fold 10, noisy leads of all folds",
    FOLD_10: "PTB-XL: clean and noisy leads of fold 10",
    FOLD_9: "PTB-XL: clean and noisy leads of fold 9 (validation)",
}
"""Which leads of PTB-XL are compared."""
MIXTURE_SETS = {"test": "mixtures of fold 10", "val": "mixtures of fold 9"}
CINC2011_SET = "CinC 2011"
ALL_RECORDS, USABLE_RECORDS = "all records", "records without unusable leads"
CHECKS = "unusable leads alone"
"""Stands for a record's number of flat, saturated or otherwise unusable leads, without any score."""
MIN_LEADS = 10
"""With fewer noisy leads or records of a kind there is no comparison."""


Rule = Callable[[NDArray[np.float64]], float]

RULES: dict[str, Rule] = {
    "lowest lead": lambda scores: float(scores[0]),
    "second lowest lead": lambda scores: float(scores[min(1, len(scores) - 1)]),
    "10th percentile": lambda scores: float(np.percentile(scores, 10)),
    "mean": lambda scores: float(scores.mean()),
}
"""Rules on the scores of a record's leads, ascending."""

AS_LOWEST = "unusable leads as the lowest score"
COUNTED = "number of unusable leads first"
UNUSABLE = (AS_LOWEST, COUNTED)
"""What becomes of unusable leads."""
TOGETHER = ("all leads together", "unusable leads counted in")
"""How a method that judges whole records does: not by a rule that is chosen here."""


@dataclass(frozen=True)
class Histogram:
    """Scores of clean (n,) and other (m,) leads to draw: a row of panels a method, a column a group of the others."""

    method: str
    group: str
    clean: NDArray[np.float64]
    noisy: NDArray[np.float64]
    auroc: float


@dataclass(frozen=True)
class DoseCurve:
    """Mean scores, with intervals, at ascending signal-to-noise ratios in dB: a panel a method, a line a noise."""

    method: str
    noise_type: str
    snr_db: list[float]
    means: list[Interval]


def compare_ptbxl(
    scored: ScoredLeads, name: str, n_resamples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, list[Histogram]]:
    """Compares clean leads with those of each noise type, on the leads that `name`, one of `PTBXL_SETS`, says.

    Leads that a model was trained on are never used; unusable leads score lowest in AUROC and are left out of W1.

    Returns:
        Rows of metrics "auroc", "w1" and "largest w1", empty without enough leads, and the histograms.
    """
    leads = scored.leads
    in_split = (leads["split"] == ("val" if name == FOLD_9 else "test")).to_numpy()
    labels = {kind: leads[kind].to_numpy(dtype=bool) for kind in ("clean", *NOISE_TYPES)}
    rows: list[dict[str, object]] = []
    pictures: list[Histogram] = []
    for method, column in scored.scores.items():
        scores, untrained = column.to_numpy(), ~scored.left_out[method].to_numpy(dtype=bool)
        clean = labels["clean"] & in_split & untrained
        noisy = {kind: labels[kind] & untrained & (in_split | (name == TEST)) for kind in NOISE_TYPES}
        noisy = {kind: chosen for kind, chosen in noisy.items() if chosen.sum() >= MIN_LEADS}
        if clean.sum() < MIN_LEADS or not noisy:
            continue
        of_kind = {kind: _scores_of(scored, str(method), kind) for kind in noisy}
        intervals = _compare(of_kind, clean, noisy, leads["ecg_id"].to_numpy(), n_resamples, seed)
        groups = noisy | ({MACRO: np.any(list(noisy.values()), axis=0)} if len(noisy) == len(NOISE_TYPES) else {})
        sizes = {kind: _sizes(scores, clean, chosen) for kind, chosen in groups.items()}
        largest = {("largest w1", kind): Interval(largest_w1(*sizes[kind][:2]), np.nan, np.nan) for kind in noisy}
        for (metric, kind), found in (intervals | largest).items():
            if kind in sizes:
                rows.append({"set": name, "method": method, **_row(metric, kind, found, sizes[kind])})
        for kind, chosen in noisy.items():
            auroc = intervals["auroc", kind].estimate
            values = of_kind[kind]
            pictures.append(Histogram(str(method), kind, values[clean], values[chosen], auroc))
    return pd.DataFrame(rows, columns=COLUMNS), pictures


def _scores_of(scored: ScoredLeads, method: str, kind: str) -> NDArray[np.float64]:
    """Returns the scores by which a method is tested on a type of noise."""
    columns = scored.kinds.get(method)
    return (scored.scores[method] if columns is None else columns[kind]).to_numpy()


def _compare(
    scores: Mapping[str, NDArray[np.float64]],
    clean: NDArray[np.bool_],
    noisy: Mapping[str, NDArray[np.bool_]],
    ecg_ids: NDArray[np.integer],
    n_resamples: int,
    seed: int,
) -> dict[tuple[str, str], Interval]:
    """Compares clean leads with each kind of noisy ones, on the same draws of the records that have any of them."""
    used = np.any([clean, *noisy.values()], axis=0)
    records = np.zeros(len(clean), dtype=np.int64)
    records[used], names = pd.factorize(ecg_ids[used])
    both = {kind: clean | chosen for kind, chosen in noisy.items()}
    groups = {kind: Comparison(scores[kind][rows], clean[rows], records[rows]) for kind, rows in both.items()}
    return compare_groups(groups, len(names), n_resamples, seed)


def _sizes(scores: NDArray[np.float64], clean: NDArray[np.bool_], noisy: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Counts clean and noisy leads or records, and unusable ones among them."""
    return int(clean.sum()), int(noisy.sum()), int(np.isneginf(scores[clean | noisy]).sum())


def _row(metric: str, group: str, found: Interval, sizes: tuple[int, int, int]) -> dict[str, object]:
    value = {"metric": metric, "group": group, "value": found.estimate, "lower": found.lower, "upper": found.upper}
    return {**value, "n_clean": sizes[0], "n_noisy": sizes[1], "n_unusable": sizes[2]}


def compare_cinc2011(
    scored: ScoredLeads, n_resamples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame, list[Histogram]]:
    """Compares acceptable with unacceptable records; a ValueError if a half lacks either.

    How the scores of leads combine, and how unusable leads count, is chosen for each method by its AUROC on the half
    "fit"; the result is that of the half "test", on records that no model was trained on.

    Returns:
        Rows of the metric "auroc", over all records and over those without unusable leads; the AUROC of each way to
        combine on the half "fit" (`method`, `rule`, `unusable`, `fit`, `chosen`); and the histograms.
    """
    leads = scored.leads
    tables = {str(method): _wide(leads, column.to_numpy()) for method, column in scored.scores.items()}
    records = leads.drop_duplicates("ecg_id").set_index("ecg_id").loc[next(iter(tables.values())).index]
    acceptable, is_fit = records["acceptable"].to_numpy(dtype=bool), (records["half"] == "fit").to_numpy(dtype=bool)
    trained = leads["ecg_id"][scored.left_out.any(axis=1).to_numpy()].unique()
    is_test = ~is_fit & ~records.index.isin(trained)
    for name, half in (("fit", is_fit), ("test", is_test)):
        if len(set(acceptable[half])) < 2:
            raise ValueError(f"CinC 2011's half {name!r} lacks acceptable or unacceptable records: score all records")
    unusable = np.stack([np.isneginf(table.to_numpy()) for table in tables.values()]).any(axis=0)
    tables[CHECKS] = pd.DataFrame(np.where(unusable, -np.inf, 0.0), index=records.index)
    rows: list[dict[str, object]] = []
    pictures: list[Histogram] = []
    tried = []
    for method, table in tables.items():
        ways = [("lowest lead", COUNTED)] if method == CHECKS else [(rule, way) for way in UNUSABLE for rule in RULES]
        combined = {way: combine_leads(table.to_numpy(), *way) for way in ways}
        if method in scored.records:
            combined = {TOGETHER: table.max(axis=1).to_numpy()}
        on_fit = {way: Comparison(values[is_fit], acceptable[is_fit]).auroc() for way, values in combined.items()}
        best = max(on_fit, key=lambda way: on_fit[way])
        tried += [(method, *way, value, way == best) for way, value in on_fit.items()]
        is_whole = np.asarray(~np.isneginf(table.to_numpy()).any(axis=1))
        for group, chosen in ((ALL_RECORDS, is_test), (USABLE_RECORDS, is_test & is_whole)):
            sizes = _sizes(np.where(is_whole, 0.0, -np.inf), acceptable & chosen, ~acceptable & chosen)
            if min(sizes[:2]) < MIN_LEADS or (group, method) == (USABLE_RECORDS, CHECKS):
                continue
            comparison = Comparison(combined[best][chosen], acceptable[chosen])
            found = compare_groups({group: comparison}, int(chosen.sum()), n_resamples, seed)["auroc", group]
            rows.append({"set": CINC2011_SET, "method": method, **_row("auroc", group, found, sizes)})
            if group == ALL_RECORDS and method != CHECKS:
                shown = (combined[best][chosen & acceptable], combined[best][chosen & ~acceptable])
                pictures.append(Histogram(method, "\n".join(best), *shown, found.estimate))
    rules = pd.DataFrame(tried, columns=["method", "rule", "unusable", "fit", "chosen"])
    return pd.DataFrame(rows, columns=COLUMNS), rules, pictures


def combine_leads(scores: NDArray[np.floating], rule: str, unusable: str) -> NDArray[np.float64]:
    """Combines the scores of each record's leads, higher is cleaner, from (N, C) to (N,).

    Args:
        scores: Scores of leads, -inf for an unusable lead and NaN for none; each record has a lead at least.
        rule: One of `RULES`.
        unusable: One of `UNUSABLE`: unusable leads take the lowest score of any lead, or the record with more of them
            is the worse (in units of leads), and the rule on the others adds less than 1.
    """
    scores = np.asarray(scores, dtype=np.float64)
    finite = np.isfinite(scores)
    floor = scores[finite].min() if finite.any() else 0.0
    if unusable == AS_LOWEST:
        scores = np.where(np.isneginf(scores), floor, scores)
        finite = ~np.isnan(scores)
    combined = np.array(
        [RULES[rule](np.sort(row[use])) if use.any() else -np.inf for row, use in zip(scores, finite, strict=True)]
    )
    if unusable == AS_LOWEST:
        return combined
    return rankdata(combined) / (len(combined) + 1) - np.isneginf(scores).sum(axis=1)


def _wide(leads: pd.DataFrame, scores: NDArray[np.float64]) -> pd.DataFrame:
    """Lays scores out as records by leads, NaN where a lead has none."""
    return leads.assign(score=scores).pivot(index="ecg_id", columns="lead", values="score").reindex(columns=LEADS)


def compare_mixtures(
    scored: ScoredLeads, split: str, n_resamples: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, list[DoseCurve]]:
    """Correlates scores with the signal-to-noise ratio of mixtures of PTB-XL's split "test" or "val".

    Returns:
        Rows of a metric for each of `DOSE_STATISTICS`, the noise as group; and the curves. Both empty where the split
        has no mixtures.
    """
    rows: list[dict[str, object]] = []
    curves: list[DoseCurve] = []
    leads = scored.leads
    in_split = ((leads["split"] == split) & np.isfinite(leads["snr_db"])).to_numpy()
    for method, column in scored.scores.items():
        chosen = in_split & ~scored.left_out[method].to_numpy(dtype=bool)
        for noise_type, rows_of in leads[chosen].groupby("noise_type").groups.items():
            part = leads.loc[rows_of].assign(score=column.loc[rows_of])
            snr_db = sorted(part["snr_db"].unique().tolist())
            if len(snr_db) < 3:
                raise ValueError(
                    f"mixtures with {noise_type} have {len(snr_db)} signal-to-noise ratios: score three at least"
                )
            cube = _cube(part, snr_db)
            found = dose_response(snr_db, cube, n_resamples, seed)
            sizes = (int((~np.isnan(cube)).any(axis=2).sum()), 0, int(np.isneginf(cube).sum()))
            shared = {"set": MIXTURE_SETS[split], "method": method}
            rows += [{**shared, **_row(name, str(noise_type), interval, sizes)} for name, interval in found.items()]
            curves.append(DoseCurve(str(method), str(noise_type), snr_db, mean_curve(cube, n_resamples, seed)))
    return pd.DataFrame(rows, columns=COLUMNS), curves


def _cube(part: pd.DataFrame, snr_db: list[float]) -> NDArray[np.float64]:
    """Lays scores out as records by leads by snr_db, NaN where there is none."""
    records, leads = pd.factorize(part["ecg_id"])[0], pd.factorize(part["lead"])[0]
    cube = np.full((records.max() + 1, leads.max() + 1, len(snr_db)), np.nan)
    cube[records, leads, np.searchsorted(snr_db, part["snr_db"])] = part["score"]
    return cube
