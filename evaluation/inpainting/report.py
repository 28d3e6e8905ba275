"""The report on reconstructions: scores of each method and of the baselines, as tables and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS, canonical_leads, lead_matrix, leads_to_report
from einthoven.report.figures import draw_reconstruction
from einthoven.report.tables import results_table, write_csv, write_parquet
from einthoven.run.files import write_text
from einthoven.statistics import mean_over_records
from evaluation.inpainting.baselines import MeanEcg, RidgeLeads
from evaluation.inpainting.calibration_figures import draw_amplitudes, draw_coverage
from evaluation.inpainting.gap_baselines import GapRidge, copy_beats, interpolate_gaps
from evaluation.inpainting.runs import MEMORY, Reconstructions, common_records, open_runs
from evaluation.inpainting.scores import LEVELS, REPORTED, Scores, record_values, score, summarise
from preprocessing.store.store import Store

RIDGE = "ridge"
MEAN_ECG = "mean ECG"
INTERPOLATION = "interpolation"
COPIED_BEATS = "copied beats"


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        table: One row per method and metric over the reported leads: `method`, `metric`, `value`, `lower`, `upper`,
            `n_records`.
        per_lead: The same for each lead, in the column `lead`.
        per_record: One row per method, record and lead (and the reported leads together), with the record's values.
        markdown: The table for people, with the notes.
        notes: What was compared and what was left out.
    """

    table: pd.DataFrame
    per_lead: pd.DataFrame
    per_record: pd.DataFrame
    markdown: str
    notes: tuple[str, ...]


def evaluate_runs(
    paths: Sequence[Path | str],
    folder: Path | str,
    *,
    reported_leads: Sequence[str] | None = None,
    store: Path | str | None = None,
    ridge: Path | str | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    layout: str = "3x4",
) -> Report:
    """Evaluates run folders of `reconstruction.inpaint` on the records they have in common, beside the baselines.

    Where whole leads alone were given, the baselines are ridge regression and the mean ECG; else linear interpolation,
    copied beats and the best linear estimate from all that was given (`gap_baselines`). Methods are compared with the
    baseline of least MAE, the mean ECG aside.

    Writes `table.csv`, `table.md`, `per_lead.csv`, `per_record.parquet`, `ridge.npz` (of whole leads), and a folder of
    pictures for each method: `best.png`, `median.png` and `worst.png` (by the MAE of the mean), `coverage.png`, and
    `amplitude.png` where gaps are long enough to have one.

    Args:
        paths: Run folders, one per method.
        folder: Where to write.
        reported_leads: Leads to sum up; by default the paper's nine where lead I alone was given, else all with a
            sample to score.
        store: Store to fit the baselines on; by default the one that the runs' config names.
        ridge: Fitted ridge regression of an earlier evaluation; by default it is fitted anew.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.
        layout: Layout of the ECG pictures, `3x4` or `12x1`.

    Returns:
        The report.

    Raises:
        ValueError: If a folder is not fit to be evaluated, or the runs did not reconstruct the same thing.
    """
    runs = open_runs(paths)
    ecg_ids = common_records(runs)
    first = _restrict(runs[0], ecg_ids)
    notes = [f"{len(ecg_ids)} records" + _left_out(runs, len(ecg_ids))]
    reported = canonical_leads(reported_leads) if reported_leads else default_leads(first)
    scores = {}
    for run in runs:
        chosen = _restrict(run, ecg_ids)
        _check_same_task(first, chosen)
        drawn = () if run.is_point_estimate else (chosen.samples, (chosen.lower, chosen.upper))
        scores[run.name] = score(chosen.mean, chosen.truth, chosen.observed, chosen.sampling_rate, *drawn)
    baselines = _baselines(first, store, ridge, Path(folder), notes)
    for name, estimate in baselines.items():
        scores[name] = score(estimate, first.truth, first.observed, first.sampling_rate)
    report = _summed_up(scores, runs, ecg_ids, reported, list(baselines), notes, n_resamples, seed)
    _write(report, Path(folder))
    for run in runs:
        _draw(_restrict(run, ecg_ids), scores[run.name], reported, Path(folder) / run.name.replace("/", "_"), layout)
    return report


def default_leads(run: Reconstructions) -> tuple[str, ...]:
    """Chooses the leads to sum up: the paper's nine where lead I alone was given, else all with a sample to score."""
    leads = leads_to_report(np.asarray(run.observed))
    if not leads:
        raise ValueError("every sample was observed, so there is nothing to evaluate: check algo.missingness")
    return leads


