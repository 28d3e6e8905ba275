"""What a classifier is trained and tested on: real ECGs, their generated twins, and reconstructions, all by key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from einthoven.ecg.leads import lead_rows
from evaluation.classification.classifier import Classifier
from evaluation.classification.data import LabelledRecords
from evaluation.classification.scores import Predictions
from evaluation.inpainting.runs import Reconstructions, open_runs
from preprocessing.cohorts.splits import SPLITS
from preprocessing.store.store import Store

REAL = "real"
GENERATED = "generated"
TRAINED_ON = {"real": REAL, "gen": GENERATED}
"""Values of `evaluate.train_downstream`."""


@dataclass(frozen=True)
class DataSets:
    """Everything that a run reads.

    Attributes:
        real: Store of real ECGs.
        twins: Stores of generated ECGs by split, those that were given.
        reconstructions: Runs of `reconstruction.inpaint`.
        split: Split to evaluate on.
    """

    real: Store
    twins: Mapping[str, Store]
    reconstructions: Sequence[Reconstructions]
    split: str

    @classmethod
    def open(
        cls,
        database_path: Path | str,
        generated: Mapping[str, Path | str | None],
        reconstructions: Sequence[Path | str],
        split: str,
    ) -> "DataSets":
        """Opens the store of real ECGs, runs of `diffusion_prior.generate` by split (or None), and of `inpaint`."""
        if split not in SPLITS:
            raise ValueError(f"evaluate.split is {', '.join(SPLITS)}, not {split!r}")
        twins = {name: open_twins(folder, name) for name, folder in generated.items() if folder is not None}
        runs = open_runs(reconstructions) if reconstructions else []
        return cls(Store.open(database_path), twins, runs, split)

    def to_train(self, train_downstream: str) -> tuple[Store, Store]:
        """Returns the stores to train and to validate on, real ones, or ("gen") generated ones alone."""
        if train_downstream not in TRAINED_ON:
            raise ValueError(f"evaluate.train_downstream is {' or '.join(TRAINED_ON)}, not {train_downstream!r}")
        if TRAINED_ON[train_downstream] == REAL:
            return self.real, self.real
        missing = [split for split in ("train", "val") if split not in self.twins]
        if missing:
            commands = "; ".join(_command(split) for split in missing)
            keys = " and ".join(f"generated.{split}=<its folder>" for split in missing)
            raise ValueError(f"to train on generated ECGs, make them with: {commands}; then give {keys}")
        return self.twins["train"], self.twins["val"]

    def check(self, classifier: Classifier) -> None:
        """Raises a ValueError if a classifier cannot be evaluated on all of this: rates, lengths or records."""
        self._records(classifier)
        for run in self.reconstructions:
            self._keys(run, classifier)

    def predict(self, classifier: Classifier) -> dict[str, Predictions]:
        """Reads all data sets with a classifier.

        Returns:
            Predictions by data set: `real`, `generated`, and for each run of reconstructions `<method>: samples`, where
            the probabilities of the samples are averaged (not of a method with one estimate), and `<method>: mean`,
            those of the mean sample.
        """
        found = {}
        for name, records in self._records(classifier).items():
            probabilities = classifier.predict(records.read())
            found[name] = Predictions(classifier.classes, records.ecg_ids, records.labels, probabilities)
        leads = lead_rows(classifier.leads)
        for run in self.reconstructions:
            ids = self._keys(run, classifier)
            rows, truth = run.select(ids), found[REAL].select(ids)
            read = {"mean": classifier.predict(run.mean[rows][:, leads])}
            if not run.is_point_estimate:
                samples = [classifier.predict(run.samples[rows, s][:, leads]) for s in range(run.samples.shape[1])]
                read = {"samples": np.mean(samples, axis=0), **read}
            for name, probabilities in read.items():
                key = f"{run.name}: {name}"
                found[key] = Predictions(classifier.classes, truth.ecg_ids, truth.labels, probabilities)
        return found

    def _records(self, classifier: Classifier) -> dict[str, LabelledRecords]:
        stores = {REAL: self.real} | ({GENERATED: self.twins[self.split]} if self.split in self.twins else {})
        return {name: LabelledRecords(store, self.split, classifier) for name, store in stores.items()}

    def _keys(self, run: Reconstructions, classifier: Classifier) -> np.ndarray:
        """Keys of a run's records that have a label; a ValueError if rate, length or split do not suit, or none has."""
        if run.sampling_rate != classifier.sampling_rate or run.mean.shape[-1] < classifier.crop:
            raise ValueError(f"the reconstructions of {run.name} have another sampling rate or are shorter than a crop")
        others = ~np.isin(run.ecg_ids, self.real.table["ecg_id"].to_numpy()[self.real.rows(self.split)])
        if others.any():
            raise ValueError(
                f"{others.sum()} records of {run.name} are not of split {self.split} of {self.real.path}: reconstruct "
                f"with dataset.split={self.split}, or name the store that they come from with dataset.database_path"
            )
        ids = run.ecg_ids[np.isin(run.ecg_ids, self._records(classifier)[REAL].ecg_ids)]
        if len(ids) == 0:
            raise ValueError(f"no record of {run.name} has one of the classes")
        return ids


def open_twins(folder: Path | str, split: str) -> Store:
    """Opens the generated ECGs in a folder of `diffusion_prior.generate`; a ValueError if they are of another split."""
    path = Path(folder) / "store"
    if not (path / "manifest.json").is_file():
        raise ValueError(
            f"generated.{split}={folder} is no finished run of diffusion_prior.generate: {_command(split, folder)}"
        )
    store = Store.open(path)
    if store.manifest.get("source") != GENERATED:
        raise ValueError(f"generated.{split}={folder} holds ECGs that were not generated: {_command(split, folder)}")
    if len(store.rows(split)) != len(store):
        raise ValueError(f"generated.{split}={folder} holds twins of another split: {_command(split)}")
    return store


def _command(split: str, folder: Path | str = "<folder>") -> str:
    return f"python -m diffusion_prior.generate dataset.training_class={split} generate.results_path={folder}"
