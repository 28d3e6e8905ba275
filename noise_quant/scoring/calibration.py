"""Thresholds of the verdict, and the rule for whole records, from scores on validation data.

A lead is "clean" from the tenth percentile of the PSNR of clean leads on: nine of ten clean leads are called so. It is
"heavily noisy" below the first percentile, so that this is said of less than one clean lead in a hundred, or below the
best cut between light and heavy mixtures with recorded noise where that is lower. In between it is "partly noisy".
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from einthoven.checked_files import read_table
from einthoven.report.tables import write_csv
from einthoven.run.files import write_json
from einthoven.run.run_folder import RunFolder
from noise_quant.model.checkpoint import load_model, save_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.rules import acceptance, lead_noise
from noise_quant.scoring.score_table import SCORES
from noise_quant.scoring.verdict import Thresholds, verdicts

SPLIT = "val"
CLEAN_PERCENTILE = 10.0
HEAVY_PERCENTILE = 1.0
LIGHT_DB, HEAVY_DB = 12.0, 0.0
"""Mixtures from LIGHT_DB on are light, down from HEAVY_DB heavy; those between are left out."""
MIXTURE_NOISES = ("em", "ma")
"""Noise that an image shows whole: most of `bw` lies below its lowest frequency."""
MIN_LEADS = 100
"""Fewest clean leads that a first percentile is taken of."""

THRESHOLDS = "thresholds.json"
SHARES = "verdict_shares.csv"
ACCEPTANCE = "acceptance.json"
LEAD_NOISE = "lead_noise.json"
SAME_SETTINGS = (
    *("method", "checkpoint", "timestep", "step_interval", "noise_scheduler_type", "discretization", "n_partitions"),
)


@dataclass(frozen=True)
class Calibration:
    """Thresholds with what they were made of, all in dB of PSNR.

    Attributes:
        process: Name of the reverse process, such as "ddim-10-30".
        clean: From here on a lead is clean.
        heavy: Below here it is heavily noisy.
        heavy_percentile: First percentile of clean leads.
        best_cut: Best cut between light and heavy mixtures, None without mixtures.
        youden: Share of heavy mixtures below that cut minus that of light ones, None without mixtures.
        n_leads: Clean leads.
        n_records: Their records.
        n_mixtures: Mixed leads, light and heavy.
    """

    process: str
    clean: float
    heavy: float
    heavy_percentile: float
    best_cut: float | None
    youden: float | None
    n_leads: int
    n_records: int
    n_mixtures: int

    @property
    def thresholds(self) -> Thresholds:
        """The two thresholds alone."""
        return Thresholds(clean=self.clean, heavy=self.heavy)

    def describe(self) -> str:
        """Says so in one line."""
        return (
            f"{self.process}: clean from {self.clean:.2f} dB, heavily noisy below {self.heavy:.2f} dB "
            f"({self.n_leads} clean leads of {self.n_records} records, {self.n_mixtures} mixed ones)"
        )


def calibrate_runs(runs: Sequence[str | Path], folder: Path, write_to: str | Path | None = None) -> Calibration:
    """Takes thresholds from runs of `score_noise`, writes `thresholds.json` and `verdict_shares.csv`.

    Args:
        runs: Run folders of split val: of source ptbxl, and of source mixtures if there are any; one model and process.
        folder: Where to write.
        write_to: A `.safetensors` file to write the model to, with these thresholds among its facts; None: none.

    Raises:
        ValueError: If runs are missing, of different settings or of another split, or hold too few clean leads.
    """
    _check_target(write_to)
    opened = [RunFolder.open(run) for run in runs]
    settings = _check_settings(opened)
    clean, mixtures = _scores(opened, "ptbxl"), _scores(opened, "mixtures")[["ecg_id", "noise_type", "snr_db", "psnr"]]
    if "clean" not in clean:
        raise ValueError(f"no run of clean leads: add a run of score_noise with source=ptbxl split={SPLIT}")
    clean = clean.loc[clean["clean"] & (clean["split"] == SPLIT), ["ecg_id", "psnr"]]
    process = ReverseProcess(*(settings[key] for key in ("timestep", "step_interval", "noise_scheduler_type")))
    calibration = calibrate(clean, mixtures, process.key)
    content = {**asdict(calibration), "checkpoint": settings["checkpoint"], "runs": [run.path.name for run in opened]}
    write_json(folder / THRESHOLDS, content)
    write_csv(verdict_shares(clean, mixtures, calibration.thresholds), folder / SHARES)
    if write_to is not None:
        known = {"clean": round(calibration.clean, 3), "heavy": round(calibration.heavy, 3)}
        _write_facts(settings["checkpoint"], Path(write_to), "thresholds", {calibration.process: known})
    return calibration


def calibrate_acceptance(
    run: str | Path, folder: Path, write_to: str | Path | None = None, checkpoint: str | Path | None = None
) -> acceptance.AcceptanceFit:
    """Fits the rule for whole records on a run of `score_noise source=cinc2011`, writes `acceptance.json`.

    Args:
        run: The run folder; of its records the half "fit" is used.
        folder: Where to write.
        write_to: A `.safetensors` file to write the model to, with the rule among its facts; None: none.
        checkpoint: Weights to write instead of those of the run, which are the same but for their facts.

    Raises:
        ValueError: If the run is another one, or holds too few records.
    """
    _check_target(write_to)
    table, settings, process = _open_labelled(run, {"source": "cinc2011"}, (*acceptance.COLUMNS, "half"))
    fit = acceptance.fit_acceptance(table[table["half"] == "fit"])
    write_json(folder / ACCEPTANCE, {"process": process, **fit.facts, "run": Path(run).name})
    if write_to is not None:
        _write_facts(checkpoint or settings["checkpoint"], Path(write_to), "acceptance", {process: fit.facts})
    return fit


def calibrate_lead_noise(
    run: str | Path, folder: Path, write_to: str | Path | None = None, checkpoint: str | Path | None = None
) -> lead_noise.LeadNoiseFit:
    """Fits how likely a lead is noisy on a run of `score_noise source=ptbxl split=train`, writes `lead_noise.json`.

    Arguments and errors as for `calibrate_acceptance`.
    """
    _check_target(write_to)
    table, settings, process = _open_labelled(run, {"source": "ptbxl", "split": "train"}, lead_noise.COLUMNS)
    fit = lead_noise.fit_lead_noise(table)
    content = {"process": process, **fit.facts, "n_leads": fit.n_leads, "n_noisy": fit.n_noisy, "auroc": fit.auroc}
    write_json(folder / LEAD_NOISE, {**content, "run": Path(run).name})
    if write_to is not None:
        _write_facts(checkpoint or settings["checkpoint"], Path(write_to), "lead_noise", {process: fit.facts})
    return fit


def _open_labelled(
    run: str | Path, wanted: Mapping[str, str], columns: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Returns scores, settings and key of the process of a run with `wanted` settings and these columns."""
    opened = RunFolder.open(run)
    settings = opened.config
    if any(settings.get(key) != value for key, value in wanted.items()) or not (opened.path / SCORES).is_file():
        asked = " ".join(f"{key}={value}" for key, value in wanted.items())
        raise ValueError(f"{run} is no finished run of noise_quant.score_noise {asked}")
    _check_whole_windows(settings)
    table = read_table(opened.path / SCORES)
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"{opened.path / SCORES} lacks {', '.join(missing)}: score again with noise_quant.score_noise")
    process = ReverseProcess(*(settings[key] for key in ("timestep", "step_interval", "noise_scheduler_type")))
    return table, settings, process.key


