"""The report on reconstructions: scores of each method and of the baselines, as tables and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.leads import LEADS, canonical_leads, lead_matrix, lead_rows, leads_to_report
from einthoven.report.ecg_paper import draw_ecg
from einthoven.report.figures import save_figure
from einthoven.report.tables import results_table
from einthoven.statistics import finite_mean
from evaluation.inpainting.baselines import MeanEcg, RidgeLeads
from evaluation.inpainting.calibration_figures import draw_amplitudes, draw_coverage
from evaluation.inpainting.gap_baselines import GapRidge, copy_beats, interpolate_gaps
from evaluation.inpainting.groups import group_lines, group_table
from evaluation.inpainting.runs import Reconstructions, open_runs
from evaluation.inpainting.scores import AMPLITUDES, LEVELS, METRICS, coverage_at_levels, statistics
from evaluation.measures.errors import report_errors
from evaluation.report import Report, best_median_worst, bullets, common_keys, folder_name
from evaluation.scores import Estimate, best_of, per_lead, record_values, report_tables, score_tables
from preprocessing.store.files import MANIFEST
from preprocessing.store.store import Store

RIDGE = "ridge"
MEAN_ECG = "mean ECG"
INTERPOLATION = "interpolation"
COPIED_BEATS = "copied beats"
SHOWN_SAMPLES = 3


Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Scored:
    """Values of one method by metric, shape (N, 13), its amplitudes by `AMPLITUDES`, and its calibration curve."""

    values: Values
    amplitudes: Values
    coverage_at: np.ndarray

    @classmethod
    def of(cls, estimate: Estimate, reported: Sequence[str]) -> "_Scored":
        found = per_lead(estimate, {**AMPLITUDES, "coverage_at": coverage_at_levels})
        return cls(record_values(estimate, METRICS, reported), found, found["coverage_at"])

    def columns(self) -> dict[str, np.ndarray]:
        """Everything of shape (N, 13); the reported leads together have no amplitude."""
        truth, mean, samples = (self.amplitudes[f"amplitude_{kind}"] for kind in ("truth", "mean", "sample"))
        found = {"amplitude_truth": truth, "amplitude_mean": mean, "amplitude_first_sample": samples[:, 0]}
        padded = {name: np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan) for name, values in found.items()}
        return {**self.values, **padded}


def evaluate_runs(
    paths: Sequence[Path | str],
    folder: Path | str,
    *,
    reported_leads: Sequence[str] | None = None,
    store: Path | str | None = None,
    ridge: Path | str | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    layout: str = "3x4+1",
    n_measured: int = 0,
) -> Report:
    """Evaluates run folders of `reconstruction.inpaint` on the records they have in common, beside the baselines.

    Where whole leads alone were given, the baselines are ridge regression and the mean ECG; else linear interpolation,
    copied beats and the best linear estimate from all that was given (`gap_baselines`). Methods are compared with the
    baseline of least MAE, the mean ECG aside.

    Writes `table.csv`, `table.md`, `per_lead.csv`, `per_record.parquet`, `groups.csv` (by archive, rhythm, sex, age,
    noise that readers noted, lead; where the runs' store is there), `ridge.npz` (of whole leads), and a folder of
    pictures for each method: `best.png`, `median.png` and `worst.png` (by the MAE of the mean), `coverage.png`, and
    `amplitude.png` where gaps are long enough to have one.

    Args:
        paths: Run folders, one per method, which reconstructed the same thing (else a ValueError).
        folder: Where to write.
        reported_leads: Leads to sum up; default: the paper's nine where lead I alone was given, else all to score.
        store: Store to fit the baselines on; by default the one that the runs' config names.
        ridge: Fitted ridge regression of an earlier evaluation; by default it is fitted anew.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws.
        layout: Layout of the ECG pictures, `3x4+1`, `6x2` or `12x1`.
        n_measured: Records whose rate, intervals, axes, amplitudes and ST levels are compared, in `measures.csv`.
    """
    runs, reported, notes = _open(paths, reported_leads)
    folder, first = Path(folder), runs[0]
    estimates = {run.name: run.estimate() for run in runs}
    blank = replace(estimates[first.name], samples=None, band=None)
    baselines = _baselines(first, store, ridge, folder, notes)
    estimates |= {name: replace(blank, mean=mean) for name, mean in baselines.items()}
    scores = {name: _Scored.of(estimate, reported) for name, estimate in estimates.items()}
    best = best_of({name: scores[name].values for name in baselines if name != MEAN_ECG}, "mae_mean", highest=False)
    references = {name: (best, scores[best].values) if best and name != best else None for name in scores}
    summed = {name: statistics(one.values, one.amplitudes, reported, references[name]) for name, one in scores.items()}
    columns, costs = {name: one.columns() for name, one in scores.items()}, {run.name: run.cost for run in runs}
    found = score_tables(summed, columns, costs, first.ecg_ids, reported, n_resamples, seed)
    notes.append(f"over leads {', '.join(reported)}; unobserved samples only; 95 % bootstrap intervals over records")
    for run in runs:
        _draw(run, scores[run.name], reported, folder / folder_name(run.name), layout)
    tables = report_tables([found])
    point_estimates = [*baselines, *(run.name for run in runs if run.is_point_estimate)]
    markdown = f"{results_table(tables['table.csv'], METRICS, point_estimates)}\n{bullets(notes)}"
    measured = {name: one for name, one in estimates.items() if name not in (MEAN_ECG, INTERPOLATION)}
    errors, section = report_errors(measured, reported, n_measured, n_resamples, seed)
    by_group, groups = _by_group(runs, scores, reported, n_resamples, seed)
    parts = [part for part in (f"{markdown}\n{section}".rstrip(), groups) if part]
    return Report(tables | errors | by_group, "\n\n".join(parts) + "\n").write(folder)


def _by_group(
    runs: Sequence[Reconstructions], scores: Mapping[str, _Scored], reported: Sequence[str], n_resamples: int, seed: int
) -> tuple[dict[str, pd.DataFrame], str]:
    """Scores of groups of records, where the store is there that says what they are: a table, and its text."""
    path = runs[0].store
    if path is None or not (path / MANIFEST).is_file():
        return {}, ""
    store = Store.open(path)
    if not set(runs[0].ecg_ids.tolist()) <= set(store.table["ecg_id"].tolist()):
        return {}, ""
    found = {
        run.name: group_table(scores[run.name].values, run.ecg_ids, store, reported, n_resamples, seed) for run in runs
    }
    table = pd.concat([one.assign(method=name) for name, one in found.items()], ignore_index=True)
    return {"groups.csv": table}, "\n\n".join(text for name, one in found.items() if (text := group_lines(name, one)))


def _open(
    paths: Sequence[Path | str], reported_leads: Sequence[str] | None
) -> tuple[list[Reconstructions], tuple[str, ...], list[str]]:
    """Opens runs on the records that all have; returns the leads to sum up and the first note, too."""
    opened = open_runs(paths)
    ecg_ids = common_keys([run.ecg_ids for run in opened])
    runs = [run.restricted(ecg_ids) for run in opened]
    for run in runs:
        _check_same_task(runs[0], run)
    extra = {run.name: len(run.ecg_ids) - len(ecg_ids) for run in opened}
    names = ", ".join(f"{count} of {name}" for name, count in extra.items() if count)
    left_out = f" that all runs have (left out: {names})" if names else ""
    reported = canonical_leads(reported_leads) if reported_leads else _default_leads(runs[0])
    damaged = [run.left_out_note for run in opened if run.left_out]
    return runs, reported, [f"{len(ecg_ids)} records{left_out}", *damaged]


def _default_leads(run: Reconstructions) -> tuple[str, ...]:
    """Chooses the leads to sum up: the paper's nine where lead I alone was given, else all with a sample to score."""
    leads = leads_to_report(np.asarray(run.observed))
    if not leads:
        raise ValueError("every sample was observed, so there is nothing to evaluate: check algo.missingness")
    return leads


def _independent_leads(leads: Sequence[str]) -> tuple[str, ...]:
    """Leaves out the leads that follow exactly from earlier ones, in the order given."""
    chosen: list[str] = []
    for lead in leads:
        try:
            lead_matrix([lead], chosen)
        except ValueError:
            chosen.append(lead)
    return tuple(chosen)


def _check_same_task(first: Reconstructions, other: Reconstructions) -> None:
    if not np.array_equal(first.observed, other.observed):
        raise ValueError(f"{first.name} and {other.name} were given different samples: evaluate them one by one")
    if not np.allclose(first.truth, other.truth, atol=1e-4, equal_nan=True):
        raise ValueError(f"the true ECGs of {first.name} and {other.name} differ: they come from different stores")


def _baselines(
    run: Reconstructions, store: Path | str | None, ridge: Path | str | None, folder: Path, notes: list[str]
) -> dict[str, np.ndarray]:
    """Predictions of the baselines in mV, shape (N, 12, L), by name; the notes say what cannot be had."""
    data = run.baseline_store(store, notes)
    if data is None:
        return {}
    whole = _independent_leads(run.whole_leads())
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
        predictions[RIDGE] = regression.predict(run.truth[:, lead_rows(whole)])
        chosen = f"strength {regression.strength:.0e}, chosen on the validation records"
        notes.append(f"ridge from {', '.join(whole)}: {chosen}")
    if data.n_samples == run.truth.shape[-1]:
        predictions[MEAN_ECG] = MeanEcg.fit(data).predict(len(run.ecg_ids))
    return predictions


def _is_of_whole_leads(run: Reconstructions) -> bool:
    """Says whether the same leads were given in all records, and nothing else."""
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


def _draw(run: Reconstructions, scored: _Scored, reported: tuple[str, ...], folder: Path, layout: str) -> None:
    errors = scored.values["mae_mean"][:, -1]
    for name, row, count in best_median_worst(errors):
        title = f"{run.name}: {name} of {count} records (ecg_id {run.ecg_ids[row]}, MAE {errors[row]:.3f} mV)"
        samples = run.samples[row][:SHOWN_SAMPLES]
        picture = draw_ecg(
            run.mean[row],
            LEADS,
            run.sampling_rate,
            lower=run.lower[row],
            upper=run.upper[row],
            samples=samples if np.ptp(samples, axis=0).any() else None,  # a point estimate has none
            truth=run.truth[row],
            observed=run.observed[row],
            title=title,
            layout=layout,
        )
        save_figure(picture, folder / f"{name}.png", dpi=150)
    leads = lead_rows(reported)
    curve = finite_mean(scored.coverage_at)[:, leads]
    if np.isfinite(curve).any():
        draw_coverage(folder / "coverage.png", LEVELS, curve, reported, f"{run.name}: calibration")
    truth, sample, mean = (scored.amplitudes[f"amplitude_{kind}"][..., leads] for kind in ("truth", "sample", "mean"))
    if np.isfinite(truth).any():  # else the gaps are too short to have one
        draw_amplitudes(folder / "amplitude.png", truth, sample[:, 0], mean, reported, f"{run.name}: amplitudes")
