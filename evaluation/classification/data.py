"""What the training of a classifier needs: batches of labelled ECGs, and the loss of their random crops."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from diffusion_prior.training.trainer import Batch, Objective
from einthoven.run.weights_file import write_weights
from evaluation.classification.classifier import Classifier
from evaluation.classification.labels import find_classes
from preprocessing.store.store import Store

CHUNK = 256


class LabelledRecords:
    """The records of a split that have a label, with the leads, classes and rate of a classifier.

    Attributes:
        ecg_ids: Their keys, shape (N,).
        labels: Their labels, zeros and ones, shape (N, K).

    Raises:
        ValueError: If the store has another rate, too short records, a lead too few, or no labelled record.
    """

    def __init__(self, store: Store, split: str, classifier: Classifier) -> None:
        if store.sampling_rate != classifier.sampling_rate:
            raise ValueError(
                f"{store.path} is sampled at {store.sampling_rate:g} Hz, the classifier at "
                f"{classifier.sampling_rate:g} Hz: give records of that rate"
            )
        if store.n_samples < classifier.crop:
            raise ValueError(f"{store.path} has records of {store.n_samples} samples, shorter than model.crop")
        rows = store.rows(split)
        classes = find_classes(classifier.spec["classes"])
        kept, labels = classes.labels(store.table["statements"].iloc[rows])
        self.store, self.leads, self.is_exclusive = store, classifier.leads, classifier.exclusive
        self.rows, self.labels = rows[kept], labels[kept]
        self.ecg_ids: NDArray[np.int64] = store.table["ecg_id"].to_numpy()[self.rows]
        if not len(self):
            raise ValueError(f"{store.path} has no record of split {split} with one of the classes")

    def __len__(self) -> int:
        """Returns the number of records N."""
        return len(self.rows)

    def read(self, places: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.float32]:
        """Reads ECGs in mV by their places among the records, all by default, shape (n, C, L)."""
        return self.store.read(self.rows[places], self.leads)

    def batch(self, places: NDArray[np.int64] | slice = slice(None)) -> Batch:
        """Returns ECGs `x`, as `read` does, and their `label`, shape (n, K)."""
        return {"x": torch.from_numpy(self.read(places)), "label": torch.from_numpy(self.labels[places])}

    def first_logits(self) -> Tensor:
        """Computes logits that give the classes' frequencies, half a record added to each count, shape (K,)."""
        with_class = self.labels.sum(axis=0, dtype=np.float64) + 0.5
        without = 1.0 if self.is_exclusive else len(self) + 1.0 - with_class
        return torch.from_numpy(np.log(with_class / without)).float()

    def mean_and_std(self) -> tuple[float, float]:
        """Computes mean and standard deviation over all records, leads and samples, in mV."""
        total, squares, count = 0.0, 0.0, 0
        for start in range(0, len(self), CHUNK):
            x = self.read(slice(start, start + CHUNK)).astype(np.float64)
            total, squares, count = total + float(x.sum()), squares + float((x**2).sum()), count + x.size
        mean = total / count
        return mean, max(squares / count - mean**2, 0.0) ** 0.5


class ClassificationData:
    """Training batches, drawn by step, and the validation records."""

    def __init__(self, training: LabelledRecords, validation: LabelledRecords) -> None:
        self.training, self.held_out = training, validation

    def batch(self, n: int, generator: Generator) -> Batch:
        """Draws `n` records with replacement: `x` in mV, shape (n, C, L), and `label`, shape (n, K)."""
        places = torch.randint(len(self.training), (n,), generator=generator).numpy()
        return self.training.batch(places)

    def validation(self) -> Batch:
        """Returns all validation records, as `batch` does."""
        return self.held_out.batch()


class ClassificationObjective(Objective):
    """Cross entropy of crops: of each class by itself, averaged over classes, or of exclusive classes together."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Cuts a random crop out of each record of a batch."""
        x, crop = batch["x"], self.classifier.crop
        starts = torch.randint(x.shape[-1] - crop + 1, (len(x),), generator=generator)
        places = (starts[:, None] + torch.arange(crop))[:, None].expand(-1, x.shape[1], -1)
        return {"x": x.gather(-1, places), "label": batch["label"]}

    def forward(self, batch: Batch) -> Tensor:
        """Returns the loss of each crop of a batch with `x` (B, C, crop) and `label` (B, K), shape (B,)."""
        logits = self.classifier(batch["x"]).float()
        if self.classifier.exclusive:
            return nn.functional.cross_entropy(logits, batch["label"], reduction="none")
        return nn.functional.binary_cross_entropy_with_logits(logits, batch["label"], reduction="none").mean(dim=1)

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns the crops that the classifier is used on; nothing here is random."""
        crops = self.classifier.crops(batch["x"])
        labels = batch["label"].repeat_interleave(crops.shape[1], dim=0)
        return {"crops": {"x": crops.flatten(0, 1), "label": labels}}

    def save(self, path: Path, step: int) -> None:
        """Writes the classifier to a safetensors file, as it is after `step` steps."""
        write_weights(path, self.classifier, self.classifier.spec, {"steps": step})


def new_classifier(
    training: Store, validation: Store, spec: Mapping[str, Any]
) -> tuple[Classifier, ClassificationData]:
    """Builds an untrained classifier; nothing but these stores' records enters it and its training.

    Args:
        training: Store to train on its split train.
        validation: Store to validate on its split val; it may be the same.
        spec: As for `Classifier`, without `sampling_rate`.

    Returns:
        The classifier, with the mean and standard deviation of the training records and the logits of their classes'
        frequencies, and the data.
    """
    classifier = Classifier({**spec, "sampling_rate": training.sampling_rate})
    records = LabelledRecords(training, "train", classifier), LabelledRecords(validation, "val", classifier)
    mean, std = records[0].mean_and_std()
    if std == 0.0:
        raise ValueError(f"the ECGs of {training.path} are flat: there is nothing to learn from them")
    classifier.mean.fill_(mean)
    classifier.std.fill_(std)
    classifier.network.start_from(records[0].first_logits())
    return classifier, ClassificationData(*records)