def independent_leads(leads: Sequence[str]) -> tuple[str, ...]:
    """Leaves out the leads that follow exactly from earlier ones, in the order given."""
    chosen: list[str] = []
    for lead in leads:
        try:
            lead_matrix([lead], chosen)
        except ValueError:
            chosen.append(lead)
    return tuple(chosen)


def _restrict(run: Reconstructions, ecg_ids: np.ndarray) -> Reconstructions:
    """Selects records by key; signals stay on disk where all are wanted in their own order."""
    rows = run.select(ecg_ids)
    if np.array_equal(rows, np.arange(len(run.ecg_ids))):
        return run
    names = ("ecg_ids", "samples", "mean", "lower", "upper", "truth", "observed")
    parts = {name: getattr(run, name)[rows] for name in names}
    return Reconstructions(**{**run.__dict__, **parts, "cost": run.cost.iloc[rows]})


def _left_out(runs: Sequence[Reconstructions], n_common: int) -> str:
    extra = {run.name: len(run.ecg_ids) - n_common for run in runs}
    told = ", ".join(f"{count} of {name}" for name, count in extra.items() if count)
    return f" that all runs have (left out: {told})" if told else ""


def _check_same_task(first: Reconstructions, other: Reconstructions) -> None:
    if not np.array_equal(first.observed, other.observed):
        raise ValueError(f"{first.name} and {other.name} were given different samples: evaluate them one by one")
    if not np.allclose(first.truth, other.truth, atol=1e-4, equal_nan=True):
        raise ValueError(f"the true ECGs of {first.name} and {other.name} differ: they come from different stores")


def _baselines(
    run: Reconstructions, store: Path | str | None, ridge: Path | str | None, folder: Path, notes: list[str]
) -> dict[str, np.ndarray]:
    """Predictions of the baselines in mV, shape (N, 12, L), by name; what cannot be had is told in the notes."""
    path = store or run.store
    if path is None or not (Path(path) / "manifest.json").is_file():
        notes.append(f"no baselines: the store {path} is not there; name it with evaluate.store=...")
        return {}
    data = Store.open(path)
    length = run.truth.shape[-1]
    if data.sampling_rate != run.sampling_rate or data.n_samples < length:
        notes.append(f"no baselines: the store {path} has another sampling rate or shorter records")
        return {}
    whole = independent_leads(run.whole_leads())
    if not _is_of_whole_leads(run):
        if ridge:
            raise ValueError("evaluate.ridge is a regression from whole leads, but the runs hid parts: leave it empty")
        return _gap_baselines(run, data, notes)
    predictions: dict[str, np.ndarray] = {}
    if not whole:
        notes.append("no ridge baseline: no sample was kept as it was measured")
    else:
        regression = RidgeLeads.load(Path(ridge)) if ridge else RidgeLeads.fit(data, whole)
        if regression.observed_leads != whole:
            raise ValueError(f"{ridge} regresses from {regression.observed_leads}, the runs observed {whole}: fit anew")
        regression.save(folder / "ridge.npz")
        predictions[RIDGE] = regression.predict(run.truth[:, [LEADS.index(lead) for lead in whole]])
        notes.append(
            f"ridge from {', '.join(whole)}: strength {regression.strength:.0e}, chosen on the validation records"
        )
    if data.n_samples == length:
        predictions[MEAN_ECG] = MeanEcg.fit(data).predict(len(run.ecg_ids))
    return predictions


def _is_of_whole_leads(run: Reconstructions) -> bool:
    """Tells whether the same leads were given in all records, and nothing else."""
    whole = [lead in run.whole_leads() for lead in LEADS]
    return bool((np.asarray(run.observed).any(axis=(0, 2)) == whole).all())


def _gap_baselines(run: Reconstructions, data: Store, notes: list[str]) -> dict[str, np.ndarray]:
    truth, observed = np.asarray(run.truth), np.asarray(run.observed)
    ridge = GapRidge.fit(data, observed)
    notes.append(f"ridge from all that was given: strength {ridge.strength:.0e}, chosen on the validation records")
    return {
        INTERPOLATION: interpolate_gaps(truth, observed),
        COPIED_BEATS: copy_beats(truth, observed, run.sampling_rate),
        RIDGE: ridge.predict(truth, observed),
    }


