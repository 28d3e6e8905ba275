"""The report on denoising: scores of each method and of the baselines per noise and level, as tables and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, canonical_leads, to_twelve
from einthoven.report.tables import format_interval, markdown_table, results_table, write_csv, write_parquet
from einthoven.run.files import write_text
from einthoven.statistics import Interval, mean_over_records
from evaluation.denoising.baselines import Chosen, Cleaner, choose_baselines
from evaluation.denoising.figures import DenoisedLead, draw_denoising, draw_snr_curves
from evaluation.denoising.runs import Condition, DenoisingRun, open_denoising_runs
from evaluation.denoising.scores import ROWS, find_all_beats, score_beats, score_denoising, summarise
from evaluation.denoising.wiener import WienerFilter
from evaluation.inpainting.scores import REPORTED
from preprocessing.cohorts.nstdb import load_noise, mix_recorded_noise
from preprocessing.store.store import Store

NOISY = "noisy"
WIENER = "Wiener"
PICTURE_LEADS = ("II", "V2")
N_VALIDATION = 32

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class DenoisingReport:
    """What an evaluation found.

    Attributes:
        table: One row per noise, level, method and metric over the reported leads: `noise_type`, `level`, `method`,
            `metric`, `value`, `lower`, `upper`, `n_records`.
        per_lead: The same for each lead, in the column `lead`.
        per_record: One row per noise, level, method, record and lead (and the reported leads together).
        baselines: Settings of the baselines, per noise and level, with the output SNR that they were chosen by.
        markdown: The tables for people, with the notes.
    """

    table: pd.DataFrame
    per_lead: pd.DataFrame
    per_record: pd.DataFrame
    baselines: pd.DataFrame
    markdown: str


@dataclass(frozen=True)
class Settings:
    """How to evaluate: see `evaluate_denoising_runs`."""

    store: Path | str | None
    noise_path: Path | str | None
    n_validation: int
    beat_leads: tuple[str, ...]
    n_resamples: int
    seed: int


@dataclass(frozen=True)
class _Found:
    """What was found for one noise and level: values by method, summed up, and the settings of the baselines."""

    condition: Condition
    methods: tuple[str, ...]
    best: str | None
    summary: pd.DataFrame
    per_record: pd.DataFrame
    baselines: pd.DataFrame
    notes: tuple[str, ...]


def evaluate_denoising_runs(
    paths: Sequence[Path | str],
    folder: Path | str,
    *,
    store: Path | str | None = None,
    noise_path: Path | str | None = None,
    n_validation: int = N_VALIDATION,
    beat_leads: Sequence[str] = ("II",),
    n_resamples: int = 1000,
    seed: int = 0,
) -> DenoisingReport:
    """Evaluates run folders of `reconstruction.denoise`, any noises, levels and methods, beside the baselines.

    The baselines get the same noisy ECGs, their independent leads, from which the others follow; their settings are
    chosen for each noise and level on validation records with noise of NSTDB's first half. "Best baseline" is the one
    of most output SNR on the records evaluated, the Wiener filter aside, which has a row of its own.

    Writes `table.csv`, `table.md`, `per_lead.csv`, `per_record.parquet`, `baselines.csv`, `snr.png`, and for each
    noise, level and method `best.png`, `median.png` and `worst.png` by output SNR.

    Args:
        paths: Run folders.
        folder: Where to write.
        store: Store to choose and fit the baselines on; by default the one that the runs' config names.
        noise_path: NSTDB's folder, prepared or as downloaded; by default the one that the runs' config names.
        n_validation: Number of validation records to choose the baselines on.
        beat_leads: Leads to look for beats in; each takes a tenth of a second per ECG and method.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws and of the validation records' noise.

    Returns:
        The report.

    Raises:
        ValueError: If a folder is not fit to be evaluated, or runs of one noise and level met different ECGs.
    """
    settings = Settings(store, noise_path, n_validation, canonical_leads(beat_leads), n_resamples, seed)
    groups = open_denoising_runs(paths)
    folder = Path(folder)
    found = [_evaluate(condition, runs, folder, settings) for condition, runs in groups.items()]
    whole = pd.concat([part.summary for part in found], ignore_index=True)
    table = whole[whole["lead"] == REPORTED].drop(columns="lead")
    report = DenoisingReport(
        table=table,
        per_lead=whole[(whole["lead"] != REPORTED) & (whole["n_records"] > 0)],
        per_record=pd.concat([part.per_record for part in found], ignore_index=True),
        baselines=pd.concat([part.baselines for part in found], ignore_index=True),
        markdown=_markdown(found, table),
    )
    write_csv(report.table, folder / "table.csv")
    write_csv(report.per_lead, folder / "per_lead.csv")
    write_csv(report.baselines, folder / "baselines.csv")
    write_parquet(report.per_record, folder / "per_record.parquet")
    write_text(folder / "table.md", report.markdown)
    draw_snr_curves(folder / "snr.png", _curves(table))
    return report


def _evaluate(condition: Condition, runs: Sequence[DenoisingRun], folder: Path, settings: Settings) -> _Found:
    """Scores the runs and the baselines of one noise and level, and draws."""
    first = runs[0].result
    truth, noisy, rate = first.truth.astype(np.float64), runs[0].noisy.astype(np.float64), first.sampling_rate
    notes = [f"{len(truth)} records ({', '.join(dict.fromkeys(run.source for run in runs))})"]
    chosen = _choose(condition, runs[0], settings, notes)
    independent = noisy[:, [LEADS.index(lead) for lead in INDEPENDENT_LEADS]]
    cleaned = {name: to_twelve(baseline.cleaner(independent, rate)) for name, baseline in chosen.items()}
    true_beats = find_all_beats(truth, rate, settings.beat_leads)
    values: dict[str, Values] = {}
    for run in runs:
        result = run.result
        drawn = () if result.is_point_estimate else (result.samples, (result.lower, result.upper))
        values[run.name] = score_denoising(result.mean, truth, noisy, *drawn)
    points: dict[str, np.ndarray] = {NOISY: noisy, **cleaned}
    for name, estimate in points.items():
        values[name] = score_denoising(estimate, truth, noisy)
    for name, estimate in ({run.name: run.result.mean for run in runs} | points).items():
        beats = find_all_beats(estimate, rate, settings.beat_leads)
        values[name] |= score_beats(beats, true_beats, settings.beat_leads)
    best = _best({name: values[name] for name in chosen if name != WIENER})
    for name in (run.name for run in runs):
        for metric, reference in (("snr_above_best", best), ("snr_above_wiener", WIENER)):
            if reference in values:
                values[name][metric] = values[name]["output_snr"] - values[str(reference)]["output_snr"]
    for run in runs:
        estimate = cleaned[best] if best else noisy
        _draw(run, values[run.name], folder / condition.folder / run.name.replace("/", "_"), estimate, best or NOISY)
    return _found(condition, runs, values, chosen, best, notes, settings)


def _found(
    condition: Condition,
    runs: Sequence[DenoisingRun],
    values: Mapping[str, Values],
    chosen: Mapping[str, Chosen],
    best: str | None,
    notes: Sequence[str],
    settings: Settings,
) -> _Found:
    ecg_ids = runs[0].result.ecg_ids
    keys = {"noise_type": condition.noise_type, "level": condition.level}
    summaries, records = [], []
    for name, found in values.items():
        summaries.append(summarise(found, settings.n_resamples, settings.seed).assign(method=name))
        records.append(_record_table(found, ecg_ids).assign(method=name))
    for run in runs:
        costs = run.result.cost.mean()
        rows = [(str(name), REPORTED, float(cost), np.nan, np.nan, len(ecg_ids)) for name, cost in costs.items()]
        summaries.append(pd.DataFrame(rows, columns=[*summaries[0].columns[:-1]]).assign(method=run.name))
    settings_rows = [
        {**keys, "baseline": name, "output_snr": baseline.output_snr, "settings": _told(baseline)}
        for name, baseline in chosen.items()
    ]
    leading = ["noise_type", "level", "method"]
    summary = pd.concat(summaries, ignore_index=True).assign(**keys)
    per_record = pd.concat(records, ignore_index=True).assign(**keys)
    return _Found(
        condition=condition,
        methods=tuple(run.name for run in runs),
        best=best,
        summary=summary[[*leading, "metric", "lead", "value", "lower", "upper", "n_records"]],
        per_record=per_record[[*leading, *(name for name in per_record if name not in leading)]],
        baselines=pd.DataFrame(settings_rows, columns=["noise_type", "level", "baseline", "output_snr", "settings"]),
        notes=tuple(notes),
    )


def _choose(condition: Condition, run: DenoisingRun, settings: Settings, notes: list[str]) -> dict[str, Chosen]:
    """Chooses and fits the baselines for a noise and level; says why where there are none."""
    path, noise_path = settings.store or run.result.store, settings.noise_path or run.noise_path
    length, rate = run.noisy.shape[-1], run.result.sampling_rate
    if path is None or not (Path(path) / "manifest.json").is_file():
        notes.append(f"no baselines: the store {path} is not there; name it with evaluate.store=...")
        return {}
    if noise_path is None or not Path(noise_path).is_dir():
        notes.append(f"no baselines: NSTDB's folder {noise_path} is not there; name it with evaluate.noise_path=...")
        return {}
    store = Store.open(path)
    if store.sampling_rate != rate or store.n_samples < length:
        notes.append(f"no baselines: the store {path} has another sampling rate or shorter records than the runs")
        return {}
    rows = store.rows("val")
    rows = store.rows("val", min(settings.n_validation, len(rows)))
    truth = store.read(rows, INDEPENDENT_LEADS)[..., :length]
    keys = [int(key) for key in store.table["ecg_id"].to_numpy()[rows]]
    noisy = mix_recorded_noise(
        truth,
        load_noise(noise_path, "fit", rate),
        condition.noise_type,
        keys,
        settings.seed,
        snr_db=condition.snr_db,
        power=condition.power,
    )
    chosen = choose_baselines(noisy, truth, rate)
    wiener: Cleaner = WienerFilter.fit(store, noisy, truth)
    chosen[WIENER] = Chosen.measure(wiener, noisy, truth, rate)
    notes += [f"{name}: {_told(baseline)}" for name, baseline in chosen.items() if baseline.settings]
    notes.append(f"baselines chosen on {len(rows)} records of val with noise of NSTDB's half fit")
    return chosen


def _told(baseline: Chosen) -> str:
    return ", ".join(f"{name} {value}" for name, value in baseline.settings.items())


def _best(values: Mapping[str, Values]) -> str | None:
    means = {name: float(mean_over_records(found["output_snr"])[-1]) for name, found in values.items()}
    return max(means, key=means.__getitem__) if means else None


def _record_table(found: Values, ecg_ids: np.ndarray) -> pd.DataFrame:
    leads = (*LEADS, REPORTED)
    keys = {"ecg_id": np.repeat(ecg_ids, len(leads)), "lead": np.tile(leads, len(ecg_ids))}
    return pd.DataFrame({**keys, **{name: values.ravel() for name, values in found.items()}})


def _markdown(found: Sequence[_Found], table: pd.DataFrame) -> str:
    """Writes the overview, then a section for each noise and level."""
    methods = list(dict.fromkeys(name for part in found for name in part.methods))
    header = ["noise", "input SNR (dB)", "Wiener (dB)", "best baseline", "its output SNR (dB)"]
    header += [f"{name}{what}" for name in methods for what in (" (dB)", " above the best", " coverage (%)")]
    rows, sections = [], []
    for part in found:
        mine = table[(table["noise_type"] == part.condition.noise_type) & (table["level"] == part.condition.level)]
        told = [_cell(mine, NOISY, "output_snr", 1), _cell(mine, WIENER, "output_snr", 2)]
        told += [part.best or "-", _cell(mine, part.best, "output_snr", 2)]
        for name in methods:
            told += [_cell(mine, name, "output_snr", 2), _cell(mine, name, "snr_above_best", 2)]
            told.append(_cell(mine, name, "coverage", 1))
        rows.append([part.condition.name, *told])
        notes = "\n".join(f"- {note}" for note in part.notes)
        sections.append(f"## {part.condition.name}\n\n{results_table(mine, rows=ROWS)}\n{notes}\n")
    intro = (
        "- over the eight independent leads, whole records; 95 % bootstrap intervals over records in brackets\n"
        "- best baseline: of most output SNR on these records, the Wiener filter aside, which knows both mean spectra\n"
    )
    return "\n".join([markdown_table(header, rows), intro, *sections])


def _cell(table: pd.DataFrame, method: str | None, metric: str, digits: int) -> str:
    chosen = table[(table["method"] == method) & (table["metric"] == metric)]
    if chosen.empty:
        return "-"
    row = chosen.iloc[0]
    return format_interval(Interval(float(row["value"]), float(row["lower"]), float(row["upper"])), digits)


def _curves(table: pd.DataFrame) -> pd.DataFrame:
    """Output SNR of every method but the noisy ECG, with the input SNR of its noise and level."""
    keys = ["noise_type", "level"]
    snr = table[table["metric"] == "output_snr"]
    given = snr[snr["method"] == NOISY][[*keys, "value"]].rename(columns={"value": "input_snr"})
    return snr[snr["method"] != NOISY].merge(given, on=keys)


def _draw(run: DenoisingRun, values: Values, folder: Path, baseline: np.ndarray, baseline_name: str) -> None:
    snr = values["output_snr"][:, -1]
    order = [int(row) for row in np.argsort(-snr) if np.isfinite(snr[row])]
    result = run.result
    for name, place in (("best", 0), ("median", len(order) // 2), ("worst", -1)):
        if not order:
            continue
        row = order[place]
        leads = [
            DenoisedLead(
                lead,
                *(
                    np.asarray(array[row, LEADS.index(lead)], dtype=np.float64)
                    for array in (result.truth, run.noisy, baseline, result.mean, result.lower, result.upper)
                ),
            )
            for lead in PICTURE_LEADS
        ]
        title = f"{run.condition.name}: {name} of {len(order)} (ecg_id {result.ecg_ids[row]}, {snr[row]:.1f} dB)"
        draw_denoising(
            folder / f"{name}.png", leads, result.sampling_rate, method=run.name, baseline=baseline_name, title=title
        )
