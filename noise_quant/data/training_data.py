"""Training images of clean leads: of stored scalograms, or made on the fly from ECGs, with artefacts or without."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from diffusion_prior.training.data import gather
from einthoven.checked_files import intact, read_csv, read_table
from einthoven.ecg.checks import lead_problems
from einthoven.ecg.leads import LEADS
from noise_quant.data.artefacts import Artefacts
from noise_quant.data.noise_labels import lead_labels
from noise_quant.scalogram.image import MAX_LEVEL, ScalogramSettings, levels_image, scalogram_image
from noise_quant.scalogram.store import ScalogramStore
from preprocessing.cohorts.cinc2011 import cinc2011_half
from preprocessing.store.store import Store

TRAINING_HALF = "fit"
"""Half of the CinC 2011 records that may be trained on."""


class TrainingData(ABC):
    """Batches of images of leads that are clean and usable, each as often as any other, for a trainer.

    Trains on the leads of split "train" (folds 1-8 of PTB-XL, the acceptable records of one half of CinC 2011) and
    validates on those of split "val" (fold 9).

    Attributes:
        stores: Stores to draw from.
        scalogram: Settings of the images.
        discretization: Whether images take 256 levels only.
        training: The leads trained on: `store` (its number), `row`, `ecg_id`, `lead`, `index` (of the lead), `split`.
        validated: The leads validated on, a fixed random choice.
    """

    stores: Sequence[Store] | Sequence[ScalogramStore]
    scalogram: ScalogramSettings
    discretization: bool
    validated: pd.DataFrame

    def _choose(self, leads: Sequence[pd.DataFrame], selection: str | Path | None) -> pd.DataFrame:
        """Sets `training` from the clean leads of each store and a selection; returns those to validate on."""
        table = pd.concat([part.assign(store=number) for number, part in enumerate(leads)], ignore_index=True)
        training, validation = (table[table["split"] == split].reset_index(drop=True) for split in ("train", "val"))
        self.training = training if selection is None else _selected(training, selection)
        if self.training.empty or validation.empty:
            raise ValueError(
                f"the stores hold {len(self.training)} clean leads to train on (folds 1-8) and {len(validation)} to "
                "validate on (fold 9); both are needed: add a store of PTB-XL with these folds to dataset.stores"
            )
        return validation

    def __len__(self) -> int:
        """Returns the number of leads to train on."""
        return len(self.training)

    def batch(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draws n leads with replacement, by these random numbers alone.

        Returns:
            `x`, clean images in [-1, 1], shape (n, 1, 32, 256), and with artefacts `noisy`, of the same leads.
        """
        picks = torch.randint(len(self.training), (n,), generator=generator).numpy()
        return self._images(self.training.iloc[picks], generator)

    def validation(self) -> dict[str, Tensor]:
        """Returns the leads validated on, always the same images, as `batch` does."""
        return self._images(self.validated, None)

    @abstractmethod
    def _images(self, leads: pd.DataFrame, generator: Generator | None) -> dict[str, Tensor]:
        """Returns the images of rows of `training`, or of all to validate on where there is no generator."""


class ScalogramData(TrainingData):
    """Images of stored scalograms.

    They have 256 levels; without discretization each is spread evenly over its width in training.

    Args:
        stores: Stores to draw from, of the same settings.
        selection: List of leads (.parquet or .csv with `ecg_id` and `lead`): only these are trained on; None: all.
        discretization: As above.
        max_validation: Most leads to validate on.

    Raises:
        ValueError: If there are no stores, their settings differ, or there is no lead to train or to validate on.
    """

    stores: Sequence[ScalogramStore]

    def __init__(
        self,
        stores: Sequence[ScalogramStore],
        selection: str | Path | None = None,
        discretization: bool = True,
        max_validation: int = 512,
    ) -> None:
        if not stores:
            raise ValueError("no store of scalograms to train on: give 'dataset.stores=[FOLDER,...]'")
        if len({store.scalogram for store in stores}) > 1:
            raise ValueError(
                "the stores' images have different scalogram settings: compute them with the same ones, "
                + "; ".join(f"{store.path}: {store.scalogram}" for store in stores)
            )
        self.stores, self.discretization, self.scalogram = stores, discretization, stores[0].scalogram
        validation = self._choose([_good_leads(store) for store in stores], selection)
        chosen = np.sort(np.random.default_rng(0).permutation(len(validation))[:max_validation])
        self.validated = validation.iloc[chosen]

    def _images(self, leads: pd.DataFrame, generator: Generator | None) -> dict[str, Tensor]:
        origins, row, index = leads[["store", "row", "index"]].to_numpy().T
        levels = gather(origins, lambda number, here: self.stores[number].images(row[here], index[here]))
        image = levels_image(levels)[:, None]
        if generator is None or self.discretization:
            return {"x": image}
        spread = (torch.rand(image.shape, generator=generator) - 0.5) / (MAX_LEVEL / 2)
        return {"x": (image + spread).clamp(-1, 1)}


