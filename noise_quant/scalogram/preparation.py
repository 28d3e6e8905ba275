"""From recordings to a store of scalograms: PTB-XL and CinC 2011, unfiltered."""

import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from einthoven.ecg.checks import lead_problems
from einthoven.ecg.leads import LEADS
from einthoven.run.hashing import hash_file
from noise_quant.data.noise_labels import LABEL_COLUMNS, NOISE_TYPES, lead_labels, unread_texts
from noise_quant.scalogram.image import HEIGHT, MAX_LEVEL, WINDOW_S, ScalogramSettings, scalogram_image
from noise_quant.scalogram.store import PROBLEMS, ImageForm
from preprocessing.cohorts import cinc2011
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.store.builder import MAX_SKIPPED, build_store
from preprocessing.store.preparation import Inputs, Processed, RecordFile, Summary, read_file, settled_path

SCALOGRAM_VERSION = 1
"""Raised whenever images or reasons would change, so that older stores are made again."""
STEPS = (
    "resampled to scalogram.sampling_rate, where one is set",
    "mean of each lead taken away (not in the published form)",
    "superlet transform",
    "8-bit levels",
)


def prepare_scalograms(
    name: str,
    raw_path: str | Path,
    database_path: str | Path,
    *,
    scalogram: ScalogramSettings | None = None,
    source_rate: Literal["auto", 500, 100] = "auto",
    n_workers: int | None = None,
    max_skipped: float = MAX_SKIPPED,
) -> Summary:
    """Computes a store of scalograms; continues one that was interrupted, and leaves one that is up to date.

    Args:
        name: "ptbxl" or "cinc2011".
        raw_path: The data set's folder, as downloaded.
        database_path: Folder of the store; other settings than the default go to a folder beside it.
        scalogram: Settings of the scalograms; by default those of our models.
        source_rate: Which files of PTB-XL to read: "auto" takes the 500 Hz file where it is there, else the 100 Hz one.
        n_workers: Processes; by default one per CPU core.
        max_skipped: Largest fraction of broken records that is no error.

    Raises:
        ValueError: If the data set is unknown, its folder is broken, or too many records are.
    """
    if name not in SOURCES:
        raise ValueError(f"dataset.name must be one of {', '.join(SOURCES)}, not {name!r}")
    if scalogram is not None and scalogram.n_frequencies != HEIGHT:
        raise ValueError(f"images have {HEIGHT} rows: scalogram.n_frequencies cannot be others")
    plain = asdict(scalogram or ScalogramSettings())
    listed, labels = SOURCES[name](Path(raw_path), source_rate)
    standard: dict[str, Any] = {
        "name": name,
        "source_rate": "auto",
        "scalogram": asdict(ScalogramSettings()),
        "scalogram_version": SCALOGRAM_VERSION,
    }
    settings = {**standard, "source_rate": source_rate, "scalogram": plain}
    return build_store(
        settled_path(Path(database_path), settings, standard),
        replace(listed, settings=settings, steps=STEPS),
        ScalogramReader(scalogram or ScalogramSettings()),
        ImageForm(labels, plain),
        n_workers=n_workers,
        max_skipped=max_skipped,
    )


def _ptbxl(root: Path, source_rate: Literal["auto", 500, 100]) -> tuple[Inputs, pd.DataFrame]:
    """Lists the files of PTB-XL and labels its leads."""
    inputs = Ptbxl(source_rate=source_rate, filtered=False).inputs(root)
    present = inputs.table[inputs.table["ecg_id"].isin([file.ecg_id for file in inputs.files])]
    unread = len(unread_texts(present)["ecg_id"].unique())
    notes = {**inputs.notes, "records with a noise text that cannot be read": unread}
    return replace(inputs, notes=notes), lead_labels(present)


def _cinc2011(root: Path, source_rate: Literal["auto", 500, 100]) -> tuple[Inputs, pd.DataFrame]:
    """Lists the files of CinC 2011; the leads of its acceptable records count as clean."""
    if source_rate not in ("auto", cinc2011.SOURCE_RATE):
        raise ValueError(f"CinC 2011 has files of {cinc2011.SOURCE_RATE} Hz only: dataset.source_rate=auto")
    table = cinc2011.read_labels(root)
    files = cinc2011.find_files(root, table["ecg_id"])
    table["split"] = ["train" if half == "fit" else "test" for half in table["half"]]
    table["source"] = "cinc2011"
    labels = table[["ecg_id"]].merge(pd.DataFrame({"lead": LEADS}), how="cross")
    labels[[*NOISE_TYPES, "unread"]] = False
    labels["clean"] = np.repeat(table["acceptable"].to_numpy(), len(LEADS))
    sources = {listing: hash_file(root / listing) for listing in cinc2011.LISTINGS}
    notes = {"records in the lists": len(table), "records absent from this copy": len(table) - len(files)}
    return Inputs(files, table, {}, sources, STEPS, notes), labels[["ecg_id", "lead", *LABEL_COLUMNS]]


SOURCES: Mapping[str, Callable[[Path, Literal["auto", 500, 100]], tuple[Inputs, pd.DataFrame]]] = {
    "ptbxl": _ptbxl,
    "cinc2011": _cinc2011,
}
"""Data sets: from folder and source rate to the files and the labels of the leads."""


@dataclass(frozen=True)
class ScalogramReader:
    """Reads one record of ten seconds and computes its images, with these settings of the scalograms."""

    scalogram: ScalogramSettings

    def __call__(self, file: RecordFile) -> Processed:
        """Returns a record's images; ValueError if it is broken.

        These are levels, uint8, shape (12, 32, 256), and the column `PROBLEMS`: why each lead is unusable, empty where
        it is not. Of a lead with gaps the image is of zeros where nothing was measured.
        """
        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)
        ecg = read_file(file, WINDOW_S).ordered(LEADS)
        image = scalogram_image(np.nan_to_num(ecg), file.source_rate, self.scalogram)
        levels = ((image + 1) * (MAX_LEVEL / 2)).round().to(torch.uint8).numpy()
        return Processed(levels, {PROBLEMS: lead_problems(ecg, file.source_rate)})
