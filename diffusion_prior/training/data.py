"""Training batches, drawn from stores by step, so that a batch depends on nothing but the seed and the step."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor

from diffusion_prior.training.augmentation import Augmentation
from einthoven.ecg.leads import INDEPENDENT_LEADS, lead_matrix
from preprocessing.store.store import Store


@dataclass(frozen=True)
class Source:
    """Records of a store that are trained on.

    Attributes:
        store: The store.
        split: Which of its records.
        weight: How often a record is drawn, relative to other sources' records.
    """

    store: Store
    split: str = "train"
    weight: float = 1.0


@dataclass
class TrainingData:
    """Batches of augmented pieces of ECGs.

    Augmentation changes the eight independent leads; others are derived from them.

    Attributes:
        sources: Where the records come from; the first one's split "val" is validated on.
        leads: Leads of the batches.
        augmentation: Random changes, None for none.
        lengths: Lengths of the pieces, samples; each batch has one of them.
        max_validation: Most records to validate on.
    """

    sources: Sequence[Source]
    leads: Sequence[str] = INDEPENDENT_LEADS
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    lengths: Sequence[int] = (1000,)
    max_validation: int = 256

    def __post_init__(self) -> None:
        self._labels = [source.store.labels() for source in self.sources]
        self._rows: list[tuple[int, int]] = []
        weights: list[float] = []
        for i, source in enumerate(self.sources):
            if max(self.lengths) > source.store.n_samples:
                raise ValueError(
                    f"{source.store.path} has records of {source.store.n_samples} samples, "
                    f"pieces of {max(self.lengths)} do not fit: lower dataset.segment_length"
                )
            rows = source.store.rows(source.split)
            if "flat_leads" in source.store.table:
                rows = rows[source.store.table["flat_leads"].to_numpy()[rows] == ""]
            self._rows += [(i, int(row)) for row in rows]
            weights += [source.weight] * len(rows)
        if not self._rows:
            raise ValueError("no records to train on: the stores have none in their train split")
        self._weights = torch.tensor(weights, dtype=torch.float64)
        self._read_leads = tuple(self.leads) if self.augmentation is None else INDEPENDENT_LEADS
        derived = tuple(self.leads) != self._read_leads
        self._derive = torch.from_numpy(lead_matrix(self.leads, self._read_leads)).float() if derived else None

    def __len__(self) -> int:
        """Returns the number of records."""
        return len(self._rows)

    def batch(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draws a batch with replacement.

        Args:
            n: Records.
            generator: Random numbers; the batch depends on nothing else.

        Returns:
            `x` in mV, shape (n, C, L), and `label`, shape (n, 71).
        """
        length = self.lengths[int(torch.randint(len(self.lengths), (), generator=generator))]
        picks = torch.multinomial(self._weights, n, replacement=True, generator=generator).tolist()
        pairs = [self._rows[pick] for pick in picks]
        x = np.empty((n, len(self._read_leads), self.sources[0].store.n_samples), dtype=np.float32)
        label = np.empty((n, self._labels[0].shape[1]), dtype=np.float32)
        for i, source in enumerate(self.sources):
            here = [k for k, (origin, _) in enumerate(pairs) if origin == i]
            rows = [pairs[k][1] for k in here]
            if here:
                x[here] = source.store.read(rows, self._read_leads)
                label[here] = self._labels[i][rows]
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
        """Returns the validation records of the first source, whole and unchanged, as `batch` does."""
        store = self.sources[0].store
        rows = store.rows("val")[: self.max_validation]
        x = torch.from_numpy(store.read(rows, self.leads))
        return {"x": x[..., : max(self.lengths)], "label": torch.from_numpy(self._labels[0][rows])}
