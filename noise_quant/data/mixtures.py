"""Clean leads of PTB-XL with recorded noise mixed in, at known signal-to-noise ratios."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from einthoven.ecg.checks import lead_problems
from einthoven.ecg.leads import LEADS, lead_rows
from einthoven.ecg.recording import Recording
from einthoven.run.hashing import hash_file
from noise_quant.data.sources import Source, SourceItem, choose_items, lead_items, ptbxl_labels, read_item
from preprocessing.cohorts import nstdb
from preprocessing.mixing import mix_at_snr

NOISES: tuple[str, ...] = tuple(nstdb.NOISE_TYPES)
SNR_DB: tuple[float, ...] = (24.0, 18.0, 12.0, 6.0, 0.0, -6.0)
NOISE_HALVES: dict[str, str] = {"val": "fit", "test": "test"}
"""Which half of the noise recordings goes with which split of PTB-XL."""
MA_HIGH_PASS_HZ = 1.0
"""73 to 88 % of the power of `ma` as recorded is drift below 1 Hz (measured), which `bw` stands for already."""


@dataclass(frozen=True)
class MixtureReader:
    """Reads clean leads and adds noise to them.

    The leads lose their mean; flat, saturated or clipped ones are left out. The noise is scaled by one gain for all
    leads of a record, so that they have the ratio as a whole. A record gets the same pieces at all ratios.

    Attributes:
        root: NSTDB's folder.
        half: Half of the noise recordings.
        ma_high_pass: Corner in Hz of the high-pass for `ma`, or None for `ma` as recorded.
        seed: Seed of the pieces.
    """

    root: Path
    half: str
    ma_high_pass: float | None
    seed: int

    def depends_on(self) -> dict[str, list[str]]:
        """Says what results depend on beside the attributes: the content of the noise recordings."""
        return {"recordings": [hash_file(path) for path in sorted(self.root.glob("[bem][wma].*"))]}

    def __call__(self, item: SourceItem) -> Recording:
        """Returns the noisy leads of an item with `noise_type` and `snr_db`; ValueError where its file is broken."""
        record = read_item(item)
        usable = np.array(lead_problems(record.signal, record.sampling_rate)) == ""
        leads = tuple(np.array(record.leads)[usable].tolist())
        if not leads:
            return replace(record, signal=record.signal[:0], leads=())
        x = record.signal[usable] - record.signal[usable].mean(axis=1, keepdims=True)
        noise_type = item.columns["noise_type"]
        high_pass = self.ma_high_pass if noise_type == "ma" else None
        noise = nstdb.read_nstdb(self.root, noise_type, record.sampling_rate, self.half, high_pass)
        keys = (self.seed, int(item.columns["ecg_id"]), noise_type)
        pieces = nstdb.noise_pieces(noise, x.shape[-1], len(LEADS), keys)[lead_rows(leads)]
        return replace(record, signal=mix_at_snr(x, pieces, item.columns["snr_db"]), leads=leads)


def mixture_source(
    raw_path: str | Path,
    nstdb_path: str | Path,
    split: str | None = None,
    noise_types: Sequence[str] = NOISES,
    snr_db: Sequence[float] = SNR_DB,
    n_records: int | None = None,
    ma_high_pass: float | None = MA_HIGH_PASS_HZ,
    seed: int = 0,
) -> Source:
    """Lists clean leads of PTB-XL (labels: `ptbxl_labels`), each to be mixed with each noise at each ratio.

    Args:
        raw_path: PTB-XL's folder as downloaded.
        nstdb_path: NSTDB's folder.
        split: "test", the default, or "val", each with its own half of the noise recordings (`NOISE_HALVES`).
        noise_types: Which of "bw", "em", "ma".
        snr_db: Ratios in dB.
        n_records: A fixed random choice of so many records; None: all of the split.
        ma_high_pass: Corner in Hz of a high-pass for `ma`; None: `ma` as recorded, mostly drift.
        seed: Seed of the noise's pieces.

    Raises:
        ValueError: If a folder or a value is not as expected, or the split has no clean lead.
    """
    split = split or "test"
    if split not in NOISE_HALVES:
        raise ValueError(f"mixtures are made of split val or test, which models were not trained on, not {split!r}")
    if not noise_types or not snr_db:
        raise ValueError("mixtures need at least one of noise_types and of snr_db")
    reader = MixtureReader(Path(nstdb_path), NOISE_HALVES[split], ma_high_pass, seed)
    for noise_type in noise_types:  # errors are reported before any work starts
        nstdb.read_nstdb(nstdb_path, noise_type, 500, reader.half)
    files, labels = ptbxl_labels(Path(raw_path))
    chosen = labels[labels["clean"] & (labels["split"] == split)]
    clean = choose_items(lead_items(chosen, files), n_records, f"{raw_path} holds no clean lead of split {split}")
    items = [
        SourceItem({**item.columns, "noise_type": noise_type, "snr_db": float(ratio)}, item.leads, item.file)
        for item in clean
        for noise_type in noise_types
        for ratio in snr_db
    ]
    return Source(items, labels, reader)
