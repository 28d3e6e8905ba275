"""How well a lead without a name is named, and what I and II alone tell of swapped limb electrodes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.report.tables import markdown_table
from einthoven.statistics import bootstrap_intervals
from evaluation.electrodes.report import Draws, sensitivities, sensitivity_lines, told_lines, told_shares
from evaluation.electrodes.rules import LEVEL_S, QRS_S
from evaluation.report import Report, bullets, result_cell
from reconstruction.electrodes.few_leads.beats import BEFORE_S, N_SAMPLES, RATE_HZ
from reconstruction.electrodes.few_leads.limbs import limb_hypotheses, usual_log_odds
from reconstruction.electrodes.few_leads.naming import SURE, naming_inputs
from reconstruction.electrodes.few_leads.networks import FewLeads, softmax
from reconstruction.electrodes.fitting.few_leads import Beats, look_at_beats, pair_evidence
from reconstruction.electrodes.maps import AS_RECORDED

RULE, NETWORK = "I negative", "I and II"
BINS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def evaluate_few_leads(
    paths: Sequence[Path], folder: Path, notes: Sequence[str], specificity: float, draws: Draws
) -> Report:
    """Names each lead of records with twelve, and swaps electrodes of their I and II; writes and returns the report."""
    beats, few_leads = look_at_beats(paths, folder / "parts" / "beats.npz"), FewLeads.load()
    named, decisions = naming_table(beats, few_leads), limb_decisions(beats, few_leads)
    accuracy, calibration = _accuracy(named, draws), _calibration(named)
    sensitivity = sensitivities(limb_scores(beats, few_leads), specificity, draws)
    limits = {"told, packaged limit": few_leads.limit, "told or not excluded": few_leads.doubt}
    told = {
        label: told_shares(_decided(decisions, limit), decisions["truth"], list(decisions["truth"]), draws)
        for label, limit in limits.items()
    }
    confusion = pd.crosstab(named["lead"], named["best"]).reindex(index=LEADS, columns=LEADS, fill_value=0)
    among = f"Among the fewest leads that have {SURE:g} together: {named['among'].mean():.3f}, of"
    text = [f"{len(beats.records)} records; 95 % bootstrap intervals over records in brackets", ""]
    text += ["## Which lead a single lead is", "", _accuracy_lines(accuracy)]
    text += [f"{among} {named['n_likely'].mean():.1f} leads; calibration error {_error(calibration):.3f}", ""]
    text += ["Rows: the lead that it is; columns: what it is taken for, in percent", "", _confusion_lines(confusion)]
    text += ["## How sure it is, and how often it is right", "", _calibration_lines(calibration)]
    text += [f"## Swaps in I and II: sensitivity at specificity {specificity:g}", "", sensitivity_lines(sensitivity)]
    for label, limit in limits.items():
        text += [f"## All of them at once: {label}, {limit:.3f}", "", told_lines(told[label])]
    tables = {"accuracy.csv": accuracy, "sensitivity.csv": sensitivity, "told.csv": told["told, packaged limit"]}
    tables |= {"calibration.csv": calibration, "confusion.csv": confusion.reset_index()}
    tables |= {"named.parquet": named, "decisions.parquet": decisions}
    return Report(tables, "\n".join([*text, bullets(list(notes))])).write(folder)


def naming_table(beats: Beats, few_leads: FewLeads, in_mv: bool = True) -> pd.DataFrame:
    """Names each usable lead: `record`, `lead`, `best`, its `probability`, `place` of the truth, `among` the likely."""
    usable = np.isfinite(beats.single).all(axis=-1)
    rows, truth = np.nonzero(usable)
    shares = softmax(few_leads.naming(naming_inputs(beats.single[usable], in_mv)))
    order = np.argsort(-shares, axis=-1, kind="stable")
    place = (order == truth[:, None]).argmax(axis=-1)
    n_likely = 1 + (np.cumsum(np.take_along_axis(shares, order, axis=-1), axis=-1) < SURE).sum(axis=-1)
    names = np.array(LEADS)
    return pd.DataFrame(
        {
            "record": beats.records[rows],
            "lead": names[truth],
            "best": names[order[:, 0]],
            "probability": shares.max(axis=-1),
            "place": place,
            "n_likely": n_likely,
            "among": place < n_likely,
        }
    )


def limb_scores(beats: Beats, few_leads: FewLeads) -> pd.DataFrame:
    """Scores I and II as they are and with each mistake: `record`, `hypothesis`, `method`, `right`, `swapped`."""
    whole = np.isfinite(beats.pairs).all(axis=(1, 2))
    pairs, known = beats.pairs[whole], limb_hypotheses()
    odds = pair_evidence(Beats(beats.records[whole], beats.single[whole], pairs), few_leads.limbs)[0]
    odds = odds.reshape(len(pairs), len(known), len(known))
    rule = one_negative(pairs)
    rows = []
    for at, one in enumerate(known[1:], start=1):
        for method, right, swapped in ((NETWORK, odds[:, 0, at], odds[:, at, at]), (RULE, rule[:, 0], rule[:, at])):
            own = {"record": beats.records[whole], "hypothesis": one.name, "method": method}
            rows.append(pd.DataFrame({**own, "right": right, "swapped": swapped}))
    return pd.concat(rows, ignore_index=True)


def one_negative(pairs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns how negative the QRS complex of lead I is in features of I and II, (..., features)."""
    qrs, level = (slice(*(round((BEFORE_S + time) * RATE_HZ) for time in span)) for span in (QRS_S, LEVEL_S))
    one = pairs[..., :N_SAMPLES].astype(np.float64)
    return np.asarray(one[..., level].mean(axis=-1) - one[..., qrs].mean(axis=-1))


