"""How bad a second's neighbours are: the seconds before and after, and the other leads at the same time.

Noise lasts for more than a second, and one that is in many leads is rather a heart's than a wire's.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LIMB_COEFFICIENTS

CONTEXT: tuple[str, ...] = ("own", "before", "after", "two_before", "two_after", "group", "worst", "usual")
"""Features: log odds of the piece, of its neighbours in time, and of its limb or chest leads on average; the largest
and the middle one of its lead."""
_SHIFTS = (1, -1, 2, -2)


def piece_context(
    log_odds: NDArray[np.float64], features: NDArray[np.floating], leads: Sequence[str]
) -> NDArray[np.float64]:
    """Computes `CONTEXT` of the pieces of a window, and puts the pieces' own features after it.

    Args:
        log_odds: Those by the joined trees, shape (n_leads, pieces).
        features: Features of the pieces, shape (n_leads, pieces, features).
        leads: Names of the leads.

    Returns:
        Features, shape (n_leads, pieces, 8 + features); NaN beyond the window.
    """
    limb = np.array([lead in LIMB_COEFFICIENTS for lead in leads])
    group = np.stack([log_odds[limb == is_limb].mean(axis=0) for is_limb in limb])
    whole = [np.broadcast_to(of(log_odds, axis=-1, keepdims=True), log_odds.shape) for of in (np.max, np.median)]
    shifted = [_shifted(log_odds, shift) for shift in _SHIFTS]
    return np.concatenate([np.stack([log_odds, *shifted, group, *whole], axis=-1), features], axis=-1)


def _shifted(values: NDArray[np.float64], shift: int) -> NDArray[np.float64]:
    """Gives each piece the value of the one so many before it, NaN where there is none."""
    moved, n_pieces = np.full(values.shape, np.nan), values.shape[-1]
    if shift > 0:
        moved[:, shift:] = values[:, : max(n_pieces - shift, 0)]
    elif n_pieces + shift > 0:
        moved[:, :shift] = values[:, -shift:]
    return moved