def calibrate(clean: pd.DataFrame, mixtures: pd.DataFrame, process: str) -> Calibration:
    """Takes thresholds from scores.

    Args:
        clean: Clean, usable leads: `ecg_id`, `psnr`; ValueError if they are fewer than `MIN_LEADS`.
        mixtures: Usable mixed leads: `psnr`, `noise_type`, `snr_db`; may be empty, but not of one kind only.
        process: Name of the reverse process.
    """
    if len(clean) < MIN_LEADS:
        raise ValueError(f"{len(clean)} clean leads are too few for a percentile: score at least {MIN_LEADS}")
    low, high = np.percentile(clean["psnr"], [HEAVY_PERCENTILE, CLEAN_PERCENTILE])
    of_type = mixtures[mixtures["noise_type"].isin(MIXTURE_NOISES)]
    light, heavy = of_type[of_type["snr_db"] >= LIGHT_DB], of_type[of_type["snr_db"] <= HEAVY_DB]
    cut, youden = best_cut(heavy["psnr"], light["psnr"]) if len(of_type) else (None, None)
    return Calibration(
        process=process,
        clean=float(high),
        heavy=float(low if cut is None else min(low, cut)),
        heavy_percentile=float(low),
        best_cut=cut,
        youden=youden,
        n_leads=len(clean),
        n_records=int(clean["ecg_id"].nunique()),
        n_mixtures=len(light) + len(heavy),
    )


