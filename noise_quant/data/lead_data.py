"""Training batches made on the fly from ECG leads: scalograms of clean leads, and of the same leads with artefacts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from diffusion_prior.training.data import gather
from einthoven.ecg.checks import lead_problems
from noise_quant.data.artefacts import Artefacts
from noise_quant.data.noise_labels import lead_labels
from noise_quant.scalogram.image import ScalogramSettings, scalogram_image
from preprocessing.cohorts.cinc2011 import cinc2011_half
from preprocessing.store.store import Store

TRAINING_HALF = "fit"
"""Half of the CinC 2011 records that may be trained on."""


@dataclass
class LeadData:
    """Batches of clean leads.

    Leads are trained on where no noise is noted and nothing is wrong with the signal: of PTB-XL those of folds 1 to 8,
    of CinC 2011 those of acceptable records of one half. Fold 9 validates.

    Attributes:
        stores: Stores of unfiltered ECGs, all of one rate and length; PTB-XL is validated on.
        scalogram: Settings of the scalograms.
        discretization: Whether images take 256 levels only.
        artefacts: What is added to the leads; None for nothing.
        selection: The only leads to train on, columns `ecg_id` and `lead`; None for all clean ones.
        max_validation: Most leads to validate on.
    """

    stores: Sequence[Store]
    scalogram: ScalogramSettings
    discretization: bool = True
    artefacts: Artefacts | None = None
    selection: pd.DataFrame | None = None
    max_validation: int = 512

    def __post_init__(self) -> None:
        forms = {(store.sampling_rate, store.n_samples) for store in self.stores}
        if len(forms) != 1:
            raise ValueError(f"the stores must share one rate and length, not {sorted(forms)}: prepare them alike")
        self.sampling_rate = self.stores[0].sampling_rate
        leads = [clean_leads(store).assign(store=number) for number, store in enumerate(self.stores)]
        table = pd.concat(leads, ignore_index=True)
        training, validation = table[table["split"] == "train"], table[table["split"] == "val"]
        if self.selection is not None:
            training = training.merge(self.selection[["ecg_id", "lead"]].drop_duplicates(), on=["ecg_id", "lead"])
        if training.empty or validation.empty:
            raise ValueError(
                f"{len(training)} clean leads to train on and {len(validation)} to validate on: both are needed; give "
                "stores of unfiltered records, and a selection of leads that they hold"
            )
        self._training = training[["store", "row", "index"]].to_numpy()
        shuffled = validation.sample(frac=1, random_state=0)[: self.max_validation]
        self._validation = shuffled[["store", "row", "index"]].to_numpy()

    def __len__(self) -> int:
        """Returns the number of leads to train on."""
        return len(self._training)

    def batch(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draws n leads with replacement, by these random numbers alone.

        Returns:
            `x`, clean images in [-1, 1], shape (n, 1, 32, 256), and with artefacts `noisy`, of the same leads.
        """
        picks = torch.randint(len(self._training), (n,), generator=generator).numpy()
        return self._images(self._training[picks], generator)

    def validation(self) -> dict[str, Tensor]:
        """Returns leads of fold 9, always the same and with the same artefacts, as `batch` does."""
        return self._images(self._validation, torch.Generator().manual_seed(0))

    def _images(self, places: NDArray[np.int64], generator: Generator) -> dict[str, Tensor]:
        x = torch.from_numpy(gather(places[:, 0], lambda number, here: self._read(number, places[here])))
        if self.artefacts is None:
            return {"x": self._image(x)}
        x = self.artefacts.vary(x, generator)
        noisy = self.artefacts.add(x, self.sampling_rate, generator)
        return dict(zip(("x", "noisy"), self._image(torch.cat([x, noisy])).chunk(2), strict=True))

    def _read(self, number: int, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Reads leads of one store in mV, shape (n, L)."""
        store = self.stores[number]
        signals: NDArray[np.int16] = store.signals[places[:, 1], places[:, 2]]
        return signals.astype(np.float32) / np.float32(store.units_per_mv)

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
