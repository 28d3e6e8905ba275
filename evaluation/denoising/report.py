"""The report on denoising: scores of each method and of the baselines per noise and level, as tables and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.ecg.leads import INDEPENDENT_LEADS, INDEPENDENT_ROWS, canonical_leads, lead_rows, to_twelve
from einthoven.report.tables import markdown_table, results_table
from evaluation.denoising.baselines import Chosen, DeepFade, WienerFilter, choose_baselines, mean_output_snr
from evaluation.denoising.figures import draw_denoising, draw_snr_curves
from evaluation.denoising.runs import Condition, DenoisingRun, open_denoising_runs
from evaluation.denoising.scores import METRICS, find_all_beats, score_beats
from evaluation.measures.errors import FILE as MEASURES
from evaluation.measures.errors import report_errors
from evaluation.report import Report, best_median_worst, bullets, folder_name, result_cell
from evaluation.scores import Estimate, best_of, means, record_values, report_tables, score_tables
from preprocessing.cohorts.nstdb import load_noise, mix_recorded_noise

NOISY = "noisy"
WIENER, DEEPFADE = "Wiener", "DeepFADE"
PICTURE_LEADS = ("II", "V2")
N_VALIDATION = 32

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Settings:
    """How to evaluate: see `evaluate_denoising_runs`."""

    store: Path | str | None
    noise_path: Path | str | None
    n_validation: int
    beat_leads: tuple[str, ...]
    n_resamples: int
    seed: int
    n_measured: int
    deepfade: bool


@dataclass(frozen=True)
class _Found:
    """What was found for one noise and level."""

    condition: Condition
    methods: tuple[str, ...]
    chosen: dict[str, Chosen]
    best: str | None
    tables: tuple[pd.DataFrame, pd.DataFrame]
    measures: tuple[dict[str, pd.DataFrame], str]
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
    n_measured: int = 0,
    deepfade: bool = False,
) -> Report:
    """Evaluates run folders of `reconstruction.denoise`, any noises, levels and methods, beside the baselines.

    The baselines get the same noisy ECGs, their independent leads, from which the others follow; their settings are
    chosen for each noise and level on validation records with noise of NSTDB's first half. "Best baseline" is the one
    of most output SNR on the records evaluated, the Wiener filter aside, which has a row of its own.

    Writes `table.csv` (over the reported leads), `table.md`, `per_lead.csv`, `per_record.parquet`, `baselines.csv`
    (their settings, with the output SNR that these were chosen by), `snr.png`, and for each noise, level and method
    `best.png`, `median.png` and `worst.png` by output SNR.

    Args:
        paths: Run folders; those of one noise and level must have met the same ECGs (else a ValueError).
        folder: Where to write.
        store: Store to choose and fit the baselines on; by default the one that the runs' config names.
        noise_path: NSTDB's folder, prepared or as downloaded; by default the one that the runs' config names.
        n_validation: Number of validation records to choose the baselines on.
        beat_leads: Leads to look for beats in; each takes a tenth of a second per ECG and method.
        n_resamples: Number of bootstrap draws over records.
        seed: Seed of the draws and of the validation records' noise.
        n_measured: Records whose rate, intervals, axes, amplitudes and ST levels are compared, in `measures.csv`.
        deepfade: Adds ecgdatakit's DeepFADE to the baselines, which takes seconds a lead.
    """
    beats_in, draws = canonical_leads(beat_leads), (n_resamples, seed)
    settings = Settings(store, noise_path, n_validation, beats_in, *draws, n_measured, deepfade)
    folder = Path(folder)
    found = [_evaluate(condition, runs, folder, settings) for condition, runs in open_denoising_runs(paths).items()]
    tables = report_tables([part.tables for part in found])
    table = tables["table.csv"]
    draw_snr_curves(folder / "snr.png", _curves(table))
    measures = [part.assign(**{"noise": one.condition.name}) for one in found for part in one.measures[0].values()]
    more = {MEASURES: pd.concat(measures, ignore_index=True)} if measures else {}
    return Report({**tables, "baselines.csv": _baseline_table(found)} | more, _markdown(found, table)).write(folder)


def _evaluate(condition: Condition, runs: Sequence[DenoisingRun], folder: Path, settings: Settings) -> _Found:
    """Scores the runs and the baselines of one noise and level, and draws."""
    first = runs[0]
    notes = [f"{len(first.ecg_ids)} records ({', '.join(dict.fromkeys(run.source for run in runs))})"]
    notes += [run.left_out_note for run in runs if run.left_out]
    chosen = _choose(condition, first, settings, notes)
    estimates = {run.name: run.estimate() for run in runs}
    noisy = np.asarray(first.noisy, dtype=np.float64)
    independent = noisy[:, INDEPENDENT_ROWS]
    cleaned = {name: to_twelve(one.cleaner(independent, first.sampling_rate)) for name, one in chosen.items()}
    blank = replace(estimates[first.name], samples=None, band=None)
    points: dict[str, np.ndarray] = {NOISY: noisy, **cleaned}
    estimates |= {name: replace(blank, mean=ecg) for name, ecg in points.items()}
    values = _score(estimates, settings.beat_leads)
    best = best_of({name: values[name] for name in chosen if name != WIENER}, "output_snr", highest=True)
    for run in runs:
        for metric, reference in (("snr_above_best", best), ("snr_above_wiener", WIENER)):
            if reference in values:
                values[run.name][metric] = values[run.name]["output_snr"] - values[str(reference)]["output_snr"]
        where = folder / condition.folder / folder_name(run.name)
        _draw(run, values[run.name], where, cleaned[best] if best else noisy, best or NOISY)
    summed, costs = {name: means(columns) for name, columns in values.items()}, {run.name: run.cost for run in runs}
    given = (first.ecg_ids, INDEPENDENT_LEADS, settings.n_resamples, settings.seed)
    noise_type, level = condition.noise_type, condition.level
    tables = score_tables(summed, values, costs, *given, noise_type=noise_type, level=level)
    compared = {
        name: one for name, one in estimates.items() if name in (NOISY, WIENER, best, *(run.name for run in runs))
    }
    measures = report_errors(compared, INDEPENDENT_LEADS, settings.n_measured, settings.n_resamples, settings.seed)
    return _Found(condition, tuple(run.name for run in runs), chosen, best, tables, measures, tuple(notes))


def _score(estimates: Mapping[str, Estimate], beat_leads: Sequence[str]) -> dict[str, Values]:
    """Scores whole leads and beats, by method."""
    beats = {name: find_all_beats(one.mean, one.sampling_rate, beat_leads) for name, one in estimates.items()}
    first = next(iter(estimates.values()))
    true_beats = find_all_beats(first.truth, first.sampling_rate, beat_leads)
    return {
        name: record_values(estimate, METRICS, INDEPENDENT_LEADS) | score_beats(beats[name], true_beats, beat_leads)
        for name, estimate in estimates.items()
    }


def _choose(condition: Condition, run: DenoisingRun, settings: Settings, notes: list[str]) -> dict[str, Chosen]:
    """Chooses and fits the baselines for a noise and level; says why where there are none."""
    noise_path, rate = settings.noise_path or run.noise_path, run.sampling_rate
    store = run.baseline_store(settings.store, notes)
    if store is None:
        return {}
    if noise_path is None or not Path(noise_path).is_dir():
        notes.append(f"no baselines: NSTDB's folder {noise_path} is not there; name it with evaluate.noise_path=...")
        return {}
    rows = store.rows("val")
    rows = store.rows("val", min(settings.n_validation, len(rows)))
    truth = store.read(rows, INDEPENDENT_LEADS)[..., : run.noisy.shape[-1]]
    keys = [int(key) for key in store.table["ecg_id"].to_numpy()[rows]]
    noise, level = load_noise(noise_path, "fit", rate), {"snr_db": condition.snr_db, "power": condition.power}
    noisy = mix_recorded_noise(truth, noise, condition.noise_type, keys, settings.seed, **level)
    chosen = choose_baselines(noisy, truth, rate)
    wiener = WienerFilter.fit(store, noisy, truth)
    chosen[WIENER] = Chosen(wiener, mean_output_snr(wiener, noisy, truth, rate))
    if settings.deepfade:
        chosen[DEEPFADE] = Chosen(DeepFade(), np.nan)  # nothing of it is chosen
    notes += [f"{name}: {_settings_text(baseline)}" for name, baseline in chosen.items() if baseline.settings]
    notes.append(f"baselines chosen on {len(rows)} records of val with noise of NSTDB's half fit")
    return chosen


def _settings_text(baseline: Chosen) -> str:
    return ", ".join(f"{name} {value}" for name, value in baseline.settings.items())


def _baseline_table(found: Sequence[_Found]) -> pd.DataFrame:
    rows = [
        (part.condition.noise_type, part.condition.level, name, baseline.output_snr, _settings_text(baseline))
        for part in found
        for name, baseline in part.chosen.items()
    ]
    return pd.DataFrame(rows, columns=["noise_type", "level", "baseline", "output_snr", "settings"])


def _markdown(found: Sequence[_Found], table: pd.DataFrame) -> str:
    """Writes the overview, then a section for each noise and level."""
    methods = list(dict.fromkeys(name for part in found for name in part.methods))
    header = ["noise", "input SNR (dB)", "Wiener (dB)", "best baseline", "its output SNR (dB)"]
    header += [f"{name}{what}" for name in methods for what in (" (dB)", " above the best", " coverage (%)")]
    rows, sections = [], []
    for part in found:
        mine = table[(table["noise_type"] == part.condition.noise_type) & (table["level"] == part.condition.level)]
        snr = mine[mine["metric"] == "output_snr"]
        cells = [result_cell(snr, 1, method=NOISY), result_cell(snr, 2, method=WIENER)]
        cells += [part.best or "-", result_cell(snr, 2, method=part.best)]
        for name in methods:
            cells += [result_cell(snr, 2, method=name), result_cell(mine, 2, method=name, metric="snr_above_best")]
            cells.append(result_cell(mine, 1, method=name, metric="coverage"))
        rows.append([part.condition.name, *cells])
        sections.append(f"## {part.condition.name}\n\n{results_table(mine, METRICS)}\n{bullets(part.notes)}")
        if part.measures[1]:
            sections.append(part.measures[1].replace("## Measures", f"### Measures: {part.condition.name}"))
    over = "over the eight independent leads, whole records; 95 % bootstrap intervals over records in brackets"
    best = "best baseline: of most output SNR on these records, the Wiener filter aside, which knows both mean spectra"
    return "\n".join([markdown_table(header, rows), bullets([over, best]), *sections])


def _curves(table: pd.DataFrame) -> pd.DataFrame:
    """Output SNR of every method but the noisy ECG, with the input SNR of its noise and level."""
    keys = ["noise_type", "level"]
    snr = table[table["metric"] == "output_snr"]
    given = snr[snr["method"] == NOISY][[*keys, "value"]].rename(columns={"value": "input_snr"})
    return snr[snr["method"] != NOISY].merge(given, on=keys)


def _draw(run: DenoisingRun, values: Values, folder: Path, baseline: np.ndarray, baseline_name: str) -> None:
    snr = values["output_snr"][:, -1]
    curves = {name: getattr(run, name) for name in ("noisy", "truth", "mean", "lower", "upper")} | {
        "baseline": baseline
    }
    for name, row, count in best_median_worst(snr, highest=True):
        shown = {key: np.asarray(ecgs[row][lead_rows(PICTURE_LEADS)], np.float64) for key, ecgs in curves.items()}
        title = f"{run.condition.name}: {name} of {count} (ecg_id {run.ecg_ids[row]}, {snr[row]:.1f} dB)"
        names = {"method": run.name, "baseline": baseline_name, "title": title}
        draw_denoising(folder / f"{name}.png", PICTURE_LEADS, shown, run.sampling_rate, **names)