class LeadData(TrainingData):
    """Images made on the fly from unfiltered ECGs.

    Args:
        stores: Stores of unfiltered ECGs, all of one rate and length; PTB-XL is validated on.
        scalogram: Settings of the scalograms.
        discretization: Whether images take 256 levels only.
        artefacts: What is added to the leads; None for nothing.
        selection: As for `ScalogramData`.
        max_validation: Most leads to validate on.
    """

    stores: Sequence[Store]

    def __init__(
        self,
        stores: Sequence[Store],
        scalogram: ScalogramSettings,
        discretization: bool = True,
        artefacts: Artefacts | None = None,
        selection: str | Path | None = None,
        max_validation: int = 512,
    ) -> None:
        forms = {(store.sampling_rate, store.n_samples) for store in stores}
        if len(forms) != 1:
            raise ValueError(f"the stores must share one rate and length, not {sorted(forms)}: prepare them alike")
        self.stores, self.scalogram, self.discretization, self.artefacts = stores, scalogram, discretization, artefacts
        self.sampling_rate = stores[0].sampling_rate
        validation = self._choose([clean_leads(store) for store in stores], selection)
        self.validated = validation.sample(frac=1, random_state=0)[:max_validation]

    def _images(self, leads: pd.DataFrame, generator: Generator | None) -> dict[str, Tensor]:
        generator = generator or Generator().manual_seed(0)
        origins, row, index = leads[["store", "row", "index"]].to_numpy().T

        def read(number: int, here: NDArray[np.int64]) -> NDArray[np.float32]:
            store = self.stores[number]
            signals: NDArray[np.int16] = store.signals[row[here], index[here]]
            return signals.astype(np.float32) / np.float32(store.units_per_mv)

        x = torch.from_numpy(gather(origins, read))
        if self.artefacts is None:
            return {"x": self._image(x)}
        x = self.artefacts.vary(x, generator)
        noisy = self.artefacts.add(x, self.sampling_rate, generator)
        return dict(zip(("x", "noisy"), self._image(torch.cat([x, noisy])).chunk(2), strict=True))

    def _image(self, signals: Tensor) -> Tensor:
        return scalogram_image(signals, self.sampling_rate, self.scalogram, self.discretization)[:, None]


def clean_leads(store: Store) -> pd.DataFrame:
    """Lists the leads of a store that are clean by label and by signal; of CinC 2011 the half to train on.

    Args:
        store: Store of unfiltered ECGs, of PTB-XL or of CinC 2011 (records labelled acceptable); ValueError if not.

    Returns:
        Columns `ecg_id`, `lead`, `split`, `row` (of the store) and `index` (of the lead).
    """
    settings = store.manifest.get("inputs", {}).get("settings", {})
    if settings.get("name") not in ("ptbxl", "cinc2011") or settings.get("filtered", True):
        raise ValueError(
            f"{store.path} is no store of unfiltered records: prepare one with python -m preprocessing.prepare_ptbxl "
            "dataset.filtered=false, or preprocessing.prepare_cinc2011 dataset.filtered=false"
        )
    table = store.table[["ecg_id", "split"]].assign(row=np.arange(len(store)))
    if settings["name"] == "cinc2011":
        table = table[[cinc2011_half(key) == TRAINING_HALF for key in table["ecg_id"]]]
    labels = lead_labels(store.table)
    leads = labels.loc[labels["clean"], ["ecg_id", "lead"]].merge(table, on="ecg_id")
    leads["index"] = [store.leads.index(lead) for lead in leads["lead"]]
    problems = {row: lead_problems(store.read([row])[0], store.sampling_rate) for row in leads["row"].unique()}
    usable = [not problems[row][index] for row, index in zip(leads["row"], leads["index"], strict=True)]
    return leads[usable].reset_index(drop=True)


def _good_leads(store: ScalogramStore) -> pd.DataFrame:
    """Lists the clean and usable leads of a store of scalograms, with the columns of `clean_leads`."""
    leads = store.lead_rows()
    leads["row"], leads["index"] = np.divmod(np.arange(len(leads)), len(LEADS))
    return leads.loc[leads["clean"] & ~leads["unusable"], ["ecg_id", "lead", "split", "row", "index"]]


def read_selection(path: str | Path) -> pd.DataFrame:
    """Reads a list of leads as `noise_quant.refine` writes it, .parquet or .csv: `ecg_id` and `lead`, each pair once.

    Raises:
        ValueError: If the file is missing, of another kind, lacks a column, names an unknown lead or lists none.
    """
    file = Path(path)
    if not file.is_file() or file.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{file} is no list of leads: give the selection.parquet or .csv that noise_quant.refine made")
    table = read_table(file) if file.suffix == ".parquet" else read_csv(file)
    absent = [column for column in ("ecg_id", "lead") if column not in table]
    if absent:
        raise ValueError(f"{file} lacks column(s) {', '.join(absent)}; a selection has ecg_id and lead")
    unknown = sorted(set(table["lead"].astype(str)) - set(LEADS))
    if unknown or table.empty:
        raise ValueError(f"{file} names unknown leads {unknown}" if unknown else f"{file} selects no lead")
    with intact(file, "give a whole number as ecg_id"):
        return table[["ecg_id", "lead"]].astype({"ecg_id": np.int64, "lead": str}).drop_duplicates(ignore_index=True)


def _selected(training: pd.DataFrame, selection: str | Path) -> pd.DataFrame:
    """Keeps the leads of a selection, in their order; warns where some of it are no leads to train on."""
    wanted = read_selection(selection)
    kept = training.merge(wanted, on=["ecg_id", "lead"], how="inner", validate="many_to_one")
    n_found = len(kept[["ecg_id", "lead"]].drop_duplicates())
    if n_found == 0:
        raise ValueError(f"none of the {len(wanted)} leads of {selection} are clean training leads of the stores")
    if n_found < len(wanted):
        warnings.warn(
            f"{len(wanted) - n_found} of the {len(wanted)} leads of {selection} are no clean training leads of the "
            "stores and are left out",
            stacklevel=3,
        )
    return kept
