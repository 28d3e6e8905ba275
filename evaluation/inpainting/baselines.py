"""What a reconstruction must beat: ridge regression from a short window of the observed leads, and the mean ECG."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from einthoven.checked_files import read_arrays
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, NINE_REPORTED, canonical_leads, lead_rows, to_twelve
from einthoven.run.files import atomic_write
from preprocessing.store.store import Store

STRENGTHS = tuple(10.0 ** (power / 2.0) for power in range(-12, 3))
"""Ridge strengths to choose from, relative to the mean square of the inputs."""

WINDOW = 0.5
"""Length of the regression's window in s: 51 samples at 100 Hz."""

CHUNK = 64
"""Records per chunk of the normal equations."""


@dataclass(frozen=True)
class RidgeLeads:
    """Ridge regression of the independent leads, sample by sample, from a centred window of the observed leads.

    Attributes:
        observed_leads: Leads it reads.
        targets: Independent leads it predicts: those that are not observed; the others of the twelve follow exactly.
        sampling_rate: Rate of its signals in Hz.
        half_window: Samples on either side of the predicted one.
        weights: Weights, shape (n_observed * (2 * half_window + 1) + 1, n_targets); the last row is the offset in mV.
        strength: Strength chosen, relative to the mean square of the inputs.
        validation_mae: MAE in mV over the scored leads of the validation records, one per strength tried.
        strengths: The strengths tried.
    """

    observed_leads: tuple[str, ...]
    targets: tuple[str, ...]
    sampling_rate: float
    half_window: int
    weights: np.ndarray
    strength: float
    validation_mae: tuple[float, ...] = ()
    strengths: tuple[float, ...] = ()

    @classmethod
    def fit(cls, store: Store, observed_leads: Sequence[str] = ("I",), window: float = WINDOW) -> "RidgeLeads":
        """Fits on the training records; the strength is the one of least MAE on the validation records.

        The normal equations are exact, accumulated in float64 over chunks of records. The validation MAE is over those
        of the paper's nine leads that are not observed.

        Args:
            store: Store with the splits `train` and `val`.
            observed_leads: Leads to regress from; a ValueError where they determine all twelve.
            window: Length of the window in s.
        """
        observed = canonical_leads(observed_leads)
        targets = tuple(lead for lead in INDEPENDENT_LEADS if lead not in observed)
        if not targets:
            raise ValueError(f"nothing to regress: {', '.join(observed)} determine all twelve leads")
        train, validation = store.rows("train"), store.rows("val")
        if len(train) == 0 or len(validation) == 0:
            raise ValueError(f"{store.path} needs records in train and val to fit the ridge baseline: prepare it again")
        half_window = round(window * store.sampling_rate / 2.0)
        gram, moment = _normal_equations(store, train, observed, targets, half_window)
        penalty = np.diag(np.append(np.ones(len(gram) - 1), 0.0)) * np.trace(gram[:-1, :-1]) / (len(gram) - 1)
        candidates = [
            cls(observed, targets, store.sampling_rate, half_window, np.linalg.solve(gram + s * penalty, moment), s)
            for s in STRENGTHS
        ]
        errors = [_validation_error(candidate, store, validation) for candidate in candidates]
        best = candidates[int(np.argmin(errors))]
        return replace(best, validation_mae=tuple(errors), strengths=STRENGTHS)

    def predict(self, observed: np.ndarray) -> np.ndarray:
        """Predicts twelve leads in mV (n, 12, L), float32, from the observed ones (n, n_observed, L), which stay."""
        observed = np.asarray(observed, dtype=np.float64)
        predicted = _features(observed, self.half_window) @ self.weights
        independent = np.empty((len(observed), len(INDEPENDENT_LEADS), observed.shape[-1]))
        for place, lead in enumerate(INDEPENDENT_LEADS):
            if lead in self.targets:
                independent[:, place] = predicted[..., self.targets.index(lead)]
            else:
                independent[:, place] = observed[:, self.observed_leads.index(lead)]
        twelve = to_twelve(independent)
        for place, lead in enumerate(self.observed_leads):
            twelve[:, LEADS.index(lead)] = observed[:, place]
        return twelve.astype(np.float32)

    def save(self, path: Path) -> None:
        """Writes the regression as an npz file without pickled objects."""
        arrays = {name: np.asarray(getattr(self, name)) for name in self.__dataclass_fields__}
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "RidgeLeads":
        """Reads what `save` has written; a ValueError if there is no such file, or it holds something else."""
        if not Path(path).is_file():
            raise ValueError(f"no fitted ridge regression at {path}: leave evaluate.ridge empty to fit one")
        values = read_arrays(Path(path), lambda name: name in cls.__dataclass_fields__, "leave evaluate.ridge empty")
        missing = set(cls.__dataclass_fields__) - set(values)
        if missing:
            raise ValueError(f"{path} is no fitted ridge regression: it lacks {', '.join(sorted(missing))}")
        plain = {name: value.tolist() for name, value in values.items() if name != "weights"}
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
        return cls(**plain, weights=values["weights"])


