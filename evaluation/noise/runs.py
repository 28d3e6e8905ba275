"""The scores in the run folders of `noise_quant.score_noise`: several methods on the same leads, joined by key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from einthoven.checked_files import intact, read_table
from einthoven.extras import extra
from einthoven.run.run_folder import RunFolder
from noise_quant.scoring.lead_scores import NOISES
from noise_quant.scoring.plain_quality import quality_features
from noise_quant.scoring.rules.lead_noise import LABELS
from noise_quant.scoring.verdict import group_scores

with extra("train"):
    from sklearn.linear_model import LogisticRegression

PTBXL, CINC2011, MIXTURES = "ptbxl", "cinc2011", "mixtures"
NOISE_TYPES = ("static", "baseline", "burst")
SCORE_SIGNS = {"psnr": 1.0, "ssim": 1.0, "mse": -1.0, "mae": -1.0}
"""Metrics by which models score, and their sign if higher is to mean cleaner."""

PLAIN, NEUROKIT, FITTED = "plain baseline", "neurokit2 index", "plain baseline, fitted"

RECORD = ", record verdict"
"""Ends the name of a model's probability that a record is acceptable."""
GROUP = ", with its group"
"""Ends the name of a model's scores that are averaged with the median of limb or chest leads."""
NOISY, KIND = ", noisy or not", ", kind of noise"
"""End the names of a model's probabilities that a lead is noisy, and that it has the noise that it is tested on."""
_WHOLE = ("whole_records", "include_all_folds", "split")
"""Settings of a run on PTB-XL that has all leads of its records."""

_SAME = 1e-3
"""Scores of one method for one lead by two runs may differ by so much, from rounding."""


@dataclass(frozen=True)
class _Columns:
    """Columns of the scores of one source: what only it has, what names a lead, and what is known about it."""

    own: str
    keys: list[str]
    labels: list[str]


SOURCES = {
    MIXTURES: _Columns("snr_db", ["ecg_id", "lead", "noise_type", "snr_db"], ["split"]),
    CINC2011: _Columns("acceptable", ["ecg_id", "lead"], ["acceptable", "half"]),
    PTBXL: _Columns("static", ["ecg_id", "lead"], ["clean", *NOISE_TYPES, "split"]),
}
"""What was scored, by name."""


@dataclass(frozen=True)
class NoiseRun:
    """One run folder.

    Attributes:
        name: Name of its method.
        source: What was scored, among `SOURCES`.
        table: A row per lead: the source's keys and labels, `trained`, `unusable`, `score`, and for the baseline the
            columns of `lead_quality`. Of several segments the worst counts.
        path: The folder.
    """

    name: str
    source: str
    table: pd.DataFrame
    path: Path

    @property
    def is_baseline(self) -> bool:
        """Whether it is the plain baseline."""
        return "plain" in self.table

    @classmethod
    def open(cls, path: Path | str, metric: str = "psnr", name: str | None = None) -> "NoiseRun":
        """Opens a run folder of `noise_quant.score_noise`; models score by `metric`, one of `SCORE_SIGNS`.

        The name is by default from the run's config. A ValueError if the folder is another or lacks a column.
        """
        if metric not in SCORE_SIGNS:
            raise ValueError(f"unknown metric {metric!r}: choose one of {', '.join(SCORE_SIGNS)}")
        run = RunFolder.open(path)
        file = run.path / "scores.parquet"
        if not file.is_file():
            raise ValueError(f"{path} is no finished run of noise_quant.score_noise: start that run again, it goes on")
        table = read_table(file, "score again with noise_quant.score_noise")
        is_baseline = "plain" in table
        source = _source(table, path)
        needed = [*SOURCES[source].keys, *SOURCES[source].labels, "trained", "plain" if is_baseline else metric]
        missing = [column for column in needed if column not in table]
        if missing:
            raise ValueError(f"{file} lacks {', '.join(missing)}: score again with noise_quant.score_noise")
        table["score"] = table["plain"] if is_baseline else SCORE_SIGNS[metric] * table[metric]
        worst = _worst_segments(table, SOURCES[source].keys)
        if source == PTBXL and not is_baseline and any(run.config.get(name) for name in _WHOLE):
            worst = _with_groups(worst)
        return cls(name or (PLAIN if is_baseline else method_name(run.config, run.path)), source, worst, run.path)


