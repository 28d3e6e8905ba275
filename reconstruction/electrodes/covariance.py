"""How the eight leads usually go together: a Gaussian law of them at one instant, as a quick first look.

The misfit of an ECG x is the mean over time of x' C^-1 x / tr(x x'), with C the mean of x x' / tr(x x') over ECGs.
Where the leads fit together it is small: the idea of Kors and van Herpen, Accurate automatic detection of electrode
interchange in the electrocardiogram, Am J Cardiol 88, 396-399 (2001), for all swaps at once.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

RIDGE = 0.02
"""Share of a lead's mean power that counts as its own."""


def mean_covariance(ecgs: Iterable[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Returns C of ECGs in mV, each (8, L), which all count the same: its trace is 8."""
    found = [scaled_covariance(ecg) for ecg in ecgs]
    return np.asarray(np.mean(found, axis=0))


def scaled_covariance(ecg: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns x x' of an ECG (n, L) over its mean power, shape (n, n)."""
    product = ecg.astype(np.float64) @ ecg.astype(np.float64).T
    return np.asarray(product * len(product) / max(float(np.trace(product)), 1e-12))


def misfits(
    ecg: NDArray[np.floating], measured: NDArray[np.bool_], undo: NDArray[np.float64], law: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the misfit of an ECG as each hypothesis has it, shape (hypotheses,).

    Args:
        ecg: The eight leads in mV, shape (8, L).
        measured: Leads that were measured, shape (8,).
        undo: What undoes each hypothesis, shape (hypotheses, 8, 8).
        law: C, shape (8, 8).
    """
    own = np.ix_(measured, measured)
    inverse = np.linalg.inv(law[own] + RIDGE * np.eye(int(measured.sum())))
    products = scaled_covariance(ecg[measured])
    maps = undo[:, own[0], own[1]]
    return np.asarray(np.einsum("ij,hik,kl,hjl->h", inverse, maps, products, maps, optimize=True))
