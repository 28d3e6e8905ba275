"""The MIT-BIH Noise Stress Test Database: half an hour each of baseline wander, electrode motion and muscle artefact.

Moody, Muldrow, Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 11, 381 (1984). Two channels
at 360 Hz, recorded from electrodes where the heart hardly shows. The headers state no gain, so the noise has no
millivolts: each channel is given here in units of its own standard deviation, to be scaled by
`preprocessing.mixing`. The first half in time is for fitting and validation, the second for tests.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from einthoven.checked_files import intact, read_arrays, read_json
from einthoven.ecg.filters import fill_gaps, resample
from einthoven.ecg.formats.wfdb_files.samples import missing_value
from einthoven.run.files import atomic_write, write_json
from einthoven.run.hashing import hash_file, hash_json
from preprocessing.mixing import mix_at_power, mix_at_snr

HALVES: tuple[str, ...] = ("fit", "test")
NOISE_TYPES: dict[str, str] = {"bw": "baseline wander", "em": "electrode motion", "ma": "muscle artefact"}
MIX = "mix"
"""Bw, em and ma together, each of the same power in a record."""
SOURCE_RATE = 360
GAP_S = 10.0
"""Seconds left out where the halves meet, so that slow noise does not reach from one into the other."""
HIGH_PASS_ORDER = 3
NOISE = "noise.npz"
MANIFEST = "manifest.json"


def read_nstdb(
    root: str | Path,
    noise_type: str,
    sampling_rate: float,
    half: str,
    high_pass: float | None = None,
) -> NDArray[np.float64]:
    """Reads half of a noise recording, shape (2, L), without unit: each channel has mean 0 and standard deviation 1.

    Args:
        root: Folder with `bw`, `em` and `ma`, as downloaded; ValueError if it lacks the recording, or that is broken.
        noise_type: "bw", "em" or "ma".
        sampling_rate: Sampling rate of the result in Hz.
        half: "fit", the first half in time, or "test", the second.
        high_pass: Corner in Hz of a high-pass (Butterworth, zero phase), or None. Muscle noise carries slow drift too:
            give 1.0 where pure muscle noise is meant.
    """
    if noise_type not in NOISE_TYPES:
        raise ValueError(f"no noise {noise_type!r}: choose one of {', '.join(NOISE_TYPES)}")
    if half not in HALVES:
        raise ValueError(f"no half {half!r}: choose fit (the first in time) or test (the second)")
    if high_pass is not None and not 0 < high_pass < min(sampling_rate, SOURCE_RATE) / 2:
        raise ValueError(f"the high-pass must lie between 0 and half the sampling rate, not at {high_pass:g} Hz")
    return _read_half(str(root), noise_type, float(sampling_rate), half, high_pass).copy()


def prepare_nstdb(source: str | Path, folder: str | Path, sampling_rate: float) -> dict[str, object]:
    """Writes the halves of the three recordings at one rate into a folder, for `load_noise`; errors as of `read_nstdb`.

    Args:
        source: Folder with `bw`, `em` and `ma`, as downloaded.
        folder: Where to write `noise.npz`, arrays such as `bw_fit (2, n)`, float32, and, last, `manifest.json`.
        sampling_rate: Sampling rate of the result in Hz.

    Returns:
        The manifest: sampling rate, hashes of the sources and of the result, and how the halves were cut.
    """
    source, folder = Path(source), Path(folder)
    arrays = {
        f"{noise_type}_{half}": read_nstdb(source, noise_type, sampling_rate, half).astype(np.float32)
        for noise_type in NOISE_TYPES
        for half in HALVES
    }
    (folder / MANIFEST).unlink(missing_ok=True)
    with atomic_write(folder / NOISE) as partial:
        np.savez(partial, **arrays)  # type: ignore[arg-type] # numpy's stub takes the keywords for allow_pickle
    manifest: dict[str, object] = {
        "name": "nstdb",
        "sampling_rate": float(sampling_rate),
        "source_rate": SOURCE_RATE,
        "gap_s": GAP_S,
        "unit": "standard deviations of each channel over the half",
        "n_samples": {name: array.shape[-1] for name, array in arrays.items()},
        "sources": {path.name: hash_file(path) for path in sorted(source.glob("[bem][wma].*"))},
        "noise_hash": hash_file(folder / NOISE),
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def load_noise(folder: str | Path, half: str, sampling_rate: float = 100.0) -> dict[str, NDArray[np.float64]]:
    """Reads one half of the three recordings: noise by type (bw, em, ma), without unit, shape (2, n).

    Args:
        folder: That of `prepare_nstdb`, or NSTDB as downloaded; ValueError if neither, damaged, or of another rate.
        half: "fit", the first half in time, or "test", the second.
        sampling_rate: Sampling rate of the result in Hz.
    """
    folder = Path(folder)
    if half not in HALVES:
        raise ValueError(f"no half {half!r}: choose fit (the first in time) or test (the second)")
    if (folder / "bw.hea").is_file():
        return {noise_type: read_nstdb(folder, noise_type, sampling_rate, half) for noise_type in NOISE_TYPES}
    if not (folder / MANIFEST).is_file():
        raise ValueError(
            f"{folder} holds no recorded noise: make it with python -m preprocessing.prepare_nstdb "
            "dataset.raw_path=<NSTDB folder>"
        )
    rate = read_json(folder / MANIFEST, "prepare it again").get("sampling_rate")
    if rate != sampling_rate:
        raise ValueError(f"the noise of {folder} has {rate} Hz, not {sampling_rate:g} Hz: prepare it at that rate")
    arrays = read_arrays(folder / NOISE, lambda name: name.endswith(f"_{half}"), hint="prepare it again")
    with intact(folder / NOISE, "prepare it again"):
        return {noise_type: arrays[f"{noise_type}_{half}"].astype(np.float64) for noise_type in NOISE_TYPES}


def noise_pieces(
    noise: NDArray[np.float64], n_samples: int, n_leads: int, keys: Sequence[int | str]
) -> NDArray[np.float64]:
    """Cuts pieces of noise for the leads of a record, each with a start and a channel of its own.

    Args:
        noise: Noise, shape (channels, L); ValueError if it is shorter than a piece.
        n_samples: Length of the pieces in samples.
        n_leads: Number of leads.
        keys: What the draws depend on, such as (seed, record, type of noise): the same keys, the same pieces. The first
            leads of a record have the same pieces however many leads follow.

    Returns:
        Noise with mean 0 in each lead, shape (n_leads, n_samples).
    """
    n_starts = noise.shape[-1] - n_samples + 1
    if n_starts < 1 or n_samples < 2:
        raise ValueError(f"noise of {noise.shape[-1]} samples has no piece of {n_samples}: give a shorter ECG")
    rng = np.random.default_rng(int(hash_json(list(keys))[:16], 16))
    draws = rng.random((n_leads, 2))
    channels = (draws[:, 0] * len(noise)).astype(np.int64)
    starts = (draws[:, 1] * n_starts).astype(np.int64)
    pieces = noise[channels[:, None], starts[:, None] + np.arange(n_samples)]
    return np.asarray(pieces - pieces.mean(axis=1, keepdims=True))


def mix_recorded_noise(
    x: NDArray[np.float32],
    noise: Mapping[str, NDArray[np.floating]],
    noise_type: str,
    keys: Sequence[int],
    seed: int,
    *,
    snr_db: float | None = None,
    power: float | None = None,
) -> NDArray[np.float32]:
    """Adds recorded noise to the independent leads of ECGs; each lead of a record gets a piece of its own.

    The draws depend on the seed, the record's key and the type of noise alone, not on the amount of noise.

    Args:
        x: Clean ECGs in mV, shape (B, C, L): the independent leads, from which the others are to follow.
        noise: By type, noise at the ECGs' rate, shape (channels, n).
        noise_type: One of `noise`, or "mix": bw, em and ma, each of the same power over a record's leads.
        keys: Keys of the records, B of them.
        seed: Seed.
        snr_db: Signal-to-noise ratio of each record over its leads in dB, as in `mix_at_snr`; this or `power`.
        power: Peak-to-peak value of each lead's noise relative to the lead's own, as in `mix_at_power`.

    Returns:
        Noisy ECGs in mV, shape (B, C, L), float32.
    """
    types = tuple(NOISE_TYPES) if noise_type == MIX else (noise_type,)
    if noise_type != MIX and noise_type not in NOISE_TYPES or not set(types) <= noise.keys():
        raise ValueError(f"no noise {noise_type!r} among {', '.join(noise)}: choose one of bw, em, ma, or mix of all")
    if (snr_db is None) == (power is None):
        raise ValueError("give the amount of noise once: either snr_db or power")
    if len(keys) != len(x):
        raise ValueError(f"{len(keys)} keys for {len(x)} records: give one a record")
    added = np.zeros(x.shape)
    for name in types:
        draws = [
            noise_pieces(np.asarray(noise[name], float), x.shape[2], x.shape[1], (seed, key, name)) for key in keys
        ]
        pieces = np.stack(draws)
        added += pieces / np.sqrt((pieces**2).mean(axis=(1, 2), keepdims=True))
    clean = x.astype(np.float64)
    mixed = mix_at_snr(clean, added, snr_db) if snr_db is not None else mix_at_power(clean, added, float(power or 0.0))
    return mixed.astype(np.float32)


@lru_cache(maxsize=16)
def _read_half(
    root: str, noise_type: str, sampling_rate: float, half: str, high_pass: float | None
) -> NDArray[np.float64]:
    noise = _read_channels(Path(root), noise_type)
    middle, gap = noise.shape[-1] // 2, round(GAP_S / 2 * SOURCE_RATE)
    if middle <= 2 * gap:
        raise ValueError(f"{root}/{noise_type} is too short to be halved: download NSTDB again")
    part = noise[:, : middle - gap] if half == "fit" else noise[:, middle + gap :]
    part = resample(part, SOURCE_RATE, sampling_rate)
    if high_pass is not None:
        sections = signal.butter(HIGH_PASS_ORDER, high_pass, "highpass", fs=sampling_rate, output="sos")
        part = signal.sosfiltfilt(sections, part, axis=-1)
    part = part - part.mean(axis=1, keepdims=True)
    deviation = part.std(axis=1, keepdims=True)
    if (deviation == 0).any():
        raise ValueError(f"a channel of {root}/{noise_type} does not change: download NSTDB again")
    return np.asarray(part / deviation)


def _read_channels(root: Path, noise_type: str) -> NDArray[np.float64]:
    """Reads a noise recording in units of its converter, shape (2, L), gaps bridged."""
    import wfdb  # and with it pandas: restorations need the names of the noises alone

    stem = root / noise_type
    if not stem.with_suffix(".hea").is_file():
        raise ValueError(f"{root} lacks {noise_type}.hea: give NSTDB's folder, with bw, em and ma")
    try:
        record = wfdb.rdrecord(str(stem), physical=False)
    except Exception as error:
        raise ValueError(f"{stem} cannot be read: {error}; download NSTDB again") from error
    if record.fs != SOURCE_RATE or record.d_signal is None or record.d_signal.shape[1] != 2:
        raise ValueError(f"{stem} does not have two channels at {SOURCE_RATE} Hz: download NSTDB again")
    digital = np.asarray(record.d_signal, dtype=np.float64)
    digital[record.d_signal == [missing_value(fmt) or -(2**31) for fmt in record.fmt]] = np.nan
    return fill_gaps(digital.T)