@dataclass(frozen=True)
class ScoredLeads:
    """Scores of the same leads by several methods.

    Attributes:
        leads: A row per lead: keys and labels.
        scores: A column per method, rows as in `leads`: higher is cleaner, -inf where the lead is unusable.
        left_out: A column per method, bool: the method was trained or fitted on the lead.
        notes: What was left out of the comparison.
        records: Methods that judge a record as a whole: all its usable leads have its score.
        kinds: Of methods that judge each of `NOISE_TYPES` on its own, a column for each; `scores` has their lowest.
    """

    leads: pd.DataFrame
    scores: pd.DataFrame
    left_out: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    records: tuple[str, ...] = ()
    kinds: dict[str, pd.DataFrame] = field(default_factory=dict)


def method_name(config: Mapping[str, Any], path: Path) -> str:
    """Names the model of a run: its checkpoint (a file or a run's folder) and its way of denoising."""
    checkpoint = config.get("checkpoint")
    steps = (config.get("noise_scheduler_type"), config.get("timestep"))
    parts = [Path(str(checkpoint)).stem if checkpoint else "small", *(str(part) for part in steps if part is not None)]
    return " ".join(parts) if len(parts) > 1 else path.name


def open_files(paths: Sequence[Path | str]) -> dict[str, pd.DataFrame]:
    """Reads scores that other methods gave to leads, by the names of their files without ending.

    Args:
        paths: CSV files with `ecg_id`, `lead`, `score`, higher is cleaner, and for mixtures `noise_type` and `snr_db`;
            a ValueError where one is damaged or lacks a column.
    """
    found = {}
    for path in map(Path, paths):
        if not path.is_file():
            raise ValueError(f"there is no file {path}: correct evaluate.files")
        with intact(path, "write it again as CSV with the columns ecg_id, lead, score"):
            table = pd.read_csv(path)
            missing = [column for column in ("ecg_id", "lead", "score") if column not in table]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}")
            found[path.stem] = table.astype({"score": float})
    return found


def open_runs(paths: Sequence[Path | str], metric: str = "psnr", names: Sequence[str] | None = None) -> list[NoiseRun]:
    """Opens run folders; different scores under one name get the name of their folder appended.

    Models score by `metric`; the names, one per folder, are by default from the runs' configs.
    """
    if not paths:
        raise ValueError("no run to evaluate: give 'runs=[...]', run folders of noise_quant.score_noise")
    if names is not None and len(names) != len(paths):
        raise ValueError(f"{len(names)} evaluate.names for {len(paths)} runs: give one name per run")
    chosen: Sequence[str | None] = names if names is not None else [None] * len(paths)
    runs: list[NoiseRun] = []
    for path, name in zip(paths, chosen, strict=True):
        run = NoiseRun.open(path, metric, name)
        earlier = [other for other in runs if (other.name, other.source) == (run.name, run.source)]
        if any(_disagree(run, other) for other in earlier):
            run = replace(run, name=f"{run.name} {run.path.resolve().name}")
        runs.append(run)
    return runs