def limb_decisions(beats: Beats, few_leads: FewLeads) -> pd.DataFrame:
    """Decides on each pair: `record`, `truth`, likeliest mistake `other`, probability `as_recorded`."""
    odds, truth = pair_evidence(beats, few_leads.limbs)
    shares = softmax(odds + usual_log_odds())
    names, other = np.array([one.name for one in limb_hypotheses()]), 1 + shares[:, 1:].argmax(axis=-1)
    records = beats.records[np.nonzero(np.isfinite(beats.pairs).all(axis=-1))[0]]
    columns = {"record": records, "truth": names[truth], "other": names[other], "as_recorded": shares[:, 0]}
    return pd.DataFrame(columns)


def _decided(decisions: pd.DataFrame, limit: float) -> pd.DataFrame:
    return decisions.assign(told=np.where(decisions["as_recorded"] < limit, decisions["other"], AS_RECORDED))


def _accuracy(named: pd.DataFrame, draws: Draws) -> pd.DataFrame:
    """How often the truth is the most probable lead, or one of two, with intervals over records, in all and by lead."""
    rows = []
    for lead in ("all", *LEADS):
        own = named if lead == "all" else named[named["lead"] == lead]
        if own.empty:
            continue
        first = own.assign(first=own["place"] == 0, two=own["place"] < 2)
        values = first.groupby("record")[["first", "two"]].mean().to_numpy()
        found = bootstrap_intervals(values, n_resamples=draws.n_resamples, seed=draws.seed)
        for what, one in zip(("first", "two"), found, strict=True):
            rows.append((lead, what, len(own), one.estimate, one.lower, one.upper))
    return pd.DataFrame(rows, columns=["lead", "what", "n", "value", "lower", "upper"])


def _calibration(named: pd.DataFrame) -> pd.DataFrame:
    """Compares, in bins of the probability of the best lead, its mean with the share that is right."""
    bins = pd.cut(named["probability"], list(BINS))
    grouped = named.assign(right=named["place"] == 0).groupby(bins, observed=True)
    table = grouped.agg(n=("right", "size"), probability=("probability", "mean"), right=("right", "mean"))
    return table.reset_index(names="bin").astype({"bin": str})


def _error(calibration: pd.DataFrame) -> float:
    """Returns the expected calibration error."""
    gaps = (calibration["probability"] - calibration["right"]).abs()
    return float((gaps * calibration["n"]).sum() / calibration["n"].sum())


def _accuracy_lines(table: pd.DataFrame) -> str:
    rows = [
        [lead, *(result_cell(table, 3, lead=lead, what=what) for what in ("first", "two"))]
        for lead in dict.fromkeys(table["lead"])
    ]
    return markdown_table(["lead", "named rightly", "among the two most probable"], rows)


def _confusion_lines(table: pd.DataFrame) -> str:
    shares = 100 * table.to_numpy() / np.maximum(table.to_numpy().sum(axis=1, keepdims=True), 1)
    rows = [[lead, *(f"{one:.0f}" for one in row)] for lead, row in zip(LEADS, shares, strict=True)]
    return markdown_table(["", *LEADS], rows)


def _calibration_lines(table: pd.DataFrame) -> str:
    rows = [[str(row.bin), str(row.n), f"{row.probability:.2f}", f"{row.right:.2f}"] for row in table.itertuples()]
    return markdown_table(["probability", "n", "mean", "right"], rows)
