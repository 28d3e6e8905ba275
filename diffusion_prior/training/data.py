"""Training batches, drawn from stores by step, so that a batch depends on nothing but the seed and the step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from diffusion_prior.model.covariates import check_covariates, measure_rhythm
from diffusion_prior.training.augmentation import Augmentation
from einthoven.ecg.leads import INDEPENDENT_LEADS, lead_matrix
from preprocessing.store.store import Store


@dataclass(frozen=True)
class WeightedStore:
    """A store to train on.

    Attributes:
        store: The store.
        weight: How often a record of its split "train" is drawn, relative to those of other stores.
        share: Share of all draws that are from this store, whatever its size; `weight` then does not count. What the
            shares leave of 1 goes to the stores without one. None: by weight.
    """

    store: Store
    weight: float = 1.0
    share: float | None = None


@dataclass
class TrainingData:
    """Batches of augmented pieces of ECGs.

    Augmentation changes the eight independent leads; others are derived from them. Pieces are drawn from the stores
    whose records are long enough for them.

    Attributes:
        stores: Where the records come from; the first one's split "val" is validated on.
        leads: Leads of the batches.
        augmentation: Random changes, None for none.
        lengths: Lengths of the pieces, samples; each batch has one of them.
        max_validation: Most records to validate on.
        covariates: Names of the K covariates of the batches, of `COVARIATES`.
    """

    stores: Sequence[WeightedStore]
    leads: Sequence[str] = INDEPENDENT_LEADS
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    lengths: Sequence[int] = (1000,)
    max_validation: int = 256
    covariates: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_covariates(self.covariates)
        self._labels = [weighted.store.labels() for weighted in self.stores]
        self._age_sex = [weighted.store.table[["age", "sex"]].to_numpy(np.float32) for weighted in self.stores]
        first = self.stores[0].store
        if max(self.lengths) > first.n_samples:
            raise ValueError(
                f"{first.path} has records of {first.n_samples} samples, "
                f"pieces of {max(self.lengths)} do not fit: lower dataset.segment_length"
            )
        rows = [_training_rows(weighted.store, min(self.lengths)) for weighted in self.stores]
        self._rows = np.array([(i, row) for i, each in enumerate(rows) for row in each], dtype=np.int64)
        if not len(self._rows):
            raise ValueError("no records to train on: the stores have none in their train split")
        weights = _draw_weights(self.stores, [len(each) for each in rows])
        lengths = torch.tensor([weighted.store.n_samples for weighted in self.stores])[self._rows[:, 0]]
        self._weights = {length: weights * (lengths >= length) for length in set(self.lengths)}
        self._read_leads = tuple(self.leads) if self.augmentation is None else INDEPENDENT_LEADS
        derived = tuple(self.leads) != self._read_leads
        self._derive = torch.from_numpy(lead_matrix(self.leads, self._read_leads)).float() if derived else None

    @classmethod
    def open(
        cls, config: Mapping[str, Any], leads: Sequence[str], sampling_rate: float, covariates: Sequence[str] = ()
    ) -> "TrainingData":
        """Opens the stores that a config of a training names.

        Args:
            config: `dataset` with `database_path`, `extra_stores` and `segment_length`; and `augmentation`.
            leads: Leads of the batches.
            sampling_rate: Rate of what is trained, Hz.
            covariates: Covariates of the batches.

        Raises:
            ValueError: If a store is not there, or of another rate.
        """
        dataset = config["dataset"]
        stores = [WeightedStore(Store.open(dataset["database_path"]))]
        stores += [
            WeightedStore(Store.open(extra["path"]), extra.get("weight", 1.0), extra.get("share"))
            for extra in dataset["extra_stores"]
        ]
        for weighted in stores:
            if (rate := weighted.store.sampling_rate) != sampling_rate:
                raise ValueError(
                    f"{weighted.store.path} has {rate:g} Hz, the network to train {sampling_rate:g} Hz: "
                    "give a store of that rate, or change the network's"
                )
        lengths = dataset["segment_length"]
        lengths = lengths if isinstance(lengths, list) else [lengths]
        return cls(stores, leads, Augmentation(**config["augmentation"]), lengths, covariates=covariates)

    @property
    def origin(self) -> dict[str, Any]:
        """What the data are, as `RunFolder.create` notes it: the hashes of the stores' manifests."""
        first, *others = (weighted.store.manifest_hash for weighted in self.stores)
        return {"data_manifest_hash": first, "files": {f"store {n}": digest for n, digest in enumerate(others, 2)}}

    def __len__(self) -> int:
        """Returns the number of records."""
        return len(self._rows)

    def batch(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draws `x` in mV, shape (n, C, L), and `label`, shape (n, 71), with replacement.

        With covariates, `covariates` of shape (n, K), NaN where not known, are added.
        """
        length = self.lengths[int(torch.randint(len(self.lengths), (), generator=generator))]
        picks = torch.multinomial(self._weights[length], n, replacement=True, generator=generator)
        origins, rows = self._rows[picks.numpy()].T
        shortest = min(self.stores[i].store.n_samples for i in np.unique(origins))

        def read(i: int, here: NDArray[np.int64]) -> NDArray[np.float32]:
            whole = self.stores[i].store.read(rows[here], self._read_leads)
            longer = whole.shape[-1] - shortest
            first = int(torch.randint(longer + 1, (), generator=generator)) if longer else 0
            return whole[..., first : first + shortest]

        x = gather(origins, read)
        label = gather(origins, lambda i, here: self._labels[i][rows[here]])
        signal = torch.from_numpy(x)
        if self.augmentation is not None:
            signal = self.augmentation(signal, length, generator, self.stores[0].store.sampling_rate)
        else:
            start = int(torch.randint(signal.shape[-1] - length + 1, (), generator=generator))
            signal = signal[..., start : start + length]
        batch = {"x": signal if self._derive is None else self._derive @ signal, "label": torch.from_numpy(label)}
        if self.covariates:
            age_sex = gather(origins, lambda i, here: self._age_sex[i][rows[here]])
            batch["covariates"] = self._covariates_of(signal, age_sex)
        return batch

    def _covariates_of(self, x: Tensor, age_sex: NDArray[np.float32]) -> Tensor:
        """Returns the covariates (B, K) of pieces (B, C, L) of people of known age and sex (B, 2)."""
        values = dict(zip(("age", "sex"), age_sex.T, strict=True))
        if {"rr_mean", "rr_sd"} & set(self.covariates):
            rate = self.stores[0].store.sampling_rate
            rhythms = np.array([measure_rhythm(row, rate) for row in x.numpy()], dtype=np.float32)
            values |= dict(zip(("rr_mean", "rr_sd"), rhythms.T, strict=True))
        return torch.from_numpy(np.stack([values[name] for name in self.covariates], axis=1))

    def validation(self) -> dict[str, Tensor]:
        """Returns the validation records of the first store, whole and unchanged, as `batch` does."""
        store = self.stores[0].store
        rows = store.rows("val")[: self.max_validation]
        x = torch.from_numpy(store.read(rows, self.leads))
        return {"x": x[..., : max(self.lengths)], "label": torch.from_numpy(self._labels[0][rows])}


def gather(origins: NDArray[np.int64], read: Callable[[int, NDArray[np.int64]], NDArray[Any]]) -> NDArray[Any]:
    """Reads rows of several stores in one order, each store once.

    Args:
        origins: Number of the store of each row, shape (n,), in the order of what is returned.
        read: Reads, from the store of a number, the rows at some places of `origins`.
    """
    out: NDArray[Any] = np.empty(0)
    for origin in np.unique(origins):
        here = np.flatnonzero(origins == origin)
        part = read(int(origin), here)
        if not out.size:
            out = np.empty((len(origins), *part.shape[1:]), part.dtype)
        out[here] = part
    return out


def _draw_weights(stores: Sequence[WeightedStore], counts: Sequence[int]) -> Tensor:
    """Returns how often each record is drawn, stores one after the other, `counts` records of each, shape (N,)."""
    shares = [weighted.share or 0.0 for weighted in stores]
    if sum(shares) > 1 + 1e-9 or min(shares) < 0:
        raise ValueError(f"the shares of the training's stores must be positive and at most 1 in all, got {shares}")
    weights = [
        torch.full((n,), weighted.weight, dtype=torch.float64) for weighted, n in zip(stores, counts, strict=True)
    ]
    if any(shares):
        free = sum(float(each.sum()) for each, share in zip(weights, shares, strict=True) if not share)
        for each, share in zip(weights, shares, strict=True):
            if share:
                each[:] = share / max(len(each), 1)
            else:
                each *= (1 - sum(shares)) / max(free, 1e-12)
    return torch.cat(weights)


def _training_rows(store: Store, shortest: int) -> NDArray[np.int64]:
    """Returns the rows of a store that are trained on: those without a flat lead; raises where no piece fits."""
    if shortest > store.n_samples:
        raise ValueError(
            f"{store.path} has records of {store.n_samples} samples, shorter than all of dataset.segment_length: "
            "it would never be drawn"
        )
    rows = store.rows("train")
    if "flat_leads" in store.table:
        rows = rows[store.table["flat_leads"].to_numpy()[rows] == ""]
    return rows
