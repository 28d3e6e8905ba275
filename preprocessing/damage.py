"""Clean ECGs damaged on purpose, so that what finds and mends damage can be fitted and judged: a seeded protocol.

Of each record one to four leads are damaged, in one or two stretches of 1 to 8 s each, by one of

- `bw`, `em`, `ma`: recorded noise at -6 to 6 dB of the lead's power (muscle noise above 1 Hz);
- `off`: the electrode is off, and the lead constant, or within 5 uV of it;
- `saturation`: the amplifier is at its limit, 1.5 to 5 mV;
- `dropout`: pieces of 0.2 to 1 s in which the last value is held, or zeros are written.

In half of the records the leads are damaged one by one, as by a cable. In the other half noise comes from the
electrodes: what is added to leads I and II reaches the other limb leads by Einthoven's law, as in recorders that derive
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, LIMB_COEFFICIENTS
from einthoven.run.hashing import hash_json
from preprocessing.cohorts.nstdb import NOISE_TYPES, read_nstdb

KINDS: tuple[str, ...] = (*NOISE_TYPES, "off", "saturation", "dropout")
N_LEADS = (1, 4)
LENGTH_S = (1.0, 8.0)
SNR_DB = (-6.0, 6.0)
RAIL_MV = (1.5, 5.0)
DROPOUT_S = (0.2, 1.0)
FADE_S = 0.1
"""In so many seconds noise sets in and ends."""
MA_HIGH_PASS_HZ = 1.0
BAD_SHARE = 0.25
"""A second is bad where so much of it is damaged; where it is less, but not nothing, it is not counted."""


@dataclass(frozen=True)
class Stretch:
    """One damaged stretch: its lead, first sample and last + 1, kind, and signal-to-noise ratio in dB (noise only)."""

    lead: str
    start: int
    stop: int
    kind: str
    snr_db: float = np.nan


@dataclass(frozen=True)
class Damaged:
    """A damaged ECG.

    Attributes:
        signal: ECG in mV, shape (12, L).
        hurt: True where a sample was changed, shape (12, L).
        stretches: What was done.
    """

    signal: NDArray[np.float64]
    hurt: NDArray[np.bool_]
    stretches: tuple[Stretch, ...]


def damage_noise(root: str, sampling_rate: float, half: str) -> dict[str, NDArray[np.float64]]:
    """Reads the protocol's noise from a folder of NSTDB, by type, shape (2, n): see `read_nstdb`."""
    return {
        name: read_nstdb(root, name, sampling_rate, half, MA_HIGH_PASS_HZ if name == "ma" else None)
        for name in NOISE_TYPES
    }


def damage_ecg(
    ecg: NDArray[np.float64],
    sampling_rate: float,
    noise: Mapping[str, NDArray[np.float64]],
    key: int | str,
    seed: int = 0,
) -> Damaged:
    """Damages one ECG as the protocol says.

    Args:
        ecg: Clean ECG in mV, twelve leads in the order of `LEADS`, shape (12, L), at least 3 s.
        sampling_rate: Its rate in Hz.
        noise: Recorded noise at that rate by type (bw, em, ma), in any unit, shape (channels, n).
        key: Key of the record, to which with the seed the damage belongs.
        seed: Seed.
    """
    x = np.asarray(ecg, dtype=np.float64)
    if x.ndim != 2 or len(x) != len(LEADS):
        raise ValueError(f"the protocol damages twelve leads, not an ECG of shape {x.shape}")
    rng = np.random.default_rng([seed, int(hash_json([str(key)])[:12], 16)])
    from_electrodes = bool(rng.random() < 0.5)
    choices = INDEPENDENT_LEADS if from_electrodes else LEADS
    n_leads = int(rng.integers(N_LEADS[0], N_LEADS[1] + 1))
    y, hurt, stretches = x.copy(), np.zeros(x.shape, dtype=bool), []
    for place in rng.permutation(len(choices))[:n_leads]:
        lead = choices[place]
        spreads = from_electrodes and lead in LIMB_COEFFICIENTS
        for start, stop in _places(x.shape[-1], sampling_rate, rng):
            kind = str(rng.choice(list(NOISE_TYPES) if spreads else KINDS))
            span = slice(start, stop)
            row = LEADS.index(lead)
            if kind not in NOISE_TYPES:
                changed, where = _broken(kind, x[row, span], sampling_rate, rng)
                y[row, span], hurt[row, span] = np.where(where, changed, y[row, span]), hurt[row, span] | where
                stretches.append(Stretch(lead, start, stop, kind))
                continue
            snr = float(rng.uniform(*SNR_DB))
            added = _piece(noise[kind], stop - start, sampling_rate, rng)
            added *= x[row].std() * 10 ** (-snr / 20)
            for name, share in _reached(lead) if spreads else [(lead, 1.0)]:
                y[LEADS.index(name), span] += share * added
                hurt[LEADS.index(name), span] = True
                stretches.append(Stretch(name, start, stop, kind, snr))
    return Damaged(y, hurt, tuple(stretches))


