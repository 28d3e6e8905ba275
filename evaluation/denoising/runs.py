"""The denoised ECGs in run folders of `reconstruction.denoise`, read by key and grouped by noise and level."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from einthoven.checked_files import map_array
from einthoven.run.run_folder import RunFolder
from evaluation.inpainting.runs import HINT, Reconstructions
from evaluation.report import common_keys, distinct_names
from evaluation.scores import Estimate
from preprocessing.cohorts.nstdb import MIX, NOISE_TYPES


@dataclass(frozen=True)
class Condition:
    """What noise was added: bw, em, ma or mix, at exactly one of two levels.

    Attributes:
        noise_type: bw, em, ma or mix.
        snr_db: Signal-to-noise ratio of each record in dB, or None.
        power: Peak-to-peak value of each lead's noise relative to the lead's, or None.
    """

    noise_type: str
    snr_db: float | None
    power: float | None

    @property
    def level(self) -> str:
        """The level for people, such as `6 dB` or `power 2`."""
        return f"{self.snr_db:g} dB" if self.snr_db is not None else f"power {self.power:g}"

    @property
    def name(self) -> str:
        """Noise and level for people."""
        return f"{self.noise_type}, {self.level}"

    @property
    def folder(self) -> str:
        """Noise and level as the name of a folder."""
        return f"{self.noise_type}_{self.level.replace(' ', '')}"

    def order(self) -> tuple[int, bool, float]:
        """Sorts by type, then ratios from much noise to little, then powers."""
        types = (*NOISE_TYPES, MIX)
        place = types.index(self.noise_type) if self.noise_type in types else len(types)
        return place, self.snr_db is None, float(self.power if self.snr_db is None else self.snr_db)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class DenoisingRun(Reconstructions):
    """Denoised ECGs of N records by one method, one noise and level.

    Attributes:
        condition: Noise and level.
        noisy: Noisy ECG that the method was given, in mV, shape (N, 12, L).
        noise_path: Folder of the noise, where the run's config names one.
        source: Which records and which half of the noise, for people.
    """

    condition: Condition
    noisy: np.ndarray
    noise_path: Path | None
    source: str

    @classmethod
    def open(cls, path: Path | str) -> "DenoisingRun":
        """Opens a run folder of `reconstruction.denoise`; a ValueError if it is not, unfinished, or has no truth."""
        run = RunFolder.open(path)
        settings = run.config.get("denoising")
        if not isinstance(settings, dict):
            raise ValueError(f"{path} is no run of reconstruction.denoise: give 'runs=[...]', its run folders")
        if not (run.path / "truth.npy").is_file() and (run.path / "mean.npy").is_file():
            raise ValueError(
                f"{path} holds no true ECGs: evaluate a run on clean records with added noise (data=store)"
            )
        if not (run.path / "records.parquet").is_file() or not (run.path / "noisy.npy").is_file():
            raise ValueError(f"{path} is no finished run of reconstruction.denoise: start that run again, it goes on")
        result = Reconstructions.open(path)
        levels = (_number(settings.get(name)) for name in ("snr_db", "power"))
        condition = Condition(str(settings["noise_type"]), *levels)
        if (condition.snr_db is None) == (condition.power is None):
            raise ValueError(f"{path} does not say one level of its noise: run reconstruction.denoise again")
        noisy = map_array(run.path / "noisy.npy", HINT)
        if noisy.shape != result.mean.shape:
            raise ValueError(f"{path}/noisy.npy has shape {noisy.shape}, its mean {result.mean.shape}: run it again")
        noise_path = settings.get("noise_path")
        split = (run.config.get("dataset") or {}).get("split", "unknown")
        found = {
            "name": result.name if settings.get("known_type", True) else f"{result.name}, type unknown",
            "condition": condition,
            "noisy": noisy,
            "noise_path": Path(noise_path) if noise_path else None,
            "source": f"split {split}, NSTDB's half {settings.get('half', 'unknown')}",
        }
        return cls(**{**vars(result), **found})

    def estimate(self) -> Estimate:
        """Puts the denoised ECGs beside the clean ones, every sample scored, and the noisy ones."""
        truth, noisy = (np.asarray(ecg, dtype=np.float64) for ecg in (self.truth, self.noisy))
        return replace(super().estimate(), truth=truth, scored=np.ones(truth.shape, bool), noisy=noisy)


def open_denoising_runs(paths: Sequence[Path | str]) -> dict[Condition, list[DenoisingRun]]:
    """Opens run folders and groups them by noise and level, each group on the records that all its runs have.

    Methods of the same name within a group get the name of their folder appended. A ValueError if there is no path, a
    folder is not fit, or the runs of a group met different ECGs or noise.
    """
    if not paths:
        raise ValueError("no run to evaluate: give 'runs=[...]', run folders of reconstruction.denoise")
    opened = [(path, DenoisingRun.open(path).undamaged()) for path in paths]
    groups: dict[Condition, list[DenoisingRun]] = {}
    for condition in sorted({run.condition for _, run in opened}, key=Condition.order):
        folders, runs = zip(*((path, run) for path, run in opened if run.condition == condition), strict=True)
        ecg_ids = common_keys([run.ecg_ids for run in runs])
        names = distinct_names([run.name for run in runs], folders)
        groups[condition] = [replace(run.restricted(ecg_ids), name=name) for run, name in zip(runs, names, strict=True)]
        _check_same_task(groups[condition])
    return groups


def _check_same_task(runs: Sequence[DenoisingRun]) -> None:
    first = runs[0]
    for other in runs[1:]:
        same = first.noisy.shape == other.noisy.shape and first.sampling_rate == other.sampling_rate
        for mine, theirs in ((first.noisy, other.noisy), (first.truth, other.truth)):
            same = same and np.allclose(mine, theirs, atol=1e-4)
        if not same:
            raise ValueError(
                f"{first.name} and {other.name} met different ECGs or noise at {first.condition.name}: "
                "evaluate them one by one, or run them with the same seed, store and half"
            )


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
