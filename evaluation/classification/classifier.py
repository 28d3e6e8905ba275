"""A classifier of ECGs: a network on crops of 2.5 s, and the average over the overlapping crops of a recording."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from einthoven.checked_files import intact
from einthoven.ecg.leads import canonical_leads
from einthoven.run.weights_file import HINT, find_weights, read_weights
from evaluation.classification.labels import find_classes
from evaluation.classification.xresnet1d import XResNet1d

AGGREGATES = ("mean", "max")


class Classifier(nn.Module):
    """Gives the probability of each class for ECGs of one sampling rate and set of leads.

    Inputs are standardised with one mean and one standard deviation over all leads, those of the training records, as
    in Strodthoff et al. (arXiv 2004.13701) and RhythmDiff.

    Args:
        spec: Plain data: `classes` (statements or rhythms), `leads`, `sampling_rate` in Hz, `crop` and `stride` in s,
            `aggregate` (mean or max over crops), `network` (arguments of `XResNet1d`), and `trained_on`, what it saw.

    Attributes:
        spec: The settings, for the checkpoint.
        leads: Leads of the input.
        classes: Names of the classes.
        exclusive: Whether a record has exactly one class: a softmax, else one logistic function a class.
        crop: Samples of a crop.

    Raises:
        ValueError: If a setting makes no sense.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self.leads = canonical_leads(spec["leads"])
        self.spec: dict[str, Any] = json.loads(json.dumps({**spec, "leads": list(self.leads)}))
        classes = find_classes(spec["classes"])
        self.classes, self.exclusive = classes.names, classes.is_exclusive
        self.sampling_rate = float(spec["sampling_rate"])
        self.crop, self.stride = (round(spec[name] * self.sampling_rate) for name in ("crop", "stride"))
        self.aggregate = str(spec["aggregate"])
        if self.crop < 1 or not 1 <= self.stride <= self.crop or self.aggregate not in AGGREGATES:
            raise ValueError(
                f"model.stride must be between a sample and model.crop, and model.aggregate {' or '.join(AGGREGATES)}"
            )
        self.network = XResNet1d(len(self.leads), len(self.classes), **spec["network"])
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def forward(self, crops: Tensor) -> Tensor:
        """Maps crops in mV, shape (B, C, crop), to logits, shape (B, K)."""
        return self.network((crops - self.mean) / self.std)

    def crops(self, x: Tensor) -> Tensor:
        """Cuts ECGs in mV (B, C, L) into overlapping crops (B, n, C, crop), from their first to their last sample."""
        length = x.shape[-1]
        if length < self.crop:
            raise ValueError(f"the ECGs have {length} samples, shorter than the classifier's crops of {self.crop}")
        starts = list(range(0, length - self.crop, self.stride)) + [length - self.crop]
        return torch.stack([x[..., start : start + self.crop] for start in starts], dim=1)

    @torch.no_grad()
    def predict(self, x: ArrayLike, chunk: int = 32) -> NDArray[np.float64]:
        """Gives probabilities (N, K) of whole recordings in mV (N, C, L), `chunk` at a time, each by itself."""

        def whole(logits: Tensor) -> Tensor:
            probabilities = logits.softmax(-1) if self.exclusive else logits.sigmoid()
            return probabilities.mean(1) if self.aggregate == "mean" else probabilities.amax(1)

        return self._over_crops(x, chunk, len(self.classes), self, whole)

    @torch.no_grad()
    def features(self, x: ArrayLike, chunk: int = 32) -> NDArray[np.float64]:
        """Gives the features of the head (N, n_features), means over crops, of whole recordings in mV (N, C, L)."""

        def of_crops(crops: Tensor) -> Tensor:
            return self.network.features((crops - self.mean) / self.std)

        return self._over_crops(x, chunk, self.network.last.in_features, of_crops, lambda found: found.mean(1))

    def _over_crops(
        self,
        x: ArrayLike,
        chunk: int,
        n_values: int,
        of_crops: Callable[[Tensor], Tensor],
        whole: Callable[[Tensor], Tensor],
    ) -> NDArray[np.float64]:
        """Applies a function to the crops of recordings, and another to its values (n, crops, n_values) of each."""
        ecgs = np.asarray(x)
        if ecgs.ndim != 3 or ecgs.shape[1] != len(self.leads):
            raise ValueError(f"ECGs of shape {ecgs.shape} do not suit a classifier of {len(self.leads)} leads")
        assert not self.training, "dropout and batch statistics would make the result depend on chance and batch-mates"
        device, found = self.mean.device, [np.zeros((0, n_values))]
        for start in range(0, len(ecgs), chunk):
            part = torch.from_numpy(np.array(ecgs[start : start + chunk], np.float32)).to(device)
            crops = self.crops(part)
            values = of_crops(crops.flatten(0, 1)).unflatten(0, crops.shape[:2]).double()
            found.append(whole(values).cpu().numpy())
        return np.concatenate(found)

    def describe(self) -> str:
        """Says in a few words what it was trained on, such as `real, 12 leads`."""
        leads = ", ".join(self.leads) if len(self.leads) < 3 else f"{len(self.leads)} leads"
        return f"{self.spec['trained_on']}, {leads}"


def load_classifier(path: str | Path) -> Classifier:
    """Reads a classifier, on the CPU, in evaluation mode, without gradients for its weights.

    The path is a safetensors file, or the folder of a run of `evaluation.downstream_classifier`.
    """
    file = find_weights(path)
    weights, spec, _ = read_weights(file)
    if "classes" not in spec:
        raise ValueError(f"{file} holds no classifier: it was not written by evaluation.downstream_classifier")
    with intact(file, HINT):
        classifier = Classifier(spec)
        classifier.load_state_dict(weights)
    return classifier.eval().requires_grad_(False)


def check_classifier(classifier: Classifier, classes: str | None, leads: Sequence[str] | None) -> Classifier:
    """Returns a trained classifier; a ValueError if it is for other classes or leads than asked for (None: any)."""
    if classes is not None and find_classes(classes).names != classifier.classes:
        raise ValueError(f"the classifier's classes are {classifier.spec['classes']}: leave evaluate.classes out")
    if leads is not None and canonical_leads(leads) != classifier.leads:
        raise ValueError(f"the classifier reads {', '.join(classifier.leads)}: leave evaluate.leads out")
    return classifier