def join_source(
    runs: Sequence[NoiseRun], source: str, files: Mapping[str, pd.DataFrame] | None = None
) -> ScoredLeads | None:
    """Joins the runs of a source, of `SOURCES`, on the leads that all methods have; None if no run has the source.

    Runs of one method are put together first. Where the baseline's runs hold fold 9 of PTB-XL, a logistic regression of
    its indices on noisy against clean leads there is one more method; fold 9 is left out of its own comparisons.
    `files` are scores of other methods, as `open_files` gives them: those with leads of the source join, and what the
    runs call unusable counts so for them too.
    """
    tables: dict[str, pd.DataFrame] = {}
    for run in runs:
        if run.source == source:
            parts = [tables[run.name], run.table] if run.name in tables else [run.table]
            tables[run.name] = pd.concat(parts).drop_duplicates(SOURCES[source].keys)
    if not tables:
        return None
    keyed = {name: table.set_index(SOURCES[source].keys).sort_index() for name, table in tables.items()}
    common = next(iter(keyed.values())).index
    others = _of_source(files or {}, source, common)
    for table in (*keyed.values(), *others.values()):
        common = common.intersection(table.index)
    if not len(common):
        raise ValueError(f"the runs on {source} have no lead in common: score the same leads with each method")
    extra = {name: len(table) - len(common) for name, table in keyed.items() if len(table) > len(common)}
    counts = ", ".join(f"{count} of {name}" for name, count in extra.items())
    notes = [f"{source}: leads that not all methods have, left out: {counts}"] if extra else []
    keyed = {name: table.loc[common] for name, table in keyed.items()}
    scores, left_out = _method_columns(keyed, _regression(runs))
    unusable = np.any([table["unusable"].to_numpy(dtype=bool) for table in keyed.values()], axis=0)
    scores |= {name: _lowest_if(table["score"].loc[common], unusable) for name, table in others.items()}
    left_out |= {name: next(iter(left_out.values())) for name in others}
    records = _record_columns(keyed) if source == CINC2011 else {}
    scores |= records
    left_out |= {name: left_out[name.removesuffix(RECORD)] for name in records}
    leads = next(iter(keyed.values()))[SOURCES[source].labels].reset_index()
    kinds = _kind_columns(keyed) if source == PTBXL else {}
    for name, table in kinds.items():
        method = name.removesuffix(KIND)
        scores |= {method + NOISY: _lowest_if(-keyed[method][f"{NOISES[0]}_probability"], keyed[method]["unusable"])}
        scores[name] = table.min(axis=1).to_numpy()
        fitted = left_out[method] | (leads["split"] == "train").to_numpy()
        left_out |= {method + NOISY: fitted, name: fitted}
    return ScoredLeads(leads, pd.DataFrame(scores), pd.DataFrame(left_out), notes, tuple(records), kinds)


def _of_source(files: Mapping[str, pd.DataFrame], source: str, leads: pd.Index) -> dict[str, pd.DataFrame]:
    """Returns the tables that hold some of the source's leads, keyed as these are."""
    keys = SOURCES[source].keys
    keyed = {name: table.set_index(keys) for name, table in files.items() if set(keys) <= set(table.columns)}
    doubled = [name for name, table in keyed.items() if table.index.has_duplicates]
    if doubled:
        raise ValueError(f"scores of {', '.join(doubled)} have a lead twice: give each once, the worst of its parts")
    return {name: table for name, table in keyed.items() if table.index.isin(leads).any()}


