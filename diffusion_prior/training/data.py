"""Training batches, drawn from stores by step, so that a batch depends on nothing but the seed and the step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from diffusion_prior.training.augmentation import Augmentation
from einthoven.ecg.leads import INDEPENDENT_LEADS, lead_matrix
from preprocessing.store.store import Store


@dataclass(frozen=True)
class WeightedStore:
    """A store to train on; the weight is how often a record of its split "train" is drawn, relative to others'."""

    store: Store
    weight: float = 1.0


@dataclass
class TrainingData:
    """Batches of augmented pieces of ECGs.

    Augmentation changes the eight independent leads; others are derived from them.

    Attributes:
        stores: Where the records come from; the first one's split "val" is validated on.
        leads: Leads of the batches.
        augmentation: Random changes, None for none.
        lengths: Lengths of the pieces, samples; each batch has one of them.
        max_validation: Most records to validate on.
    """

    stores: Sequence[WeightedStore]
    leads: Sequence[str] = INDEPENDENT_LEADS
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    lengths: Sequence[int] = (1000,)
    max_validation: int = 256

    def __post_init__(self) -> None:
        self._labels = [weighted.store.labels() for weighted in self.stores]
        rows = [_training_rows(weighted.store, max(self.lengths)) for weighted in self.stores]
        self._rows = np.array([(i, row) for i, each in enumerate(rows) for row in each], dtype=np.int64)
        if not len(self._rows):
            raise ValueError("no records to train on: the stores have none in their train split")
        weights = [weighted.weight for weighted, each in zip(self.stores, rows, strict=True) for _ in each]
        self._weights = torch.tensor(weights, dtype=torch.float64)
        self._read_leads = tuple(self.leads) if self.augmentation is None else INDEPENDENT_LEADS
        derived = tuple(self.leads) != self._read_leads
        self._derive = torch.from_numpy(lead_matrix(self.leads, self._read_leads)).float() if derived else None

    @classmethod
    def open(cls, config: Mapping[str, Any], leads: Sequence[str], sampling_rate: float) -> "TrainingData":
        """Opens the stores that a config of a training names.

        Args:
            config: `dataset` with `database_path`, `extra_stores` and `segment_length`; and `augmentation`.
            leads: Leads of the batches.
            sampling_rate: Rate of what is trained, Hz.

        Raises:
            ValueError: If a store is not there, or of another rate.
        """
        dataset = config["dataset"]
        stores = [WeightedStore(Store.open(dataset["database_path"]))]
        stores += [WeightedStore(Store.open(extra["path"]), extra["weight"]) for extra in dataset["extra_stores"]]
        for weighted in stores:
            if (rate := weighted.store.sampling_rate) != sampling_rate:
                raise ValueError(
                    f"{weighted.store.path} has {rate:g} Hz, the network to train {sampling_rate:g} Hz: "
                    "give a store of that rate, or change the network's"
                )
        lengths = dataset["segment_length"]
        lengths = lengths if isinstance(lengths, list) else [lengths]
        return cls(stores, leads, Augmentation(**config["augmentation"]), lengths)

    @property
    def origin(self) -> dict[str, Any]:
        """What the data are, as `RunFolder.create` notes it: the hashes of the stores' manifests."""
        first, *others = (weighted.store.manifest_hash for weighted in self.stores)
        return {"data_manifest_hash": first, "files": {f"store {n}": digest for n, digest in enumerate(others, 2)}}

    def __len__(self) -> int:
        """Returns the number of records."""
        return len(self._rows)

    def batch(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draws `x` in mV, shape (n, C, L), and `label`, shape (n, 71), with replacement."""
        length = self.lengths[int(torch.randint(len(self.lengths), (), generator=generator))]
        picks = torch.multinomial(self._weights, n, replacement=True, generator=generator)
        origins, rows = self._rows[picks.numpy()].T
        x = gather(origins, lambda i, here: self.stores[i].store.read(rows[here], self._read_leads))
        label = gather(origins, lambda i, here: self._labels[i][rows[here]])
        signal = torch.from_numpy(x)
        if self.augmentation is not None:
            signal = self.augmentation(signal, length, generator)
        else:
            start = int(torch.randint(signal.shape[-1] - length + 1, (), generator=generator))
            signal = signal[..., start : start + length]
        if self._derive is not None:
            signal = self._derive @ signal
        return {"x": signal, "label": torch.from_numpy(label)}

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


def _training_rows(store: Store, longest: int) -> NDArray[np.int64]:
    """Returns the rows of a store that are trained on: those without a flat lead; raises where pieces do not fit."""
    if longest > store.n_samples:
        raise ValueError(
            f"{store.path} has records of {store.n_samples} samples, "
            f"pieces of {longest} do not fit: lower dataset.segment_length"
        )
    rows = store.rows("train")
    if "flat_leads" in store.table:
        rows = rows[store.table["flat_leads"].to_numpy()[rows] == ""]
    return rows
