"""The ECGs in run folders of `diffusion_prior.generate`, beside the real ECGs that they are twins of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from evaluation.report import common_keys, distinct_names
from preprocessing.store.store import Store

TWINS = "python -m diffusion_prior.generate dataset.training_class={split}"

OTHER = {"test": "val", "val": "test"}
"""The splits that can be evaluated, and the other one that nothing was trained on."""


@dataclass(frozen=True)
class EcgSet:
    """ECGs, keyed.

    Attributes:
        name: What they are called in tables.
        ecg_ids: Their keys, shape (N,).
        ecgs: ECGs in mV, shape (N, 12, L), float32.
        statements: The statements of each.
        sampling_rate: Sampling rate in Hz.
    """

    name: str
    ecg_ids: NDArray[np.int64]
    ecgs: NDArray[np.float32]
    statements: tuple[frozenset[str], ...]
    sampling_rate: float

    def __len__(self) -> int:
        """Returns the number of ECGs."""
        return len(self.ecg_ids)


@dataclass(frozen=True)
class Twins:
    """What an evaluation of generated ECGs compares: real[k] and generated[...][k] have one key and one label.

    Attributes:
        real: Real ECGs of the split.
        generated: Their twins, one set a run.
        training: All real training ECGs, cut to the same length.
        held_out: The real ECGs of the other split that nothing was trained on.
    """

    real: EcgSet
    generated: tuple[EcgSet, ...]
    training: EcgSet
    held_out: EcgSet


def open_twins(paths: Sequence[Path | str], split: str, store: Path | str | None = None) -> Twins:
    """Opens generated ECGs with their real ones, on the records that all runs have.

    Args:
        paths: Run folders of `diffusion_prior.generate` on a split; runs of one sampler get their folder's name.
        split: Which records to compare: test, or val while choosing settings.
        store: Store of the real ECGs; by default the one that the first run's config names.
    """
    command = TWINS.format(split=split)
    if not paths:
        raise ValueError(f"no run to evaluate: give 'runs=[...]', run folders of {command}")
    if split not in OTHER:
        raise ValueError(f"evaluate.split is test or val, not {split}: records of train are what might be copied")
    runs = [(Path(path).resolve().name, RunFolder.open(path)) for path in paths]
    for place, run in runs:
        settings = run.config.get("generate")
        if not isinstance(settings, dict) or settings.get("labels") is not None:
            raise ValueError(f"{place} holds no twins of real ECGs: make them with {command}")
    names = distinct_names([_name(run.config["generate"]) for _, run in runs], paths, "{name} ({folder})")
    stores = [Store.open(run.path / "store") for _, run in runs]
    kept = [found.rows(split) for found in stores]
    keys = [found.table["ecg_id"].to_numpy()[rows] for found, rows in zip(stores, kept, strict=True)]
    common = list(common_keys(keys, f"of split {split}: make twins of it with {command}"))
    if len({(found.sampling_rate, found.n_samples) for found in stores}) > 1:
        raise ValueError("the runs have different sampling rates or lengths: evaluate them one by one")
    real = Store.open(store or runs[0][1].config["dataset"]["database_path"])
    length = stores[0].n_samples
    if real.sampling_rate != stores[0].sampling_rate or real.n_samples < length:
        raise ValueError(f"{real.path} has another sampling rate or shorter records than the runs: see evaluate.store")
    generated = [_read(found, found.rows_of(common), name, length) for found, name in zip(stores, names, strict=True)]
    return Twins(
        _read(real, real.rows_of(common), f"real {split}", length),
        tuple(generated),
        _read(real, real.rows("train"), "real train", length),
        _read(real, real.rows(OTHER[split]), f"real {OTHER[split]}", length),
    )


def _read(store: Store, rows: NDArray[np.int64], name: str, length: int) -> EcgSet:
    table = store.table.iloc[rows]
    return EcgSet(
        name,
        table["ecg_id"].to_numpy(),
        store.read(rows, LEADS)[..., :length],
        tuple(frozenset(codes) for codes in table["statements"]),
        store.sampling_rate,
    )


def _name(settings: dict[str, Any]) -> str:
    """Names the generated ECGs by how they were drawn."""
    scale = float(settings.get("guidance_scale", 1.0))
    guided = "" if scale == 1.0 else f", guidance {scale:g}"
    return f"{settings.get('sampler', 'generated')}, {settings.get('n_steps', '?')} steps{guided}"