def _summed_up(
    scores: Mapping[str, Scores],
    runs: Sequence[Reconstructions],
    ecg_ids: np.ndarray,
    reported: tuple[str, ...],
    baselines: Sequence[str],
    notes: list[str],
    n_resamples: int,
    seed: int,
) -> Report:
    best = _best_baseline({name: scores[name] for name in baselines}, reported)
    summaries, records = [], []
    for name, found in scores.items():
        compared = (best, scores[best]) if best and name != best else None
        summaries.append(summarise(found, reported, compared, n_resamples, seed).assign(method=name))
        records.append(_record_table(name, found, ecg_ids, reported))
    whole = pd.concat(summaries, ignore_index=True)
    whole = whole[["method", "metric", "lead", "value", "lower", "upper", "n_records"]]
    costs = [_cost_rows(run, ecg_ids) for run in runs]
    table = pd.concat([whole[whole["lead"] == REPORTED].drop(columns="lead"), *costs], ignore_index=True)
    per_lead = whole[(whole["lead"] != REPORTED) & (whole["n_records"] > 0)]
    notes.append(f"over leads {', '.join(reported)}; unobserved samples only; 95 % bootstrap intervals over records")
    point_estimates = [*baselines, *(run.name for run in runs if run.is_point_estimate)]
    markdown = results_table(table, point_estimates) + "\n" + "\n".join(f"- {note}" for note in notes) + "\n"
    return Report(table, per_lead, pd.concat(records, ignore_index=True), markdown, tuple(notes))


def _best_baseline(scores: Mapping[str, Scores], reported: tuple[str, ...]) -> str | None:
    """Names the baseline of least MAE over the reported leads, the mean ECG aside."""
    errors = {
        name: float(mean_over_records(record_values(found, reported)["mae_mean"][:, -1]))
        for name, found in scores.items()
        if name != MEAN_ECG
    }
    return min(errors, key=lambda name: errors[name]) if errors else None


def _cost_rows(run: Reconstructions, ecg_ids: np.ndarray) -> pd.DataFrame:
    chosen = run.cost.iloc[run.select(ecg_ids)]
    costs = chosen.mean()
    if MEMORY in chosen:
        costs[MEMORY] = chosen[MEMORY].max()
    rows = [(run.name, str(name), float(value), np.nan, np.nan, len(ecg_ids)) for name, value in costs.items()]
    return pd.DataFrame(rows, columns=["method", "metric", "value", "lower", "upper", "n_records"])


def _record_table(method: str, found: Scores, ecg_ids: np.ndarray, reported: tuple[str, ...]) -> pd.DataFrame:
    leads = (*LEADS, REPORTED)
    columns = {name: values.ravel() for name, values in record_values(found, reported).items()}
    amplitudes = {
        "amplitude_truth": found.amplitude_truth,
        "amplitude_mean": found.amplitude_mean,
        "amplitude_first_sample": found.amplitude_sample[:, 0],
    }
    blank = np.full((len(ecg_ids), 1), np.nan)
    columns |= {name: np.concatenate([values, blank], axis=1).ravel() for name, values in amplitudes.items()}
    keys = {"method": method, "ecg_id": np.repeat(ecg_ids, len(leads)), "lead": np.tile(leads, len(ecg_ids))}
    return pd.DataFrame({**keys, **columns})


def _write(report: Report, folder: Path) -> None:
    write_csv(report.table, folder / "table.csv")
    write_csv(report.per_lead, folder / "per_lead.csv")
    write_parquet(report.per_record, folder / "per_record.parquet")
    write_text(folder / "table.md", report.markdown)


def _draw(run: Reconstructions, found: Scores, reported: tuple[str, ...], folder: Path, layout: str) -> None:
    errors = record_values(found, reported)["mae_mean"][:, -1]
    order = [row for row in np.argsort(errors) if np.isfinite(errors[row])]
    for name, place in (("best", 0), ("median", len(order) // 2), ("worst", -1)):
        row = int(order[place])
        draw_reconstruction(
            folder / f"{name}.png",
            run.mean[row],
            run.lower[row],
            run.upper[row],
            run.sampling_rate,
            truth=np.asarray(run.truth[row]),
            observed=np.asarray(run.observed[row]),
            title=f"{run.name}: {name} of {len(order)} records (ecg_id {run.ecg_ids[row]}, MAE {errors[row]:.3f} mV)",
            layout=layout,
        )
    leads = [LEADS.index(lead) for lead in reported]
    curve = mean_over_records(found.coverage_at)[:, leads]
    if np.isfinite(curve).any():
        draw_coverage(folder / "coverage.png", LEVELS, curve, reported, f"{run.name}: calibration")
    if not np.isfinite(found.amplitude_truth[:, leads]).any():
        return  # the gaps are too short to have one
    draw_amplitudes(
        folder / "amplitude.png",
        found.amplitude_truth[:, leads],
        found.amplitude_sample[:, 0][:, leads],
        found.amplitude_mean[:, leads],
        reported,
        f"{run.name}: amplitudes",
    )
