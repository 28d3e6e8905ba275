"""The picture of a check: the ECG as recorded in grey, and corrected in ink where something was found."""

from typing import TYPE_CHECKING

import numpy as np

from einthoven.report.ecg_paper import draw_ecg
from reconstruction.electrodes.maps import AS_RECORDED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reconstruction.electrodes.result import Electrodes


def draw_correction(electrodes: "Electrodes") -> "Figure":
    """Draws the corrected ECG over the recorded one; as recorded, where nothing was found or can be corrected."""
    given, best = electrodes.given, electrodes.best
    title = f"{given.name}: {best}".lstrip(": ")
    if best == AS_RECORDED or electrodes.hypotheses[best].undo is None:
        return draw_ecg(given.signal, given.leads, given.sampling_rate, title=title)
    corrected = electrodes.corrected.signal
    changed = ~np.array([np.array_equal(*rows, equal_nan=True) for rows in zip(corrected, given.signal, strict=True)])
    return draw_ecg(
        corrected,
        given.leads,
        given.sampling_rate,
        observed=~changed[:, None],
        noisy=given.signal,
        title=title,
        note="measured, in other places than the recording says",
        made="repaired",
    )