def best_cut(low: ArrayLike, high: ArrayLike) -> tuple[float, float]:
    """Finds the cut that best parts two samples: largest P(low < cut) - P(high < cut), Youden's index.

    Args:
        low: Values that should lie below, shape (n,); ValueError if there are none.
        high: Values that should lie above, shape (m,); likewise.

    Returns:
        The cut, halfway between two values, and the index.
    """
    below, above = np.sort(np.asarray(low, dtype=np.float64)), np.sort(np.asarray(high, dtype=np.float64))
    if not len(below) or not len(above):
        raise ValueError(
            f"a cut needs mixtures of at most {HEAVY_DB:g} dB and of at least {LIGHT_DB:g} dB of "
            f"{' or '.join(MIXTURE_NOISES)}: score more of sources.mixtures.snr_db"
        )
    values = np.unique(np.concatenate([below, above]))
    cuts = np.concatenate([(values[1:] + values[:-1]) / 2, [values[-1]]])
    index = np.searchsorted(below, cuts) / len(below) - np.searchsorted(above, cuts) / len(above)
    best = int(np.flatnonzero(index >= index.max() - 1e-12)[0])  # the lowest of equally good ones
    return float(cuts[best]), float(index[best])


def verdict_shares(clean: pd.DataFrame, mixtures: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Counts the verdicts of clean leads and of mixtures, both as for `calibrate`.

    Returns:
        A row per type of noise ("none" for clean leads) and ratio: `noise_type`, `snr_db`, `n_leads`, and the share of
        each verdict.
    """
    rows = pd.concat([clean.assign(noise_type="none", snr_db=np.inf), mixtures], ignore_index=True)
    psnr = rows["psnr"].to_numpy(dtype=np.float64)
    rows["verdict"] = verdicts(psnr, np.zeros(len(rows), dtype=bool), thresholds)
    groups = rows.groupby(["noise_type", "snr_db"])["verdict"]
    shares = groups.value_counts(normalize=True).unstack(fill_value=0)
    shares.insert(0, "n_leads", groups.size())
    return shares.reset_index()


def _check_settings(runs: list[RunFolder]) -> dict[str, Any]:
    """Returns the settings that all runs share."""
    if not runs:
        raise ValueError("no runs: give 'runs=[RUN,RUN_OF_MIXTURES]', of score_noise split=val")
    for run in runs:
        absent = [key for key in (*SAME_SETTINGS, "source", "split") if key not in run.config]
        if absent or not (run.path / SCORES).is_file():
            raise ValueError(f"{run.path} is no finished run of noise_quant.score_noise")
        if run.config["split"] != SPLIT or run.config["source"] not in ("ptbxl", "mixtures"):
            raise ValueError(
                f"{run.path} is not of split val of PTB-XL: score with split={SPLIT}, source=ptbxl|mixtures"
            )
        differing = [key for key in SAME_SETTINGS if run.config[key] != runs[0].config[key]]
        if differing:
            raise ValueError(f"{run.path} and {runs[0].path} differ in {', '.join(differing)}: calibrate one model")
    settings = {key: runs[0].config[key] for key in SAME_SETTINGS}
    _check_whole_windows(settings)
    return settings


def _check_whole_windows(settings: Mapping[str, Any]) -> None:
    if (settings["method"], settings["n_partitions"], settings["discretization"]) != ("diffusion", 1, None):
        raise ValueError(
            "thresholds are for a diffusion model's whole windows: score with method=diffusion, n_partitions=1, "
            "discretization=null"
        )


def _check_target(write_to: str | Path | None) -> None:
    if write_to is not None and Path(write_to).suffix != ".safetensors":
        raise ValueError(f"write_to must be a .safetensors file, not {write_to}")


def _scores(runs: list[RunFolder], source: str) -> pd.DataFrame:
    """Returns the usable rows of the runs of a source, each once."""
    tables = [read_table(run.path / SCORES) for run in runs if run.config["source"] == source]
    if not tables:
        return pd.DataFrame({"ecg_id": [], "noise_type": [], "snr_db": [], "psnr": []})
    table = pd.concat(tables, ignore_index=True)
    keys = [key for key in ("ecg_id", "noise_type", "snr_db", "lead", "segment") if key in table]
    if table.duplicated(keys).any():
        raise ValueError(f"two of the runs of source {source} hold the same leads: give each once")
    return table[~table["unusable"]]


def _write_facts(checkpoint: str | Path | None, path: Path, name: str, known: Mapping[str, Any]) -> None:
    """Writes a model with what is known of processes among its facts, in half precision where that loses nothing."""
    model = load_model(checkpoint)
    facts = {**model.facts, name: {**model.facts.get(name, {}), **known}}
    half = all(bool((weight.half().float() == weight).all()) for weight in model.state_dict().values())
    save_model(path, model, facts, half)