def _method_columns(
    tables: Mapping[str, pd.DataFrame], regression: LogisticRegression | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns the scores of each method, and what it was trained on; what one model saw no model is tested on."""
    scores: dict[str, np.ndarray] = {}
    left_out: dict[str, np.ndarray] = {}
    trained = np.any([table["trained"].to_numpy(dtype=bool) for table in tables.values()], axis=0)
    for name, table in tables.items():
        if "plain" not in table:
            scores[name], left_out[name] = _lowest_if(table["score"], table["unusable"]), trained
            if "group_score" in table:
                scores[name + GROUP] = _lowest_if(table["group_score"], table["unusable"])
                left_out[name + GROUP] = trained
            continue
        unusable = table["unusable"].to_numpy(dtype=bool) | ~np.isfinite(table["plain"].to_numpy(dtype=float))
        scores[name], left_out[name] = _lowest_if(table["plain"], unusable), trained
        scores[NEUROKIT], left_out[NEUROKIT] = _lowest_if(table["neurokit"], unusable), trained
        if regression is not None:
            features = np.nan_to_num(quality_features(table))
            scores[FITTED] = _lowest_if(regression.decision_function(features), unusable)
            is_fitted = table["split"].to_numpy() == "val" if {"clean", "split"} <= set(table.columns) else False
            left_out[FITTED] = trained | is_fitted
    return scores, left_out


def _with_groups(table: pd.DataFrame) -> pd.DataFrame:
    """Adds `group_score` to the leads of whole records."""
    usable = table["score"].where(~table["unusable"].astype(bool))
    wide = table.assign(score=usable).pivot(index="lead", columns="ecg_id", values="score")
    groups = group_scores(wide.to_numpy(dtype=np.float64), wide.index.tolist())
    places = wide.index.get_indexer(pd.Index(table["lead"])), wide.columns.get_indexer(pd.Index(table["ecg_id"]))
    return table.assign(group_score=groups[places])


def _record_columns(tables: Mapping[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Returns the probabilities that records are acceptable, of the runs that have them, lead by lead."""
    name = "acceptable_probability"
    known = {method: table for method, table in tables.items() if name in table and table[name].notna().any()}
    return {method + RECORD: _lowest_if(table[name], table["unusable"]) for method, table in known.items()}


def _kind_columns(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Returns minus the probabilities of each of `NOISE_TYPES`, of the runs that have them, lead by lead."""
    columns = {label: f"{kind}_probability" for kind, label in LABELS.items()}
    known = {name: table for name, table in tables.items() if set(columns.values()) <= set(table)}
    return {
        name + KIND: pd.DataFrame(
            {label: _lowest_if(-table[column], table["unusable"]) for label, column in columns.items()}
        )
        for name, table in known.items()
        if table[list(columns.values())].notna().any(axis=None)
    }


def _regression(runs: Sequence[NoiseRun]) -> LogisticRegression | None:
    """Fits clean against noisy leads of fold 9 by the baseline's indices; None without enough of both."""
    tables = [run.table for run in runs if run.is_baseline and run.source == PTBXL]
    if not tables:
        return None
    table = pd.concat(tables).drop_duplicates(SOURCES[PTBXL].keys)
    noisy = table[list(NOISE_TYPES)].any(axis=1)
    chosen = (table["split"] == "val") & (table["clean"] | noisy) & np.isfinite(table["plain"])
    is_clean = table.loc[chosen, "clean"].to_numpy(dtype=bool)
    if min(is_clean.sum(), (~is_clean).sum()) < len(NOISE_TYPES) * 5:
        return None
    return LogisticRegression(class_weight="balanced").fit(quality_features(table[chosen]), is_clean)


def _lowest_if(scores: Any, unusable: Any) -> np.ndarray:  # noqa: ANN401
    values = np.asarray(scores, dtype=np.float64)
    values = np.minimum(values, np.max(values[np.isfinite(values)], initial=-np.inf))  # the PSNR of equal images is inf
    return np.where(np.asarray(unusable, dtype=bool) | np.isnan(values), -np.inf, values)


def _source(table: pd.DataFrame, path: Path | str) -> str:
    """Tells what was scored by the columns that only it has."""
    for source, columns in SOURCES.items():
        if columns.own in table:
            return source
    raise ValueError(f"{path} scored leads of which nothing is known: evaluate runs on {', '.join(SOURCES)}")


def _worst_segments(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Returns the row of each lead's worst segment, an unusable one first."""
    if "unusable" not in table:
        table = table.assign(unusable=False)
    order = table["score"].where(~table["unusable"].astype(bool), -np.inf).fillna(-np.inf)
    return table.assign(order=order).sort_values("order", kind="stable").drop_duplicates(keys).drop(columns="order")


def _disagree(run: NoiseRun, other: NoiseRun) -> bool:
    if run.is_baseline != other.is_baseline:
        return True
    both = run.table.merge(other.table, on=SOURCES[run.source].keys, suffixes=("", "_other"))
    return not np.allclose(both["score"], both["score_other"], atol=_SAME, equal_nan=True)
