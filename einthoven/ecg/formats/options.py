"""What a reader of a file format is told."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """What a user asked for.

    Attributes:
        leads: The leads to take, spelt as in `einthoven.ecg.leads.LEADS`; or, by the name of a channel, the lead that
            it is ("-aVR" turns its sign); None: all.
        sampling_rate: Sampling rate in Hz, whatever the file says; None: the file's.
        unit: Unit of the samples, whatever the file says; None: the file's.
        start: Where to begin, in s. Only readers whose `Format.cuts` says so look at it and at `duration`.
        duration: How much to take, in s; None: all that follows.
        strict: Whether what is assumed or wrong in a file is an error, and not a note.
    """

    leads: tuple[str, ...] | Mapping[str, str] | None = None
    sampling_rate: float | None = None
    unit: str | None = None
    start: float = 0.0
    duration: float | None = None
    strict: bool = False
