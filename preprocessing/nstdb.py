"""The MIT-BIH Noise Stress Test Database: half an hour each of baseline wander, electrode motion and muscle artefact.

Moody, Muldrow, Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 11, 381 (1984). Two channels
at 360 Hz, recorded from electrodes where the heart hardly shows. The headers state no gain, so the noise has no
millivolts: each channel is given here in units of its own standard deviation, to be scaled by
`preprocessing.mixing`. The first half in time is for fitting and validation, the second for tests.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray
from scipy import signal

from preprocessing.filters import fill_gaps, resample
from preprocessing.hashing import hash_json
from preprocessing.records import INVALID

HALVES: tuple[str, ...] = ("fit", "test")
NOISE_TYPES: dict[str, str] = {"bw": "baseline wander", "em": "electrode motion", "ma": "muscle artefact"}
SOURCE_RATE = 360
GAP_S = 10.0
"""Seconds left out where the halves meet, so that slow noise does not reach from one into the other."""
HIGH_PASS_ORDER = 3


def read_nstdb(
    root: str | Path,
    noise_type: str,
    sampling_rate: float,
    half: str,
    high_pass: float | None = None,
) -> NDArray[np.float64]:
    """Reads one half of a noise recording.

    Args:
        root: Folder with `bw`, `em` and `ma`, as downloaded.
        noise_type: "bw", "em" or "ma".
        sampling_rate: Sampling rate of the result in Hz.
        half: "fit", the first half in time, or "test", the second.
        high_pass: Corner in Hz of a high-pass (Butterworth, zero phase), or None. Muscle noise carries slow drift too:
            give 1.0 where pure muscle noise is meant.

    Returns:
        Noise without unit, each channel with mean 0 and standard deviation 1 over the half, shape (2, L).

    Raises:
        ValueError: If the folder lacks the recording, or it, or an argument, is not as expected.
    """
    if noise_type not in NOISE_TYPES:
        raise ValueError(f"no noise {noise_type!r}: choose one of {', '.join(NOISE_TYPES)}")
    if half not in HALVES:
        raise ValueError(f"no half {half!r}: choose fit (the first in time) or test (the second)")
    if high_pass is not None and not 0 < high_pass < min(sampling_rate, SOURCE_RATE) / 2:
        raise ValueError(f"the high-pass must lie between 0 and half the sampling rate, not at {high_pass:g} Hz")
    return _read_half(str(root), noise_type, float(sampling_rate), half, high_pass).copy()


def noise_pieces(
    noise: NDArray[np.float64], n_samples: int, n_leads: int, keys: Sequence[int | str]
) -> NDArray[np.float64]:
    """Cuts pieces of noise for the leads of a record, each with a start and a channel of its own.

    Args:
        noise: Noise, shape (channels, L).
        n_samples: Length of the pieces in samples.
        n_leads: Number of leads.
        keys: What the draws depend on, such as (seed, record, type of noise): the same keys, the same pieces. The first
            leads of a record have the same pieces however many leads follow.

    Returns:
        Noise with mean 0 in each lead, shape (n_leads, n_samples).

    Raises:
        ValueError: If the noise is shorter than a piece.
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
    digital[record.d_signal == [INVALID.get(fmt, -(2**31)) for fmt in record.fmt]] = np.nan
    return fill_gaps(digital.T)
