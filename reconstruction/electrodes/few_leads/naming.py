"""`name_lead`: which of the twelve leads is a lead that has no name, as from a watch, a Holter's channel or an export?

The typical beat tells (`beats`), and its size where that is in mV. Neighbours such as V4 and V5, or II and aVF, are
alike, and which is which depends on the heart: so the answer is a probability for each lead, calibrated on records that
nothing else was fitted on. A lead whose sign is turned is not one of the twelve; its probabilities are meaningless.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.leads import LEADS, parse_lead
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from einthoven.ecg.showing import Shown, save_arrays
from einthoven.report.tables import write_csv
from reconstruction.electrodes.few_leads.beats import beat_features, with_small_waves
from reconstruction.electrodes.few_leads.networks import FewLeads, softmax

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_MV, MOST_MV = 0.01, 3.0
"""Beyond these the standard deviation of a typical beat is none in mV."""
SURE = 0.9
"""A lead of this probability is told; of others those that have it together."""
_NAMELESS = "I"
"""Under this name a channel without one is held; it counts for nothing."""


@dataclass(frozen=True, repr=False)
class LeadName(Shown):
    """Which of the twelve leads a lead probably is.

    Attributes:
        best: The most probable lead.
        probabilities: Probability of each of the twelve, the largest first; before the lead is looked at all are equal.
        n_windows: Windows of ten seconds whose beats were looked at.
        notes: What is sure, and what was noted of the recording.
    """

    best: str
    probabilities: dict[str, float]
    n_windows: int
    notes: tuple[str, ...] = ()

    @property
    def likely(self) -> tuple[str, ...]:
        """The fewest leads whose probabilities add up to 0.9, the most probable first."""
        found, total = [], 0.0
        for lead, share in self.probabilities.items():
            found.append(lead)
            total += share
            if total >= SURE:
                break
        return tuple(found)

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and what to know, by name."""
        shares = ", ".join(f"{lead} {self.probabilities[lead]:.2f}" for lead in self.likely)
        return "Name of a lead", {"best": self.best, "probabilities": shares, "windows": str(self.n_windows)}

    def plot(self) -> "Figure":
        """Draws the probabilities, and returns the figure."""
        from einthoven.report.figures import COLOURS, new_figure

        figure = new_figure(6.0, 3.0)
        axes = figure.add_subplot()
        axes.bar(LEADS, [self.probabilities[lead] for lead in LEADS], color=COLOURS[0])
        axes.set(ylabel="probability", ylim=(0, 1), title="Which lead it is")
        return figure

    def to_data_frame(self) -> pd.DataFrame:
        """Returns a row per lead, the most probable first: `lead`, `probability`."""
        return pd.DataFrame(list(self.probabilities.items()), columns=["lead", "probability"])

    def _save_content(self, path: Path) -> Path:
        """Writes the table as `.csv`, or the probabilities as `.npz`."""
        if path.suffix.lower() == ".csv":
            write_csv(self.to_data_frame(), path)
            return path
        shares = list(self.probabilities.values())
        return save_arrays(path, leads=list(self.probabilities), probabilities=shares, best=self.best)


def name_lead(
    ecg: ECGLike, sampling_rate: float | None = None, lead: str | None = None, *, in_mv: bool = True
) -> LeadName:
    """Says which of the twelve leads a lead probably is: see the module.

    Args:
        ecg: One lead: an array, shape (L,) or (1, L), NaN where missing, whole numbers being counts of unknown gain; a
            `Recording` with one lead, whose name counts for nothing; or what else `as_recording` takes.
        sampling_rate: Sampling rate in Hz, 50 or more; only for what does not know its own.
        lead: Which lead of a recording with several to look at.
        in_mv: Whether it is in mV; False: in another unit, or of unknown gain, so that its size tells nothing.

    Raises:
        ValueError: If there is more than one lead, the recording is shorter than 2.5 s, or has no usable beats.
    """
    knows_leads = any(hasattr(ecg, name) for name in ("leads", "columns", "sig_name", "ch_names"))
    counts = not knows_leads and _is_whole(ecg)
    ecg = np.ma.asarray(ecg).astype(np.float64) if counts else ecg
    recording = as_recording(ecg, sampling_rate, lead if lead is not None or knows_leads else _NAMELESS)
    if len(recording.leads) > 1:
        names = ", ".join(recording.leads)
        raise ValueError(f"there are several leads, {names}: say which to look at, lead={recording.leads[0]!r}")
    named = ("the lead",) if not knows_leads else recording.leads
    features = beat_features(recording.signal, recording.sampling_rate, named)
    notes = recording.notes
    if in_mv and counts:
        in_mv, notes = False, (*notes, "its samples are whole numbers: taken as counts of unknown gain")
    if in_mv and not LEAST_MV <= np.exp(np.median(features[:, -1])) <= MOST_MV:
        in_mv, notes = False, (*notes, "its size is none of an ECG in mV: taken as in an unknown unit")
    shares = softmax(FewLeads.load().naming(naming_inputs(features, in_mv)).mean(axis=0))
    ordered = sorted(zip(LEADS, shares.tolist(), strict=True), key=lambda each: -each[1])
    found = LeadName(ordered[0][0], dict(ordered), len(features))
    return replace(found, notes=(_describe(found), *notes))


def _is_whole(ecg: ECGLike) -> bool:
    """Tells whether an array holds whole numbers; ValueError where it holds more than one lead."""
    try:
        shape, kind = np.shape(ecg), getattr(ecg, "dtype", None) or np.asarray(ecg).dtype
    except (TypeError, ValueError):  # which `as_recording` reports
        return False
    if len(shape) > 1 and shape[0] != 1:
        raise ValueError(f"ecg has shape {shape}: give one lead, shape (L,) or (1, L), such as ecg[0]")
    return isinstance(kind, np.dtype) and kind.kind in "iu"


def naming_inputs(features: NDArray[np.float32], in_mv: bool) -> NDArray[np.float32]:
    """Returns what the networks take of the features of single leads, (n, features), shape (n, inputs)."""
    known = np.full((len(features), 1), in_mv, dtype=np.float32)
    size = np.where(in_mv, features[:, -1:], 0.0)
    return np.concatenate([with_small_waves(features[:, :-2]), features[:, -2:-1], size, known], axis=1).astype(
        np.float32
    )


def _describe(found: LeadName) -> str:
    """Says in a sentence what is sure."""
    if len(found.likely) == 1:
        return f"probably lead {found.best}, probability {found.probabilities[found.best]:.2f}"
    return f"one lead cannot be told for sure: with probability {SURE:g} it is among {', '.join(found.likely)}"


def read_channel(path: str | Path | None, channel: str | None, sampling_rate: float | None = None) -> Recording:
    """Reads one channel of a file, whatever its name; None for the bundled ECG.

    Args:
        path: The file, of any format that `read` takes.
        channel: Name of the channel in the file, or of a lead; None: the only lead.
        sampling_rate: Sampling rate in Hz; None: the file's.

    Raises:
        ValueError: If it cannot be read, or there are several leads and none is named.
    """
    if channel is None:
        try:
            found = read(path, sampling_rate=sampling_rate)
        except ValueError as error:
            raise ValueError(f"{error}; to ask which lead a channel is give channel=NAME") from error
        if len(found.leads) > 1:
            raise ValueError(f"{path or 'the bundled ECG'} has the leads {', '.join(found.leads)}: give channel=NAME")
        return found
    leads = [channel] if parse_lead(channel) else {channel: _NAMELESS}
    return read(path, leads=leads, sampling_rate=sampling_rate)
