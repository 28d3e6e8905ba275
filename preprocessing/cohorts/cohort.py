"""A data set of which a store of ECGs is prepared: what the store is made from, and how a record is read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from einthoven.command.ending import Outcome
from einthoven.run.run_folder import RunFolder
from preprocessing.store.builder import MAX_SKIPPED, build_store
from preprocessing.store.files import SignalForm
from preprocessing.store.preparation import Inputs, Reader, Summary, settled_path
from preprocessing.store.store import Store

DURATION_S = 10.0
"""Length of a record."""


@dataclass(frozen=True)
class Cohort(ABC):
    """What decides the content of a store. A data set derives a class from it, in a file of its own.

    Attributes:
        standard: Settings whose store lies where it is asked for; others are named in a folder beside it.
        full_size: Number of records in the whole data set, where that is known.
        sampling_rate: Rate of the store in Hz.
    """

    standard: ClassVar[Mapping[str, Any]] = {}
    full_size: ClassVar[int | None] = None
    sampling_rate: float = 100

    @property
    def n_samples(self) -> int:
        """Number of samples of a record in the store."""
        return round(DURATION_S * self.sampling_rate)

    @abstractmethod
    def inputs(self, raw_path: str | Path) -> Inputs:
        """Lists everything that the store is made from; ValueError if the folder is another one, or holds no record."""

    @abstractmethod
    def reader(self, inputs: Inputs) -> Reader:
        """Returns what reads and processes one record of `inputs`."""


def prepare(
    cohort: Cohort,
    raw_path: str | Path,
    database_path: str | Path,
    *,
    n_workers: int | None = None,
    max_skipped: float = MAX_SKIPPED,
) -> Summary:
    """Prepares a store of a data set; continues one that was interrupted, and leaves one that is up to date.

    Args:
        cohort: The data set and its settings.
        raw_path: The data set's folder; ValueError if it, or too many records, are broken.
        database_path: Folder of the store; other settings than the standard ones go to a folder beside it.
        n_workers: Processes; by default one per CPU core.
        max_skipped: Largest fraction of broken records that is no error.
    """
    inputs = cohort.inputs(raw_path)
    return build_store(
        settled_path(Path(database_path), inputs.settings, cohort.standard),
        inputs,
        cohort.reader(inputs),
        SignalForm(cohort.n_samples, cohort.sampling_rate),
        n_workers=n_workers,
        max_skipped=max_skipped,
    )


def prepare_run(cohort: Cohort, config: dict[str, Any], folder: Path) -> Outcome:
    """Prepares the store that a script's config asks for, leaves a run folder and says what was done.

    Args:
        cohort: The data set and its settings.
        config: Settings of the script; `dataset` has `raw_path`, `database_path`, `n_workers` and `max_skipped`.
        folder: Where to write the run folder.
    """
    dataset = config["dataset"]
    max_skipped = 1.0 if dataset.get("allow_skipped") else dataset["max_skipped"]
    raw_path, place = Path(dataset["raw_path"]), Path(dataset["database_path"])
    summary = prepare(cohort, raw_path, place, n_workers=dataset["n_workers"], max_skipped=max_skipped)
    manifest_hash = Store.open(summary.store).manifest_hash
    RunFolder.create(folder, config, seed=config["seed"], device="cpu", data_manifest_hash=manifest_hash)
    then = ["inpaint", f"dataset.store={summary.store}"]
    return Outcome(summary.describe(cohort.full_size), [summary.store], then)
