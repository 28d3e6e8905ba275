"""Training images of clean leads, drawn from stores of scalograms by step, and lists of selected leads."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from diffusion_prior.training.data import gather
from einthoven.ecg.leads import LEADS
from noise_quant.scalogram.image import MAX_LEVEL, levels_image
from noise_quant.scalogram.store import ScalogramStore


class ScalogramData:
    """Batches of images of leads that are clean and usable, for `diffusion_prior.training.trainer`.

    Trains on the leads of split "train" (folds 1-8 of PTB-XL, the acceptable records of one half of CinC 2011) and
    validates on those of split "val" (fold 9). Stored images have 256 levels; without discretization each level is
    spread evenly over its width, so that images are continuous again.

    Args:
        stores: Stores to draw from, each lead as often as any other.
        selection: List of leads (.parquet or .csv with `ecg_id` and `lead`): only these are trained on; None: all.
        discretization: Whether images take the 256 levels only.
        max_validation: Most leads to validate on, a fixed random choice.

    Attributes:
        stores: The stores.
        scalogram: Settings of their images.
        training: The leads trained on: `store` and `row` (numbers), `ecg_id`, `lead`.
        validated: The leads validated on, likewise.

    Raises:
        ValueError: If there are no stores, their images have different settings, or no lead is left to train or to
            validate on.
    """

    def __init__(
        self,
        stores: Sequence[ScalogramStore],
        selection: str | Path | None = None,
        discretization: bool = True,
        max_validation: int = 512,
    ) -> None:
        if not stores:
            raise ValueError("no store of scalograms to train on: give dataset.stores=[<folder>, ...]")
        if len({store.scalogram for store in stores}) > 1:
            raise ValueError(
                "the stores' images have different scalogram settings: compute them with the same ones, "
                + "; ".join(f"{store.path}: {store.scalogram}" for store in stores)
            )
        self.stores, self.discretization = list(stores), discretization
        self.scalogram = stores[0].scalogram
        leads = pd.concat([_good_leads(number, store) for number, store in enumerate(stores)], ignore_index=True)
        self.training = leads[leads["split"] == "train"].reset_index(drop=True)
        if selection is not None:
            self.training = _selected(self.training, selection)
        validated = leads[leads["split"] == "val"].reset_index(drop=True)
        if self.training.empty or validated.empty:
            raise ValueError(
                f"the stores hold {len(self.training)} clean leads to train on (folds 1-8) and {len(validated)} to "
                "validate on (fold 9); both are needed: add a store of PTB-XL with these folds to dataset.stores"
            )
        chosen = np.sort(np.random.default_rng(0).permutation(len(validated))[:max_validation])
        self.validated = validated.iloc[chosen].reset_index(drop=True)

    def __len__(self) -> int:
        """Returns the number of leads to train on."""
        return len(self.training)

    def batch(self, n: int, generator: Generator) -> dict[str, Tensor]:
        """Draws n images with replacement, by these random numbers alone: `x`, in [-1, 1], shape (n, 1, 32, 256)."""
        picks = torch.randint(len(self.training), (n,), generator=generator).numpy()
        image = self._images(self.training, picks)
        if not self.discretization:
            spread = (torch.rand(image.shape, generator=generator) - 0.5) / (MAX_LEVEL / 2)
            image = (image + spread).clamp(-1, 1)
        return {"x": image}

    def validation(self) -> dict[str, Tensor]:
        """Returns the leads validated on, always the same images, as `batch` does."""
        return {"x": self._images(self.validated, np.arange(len(self.validated)))}

    def _images(self, leads: pd.DataFrame, picks: np.ndarray) -> Tensor:
        """Returns the images of rows of a table of leads, shape (n, 1, 32, 256)."""
        origins, places = (leads[name].to_numpy()[picks] for name in ("store", "row"))
        record, lead = np.divmod(places, len(LEADS))
        levels = gather(origins, lambda number, here: self.stores[number].images(record[here], lead[here]))
        return levels_image(levels)[:, None]


def read_selection(path: str | Path) -> pd.DataFrame:
    """Reads a list of leads as `noise_quant.refine` writes it, .parquet or .csv: `ecg_id` and `lead`, each pair once.

    Raises:
        ValueError: If the file is missing, of another kind, lacks a column, names an unknown lead or lists none.
    """
    file = Path(path)
    if not file.is_file() or file.suffix not in (".parquet", ".csv"):
        raise ValueError(f"{file} is no list of leads: give the selection.parquet or .csv that noise_quant.refine made")
    table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    absent = [column for column in ("ecg_id", "lead") if column not in table]
    if absent:
        raise ValueError(f"{file} lacks column(s) {', '.join(absent)}; a selection has ecg_id and lead")
    unknown = sorted(set(table["lead"].astype(str)) - set(LEADS))
    if unknown or table.empty:
        raise ValueError(f"{file} names unknown leads {unknown}" if unknown else f"{file} selects no lead")
    return table[["ecg_id", "lead"]].astype({"ecg_id": np.int64, "lead": str}).drop_duplicates(ignore_index=True)


def _good_leads(number: int, store: ScalogramStore) -> pd.DataFrame:
    """Lists the clean and usable leads of a store: `store`, `row` (of `store.leads`), `ecg_id`, `lead`, `split`."""
    leads = store.lead_rows()
    leads["store"], leads["row"] = number, np.arange(len(leads))
    good = leads["clean"] & ~leads["unusable"]
    return leads.loc[good, ["store", "row", "ecg_id", "lead", "split"]]


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