def hurt_pieces(hurt: NDArray[np.bool_], sampling_rate: float) -> NDArray[np.float64]:
    """Returns the share of hurt samples in each whole second of each lead, (n_leads, L) to (n_leads, seconds)."""
    n_seconds = int(hurt.shape[-1] // sampling_rate)
    edges = np.round(np.arange(n_seconds + 1) * sampling_rate).astype(int)
    shares = [hurt[:, first:last].mean(axis=-1) for first, last in zip(edges[:-1], edges[1:], strict=True)]
    return np.stack(shares, axis=-1)


def _places(length: int, rate: float, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draws one or two stretches that do not meet, as first and last + 1 sample."""
    found: list[tuple[int, int]] = []
    for _ in range(int(rng.integers(1, 3))):
        size = min(round(rng.uniform(*LENGTH_S) * rate), length - round(rate))
        start = int(rng.integers(0, length - size + 1))
        if all(start >= last + rate or start + size + rate <= first for first, last in found):
            found.append((start, start + size))
    return found


def _reached(lead: str) -> list[tuple[str, float]]:
    """Returns the limb leads that what is added to lead I or II reaches, and by which share."""
    column = {"I": 0, "II": 1}[lead]
    return [(name, shares[column]) for name, shares in LIMB_COEFFICIENTS.items() if shares[column] != 0]


def _piece(noise: NDArray[np.float64], length: int, rate: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws a piece of noise with mean 0 and standard deviation 1 that sets in and ends softly, shape (length,)."""
    channel, start = int(rng.integers(len(noise))), int(rng.integers(noise.shape[-1] - length))
    piece = noise[channel, start : start + length]
    piece = (piece - piece.mean()) / max(float(piece.std()), 1e-9)
    n_fade = min(max(1, round(FADE_S * rate)), length // 2)
    ramp = np.ones(length)
    ramp[:n_fade] = (np.arange(n_fade) + 1) / (n_fade + 1)
    ramp[-n_fade:] = ramp[:n_fade][::-1]
    return np.asarray(piece * ramp * rng.choice([-1.0, 1.0]))


def _broken(
    kind: str, x: NDArray[np.float64], rate: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns what stands in the place of a stretch, and where it does."""
    everywhere = np.ones(len(x), dtype=bool)
    if kind == "off":
        level = rng.choice([0.0, float(rng.uniform(-1.0, 1.0))])
        size = rng.choice([0.0, 0.002])
        return level + np.clip(size * rng.standard_normal(len(x)), -0.005, 0.005), everywhere
    if kind == "saturation":
        rail = float(rng.uniform(*RAIL_MV)) * rng.choice([-1.0, 1.0])
        way = 1 - np.exp(-np.arange(len(x)) / (0.1 * rate))
        return np.clip(x * (1 - way) + 1.5 * rail * way, -abs(rail), abs(rail)), everywhere
    dropped, held = np.zeros(len(x), dtype=bool), rng.random() < 0.5
    y, place = x.copy(), 0
    while place < len(x):
        size = round(float(rng.uniform(*DROPOUT_S)) * rate)
        y[place : place + size] = x[max(place - 1, 0)] if held else 0.0
        dropped[place : place + size] = True
        place += size + round(float(rng.uniform(0.05, 0.5)) * rate)
    return y, dropped