@dataclass(frozen=True)
class MeanEcg:
    """The mean ECG, what one predicts who sees nothing: `mean` over the training records in mV, shape (12, L)."""

    mean: np.ndarray

    @classmethod
    def fit(cls, store: Store) -> "MeanEcg":
        """Averages the training records of a store, per lead and sample; a ValueError if there are none."""
        rows = store.rows("train")
        if len(rows) == 0:
            raise ValueError(f"{store.path} has no training records to average: prepare it again")
        total = sum(store.read(part, LEADS).sum(axis=0, dtype=np.float64) for part in _chunks(rows))
        return cls(np.asarray(total / len(rows), dtype=np.float32))

    def predict(self, n_records: int) -> np.ndarray:
        """Returns the mean for each of n records, in mV, shape (n, 12, L)."""
        return np.broadcast_to(self.mean, (n_records, *self.mean.shape))


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _features(observed: np.ndarray, half_window: int) -> np.ndarray:
    """Windows around every sample, mirrored at the ends, and a one: (n, k, L) to (n, L, k * window + 1)."""
    n_records, _, length = observed.shape
    padded = np.pad(observed, ((0, 0), (0, 0), (half_window, half_window)), mode="symmetric")
    windows = sliding_window_view(padded, 2 * half_window + 1, axis=-1)
    flat = windows.transpose(0, 2, 1, 3).reshape(n_records, length, -1)
    return np.concatenate([flat, np.ones((n_records, length, 1))], axis=-1)


def _normal_equations(
    store: Store, rows: np.ndarray, observed: Sequence[str], targets: Sequence[str], half_window: int
) -> tuple[np.ndarray, np.ndarray]:
    gram: np.ndarray | float = 0.0
    moment: np.ndarray | float = 0.0
    for part in _chunks(rows):
        features = _features(store.read(part, observed).astype(np.float64), half_window)
        features = features.reshape(-1, features.shape[-1])
        wanted = store.read(part, targets).astype(np.float64).transpose(0, 2, 1).reshape(len(features), -1)
        gram = gram + features.T @ features
        moment = moment + features.T @ wanted
    return np.asarray(gram), np.asarray(moment)


def _validation_error(ridge: RidgeLeads, store: Store, rows: np.ndarray) -> float:
    """Mean absolute error in mV over records, those of the paper's nine leads that are not observed, and time."""
    leads = lead_rows(lead for lead in NINE_REPORTED if lead not in ridge.observed_leads)
    total = 0.0
    for part in _chunks(rows):
        error = ridge.predict(store.read(part, ridge.observed_leads)) - store.read(part, LEADS)
        total += float(np.abs(error[:, leads]).sum(dtype=np.float64))
    return total / (len(rows) * len(leads) * store.n_samples)
