"""What a repair must beat: filters on the whole recording, and leads replaced by a ridge regression from the others.

The regression is told which leads are damaged, and which are not. It is the linear one over a window of half a second,
fitted on PTB-XL's training records; limb leads that follow by Einthoven's law from two undamaged ones are taken so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, LIMB_COEFFICIENTS, lead_matrix, to_twelve
from evaluation.denoising.baselines import BandPass, Cleaner, NeuroKit, WaveletShrinkage

RATE_HZ = 100.0
HALF_WINDOW = 25
STRENGTH = 1e-3
"""Ridge's strength relative to the inputs' mean square."""
FILTERS: dict[str, Cleaner] = {
    "band-pass": BandPass(0.6, 35.0, 2, 2),
    "wavelet": WaveletShrinkage(cutoff=0.8, by_level=True),
    "neurokit2": NeuroKit(),
}
"""Filters, at `RATE_HZ`."""


@dataclass(frozen=True)
class RidgeFromOthers:
    """Products of the windows of the eight independent leads, from which any regression between them follows.

    Attributes:
        gram: Mean products, shape (8 windows + 1, 8 windows + 1), the last row that of a constant.
    """

    gram: NDArray[np.float64]

    @classmethod
    def fit(cls, ecgs: Iterable[NDArray[np.float64]]) -> "RidgeFromOthers":
        """Fits on clean ECGs in mV at `RATE_HZ`, each (12, L), high-passed as the prior's."""
        gram: NDArray[np.float64] | float = 0.0
        for ecg in ecgs:
            rows = _windows(ecg[[LEADS.index(lead) for lead in INDEPENDENT_LEADS]])
            gram = gram + rows.T @ rows / len(rows)
        return cls(np.asarray(gram))

    def __call__(self, ecg: NDArray[np.float64], damaged: Sequence[str]) -> NDArray[np.float64]:
        """Replaces damaged leads of an ECG in mV at `RATE_HZ`, shape (12, L), high-passed; the others stay."""
        sound = [lead for lead in LEADS if lead not in damaged]
        inner = ecg[[LEADS.index(lead) for lead in INDEPENDENT_LEADS]].copy()
        limb = [lead for lead in sound if lead in LIMB_COEFFICIENTS]
        known = [lead in sound or (lead in LIMB_COEFFICIENTS and len(limb) >= 2) for lead in INDEPENDENT_LEADS]
        for place, lead in enumerate(INDEPENDENT_LEADS):
            if known[place] and lead in damaged:
                inner[place] = lead_matrix([lead], limb)[0] @ ecg[[LEADS.index(name) for name in limb]]
        width = 2 * HALF_WINDOW + 1
        inputs = np.append(np.repeat(known, width), True)
        centres = np.arange(len(INDEPENDENT_LEADS)) * width + HALF_WINDOW
        targets = centres[~np.array(known)]
        if len(targets) and any(known):
            gram = self.gram[np.ix_(inputs, inputs)]
            penalty = STRENGTH * np.trace(gram) / len(gram) * np.eye(len(gram))
            weights = np.linalg.solve(gram + penalty, self.gram[np.ix_(inputs, targets)])
            inner[~np.array(known)] = (_windows(inner)[:, inputs] @ weights).T
        twelve = to_twelve(inner)
        rows = [LEADS.index(lead) for lead in sound]
        twelve[rows] = ecg[rows]
        return np.asarray(twelve)


def filtered(ecg: NDArray[np.float64], sampling_rate: float) -> dict[str, NDArray[np.float64]]:
    """Applies `FILTERS` to an ECG in mV (12, L), and then what every ECG is compared after, at `RATE_HZ`."""
    raw = (
        ecg[:, :: round(sampling_rate / RATE_HZ)]
        if sampling_rate == RATE_HZ
        else clean_signal(ecg, sampling_rate, RATE_HZ)
    )
    return {name: clean_signal(cleaner(raw[None], RATE_HZ)[0], RATE_HZ, RATE_HZ) for name, cleaner in FILTERS.items()}


def _windows(ecg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Windows around every sample, mirrored at the ends, and a one: (8, L) to (L, 8 windows + 1)."""
    padded = np.pad(ecg, ((0, 0), (HALF_WINDOW, HALF_WINDOW)), mode="symmetric")
    rows = sliding_window_view(padded, 2 * HALF_WINDOW + 1, axis=-1).transpose(1, 0, 2).reshape(ecg.shape[-1], -1)
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
