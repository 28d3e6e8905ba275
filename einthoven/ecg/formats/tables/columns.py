"""Tables of any kind, from text or Parquet: what their columns are, in which unit, and at which rate."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.formats.channels import Channel, recording_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.formats.tables.times import is_counter, is_time, lay_out, numbers, seconds_of
from einthoven.ecg.leads import LEADS, lead_matrix
from einthoven.ecg.recording import Patient, Recording, Source

_NAME_AND_UNIT = re.compile(
    r"(.+?)[\s_]*[\s_(\[/,:]\s*((?:n|u|µ|μ|m)?v|(?:micro|milli)?volts?)\s*[)\]]?", re.IGNORECASE
)


LAW_SHARE = 0.05
"""Twelve channels without names are the leads in the usual order where the laws of Einthoven and Goldberger hold up to
this share of the signal's spread."""


@dataclass(frozen=True)
class Table:
    """A table, a channel in each column; the first column may hold times or count the rows.

    Attributes:
        names: Names of the columns, with or without units.
        columns: The columns, numbers or texts, shape (L,) each.
        units: Units of the columns, where they stand apart from the names.
        unit: Unit of all columns, where it is stated once.
        sampling_rate: Sampling rate in Hz, where it is stated.
        start_time: When the signal begins, where it is stated.
        patient: Age and sex, where they are stated.
    """

    names: Sequence[str]
    columns: Sequence[NDArray[np.generic]]
    units: Sequence[str] = ()
    unit: str = ""
    sampling_rate: float | None = None
    start_time: datetime | None = None
    patient: Patient | None = None


def recording_of_table(table: Table, options: ReadOptions, source: Source, notes: Sequence[str] = ()) -> Recording:
    """Makes a recording of a table.

    Raises:
        ValueError: If nothing says the sampling rate, the times are not even, or no column is a lead.
    """
    path = source.path
    assert path is not None
    names, columns = list(table.names), list(table.columns)
    units = list(table.units) or [""] * len(names)
    rate, start, said = table.sampling_rate, table.start_time, list(notes)
    places: NDArray[np.int64] | None = None
    if len(columns) > 1 and is_counter(names[0], columns[0]):
        del names[0], columns[0], units[0]
    elif len(columns) > 1 and is_time(names[0]):
        name = f"{names[0]} [{units[0]}]" if units[0] else names[0]
        if options.sampling_rate is None and rate is None:
            seconds, note, begun = seconds_of(path, name, columns[0])
            rate, places = lay_out(path, seconds)
            start = start or begun
            said += [note] if note else []
        del names[0], columns[0], units[0]
    rate = rate or options.sampling_rate
    if rate is None:
        raise ValueError(f"{path} does not say its sampling rate: give it, such as sampling_rate=500 (in Hz)")
    channels = []
    for place, name in enumerate(names):
        found = _NAME_AND_UNIT.fullmatch(name.strip())
        names[place] = found[1].strip() if found else name
        unit = (found[2] if found else "") or units[place] or table.unit
        channels.append(Channel(names[place], unit or None, float(rate)))
    signals = [_spread(_finite(column), places) for column in columns]
    if places is not None and len(places) <= places[-1]:
        said.append(f"{places[-1] + 1 - len(places)} samples that the times skip are missing")
    return recording_of(channels, signals, options, source, start_time=start, patient=table.patient, notes=said)


def name_leads(signals: Sequence[NDArray[np.generic]], options: ReadOptions, what: str) -> tuple[list[str], list[str]]:
    """Names channels that have no names, and says what was assumed.

    They are the leads that were asked for, if those are as many; else, if there are twelve whose first six obey the
    laws of the limb leads, the twelve in the usual order; else, say, "column 1" and so on.
    """
    asked = options.leads
    if isinstance(asked, tuple) and len(asked) == len(signals):
        return list(asked), [f"the {what}s have no names: taken as {', '.join(asked)}, as asked for"]
    if len(signals) == len(LEADS) and _obey_the_laws(signals):
        return list(LEADS), [f"the {what}s have no names: taken as I to V6 in order, which the limb leads confirm"]
    return [f"{what} {number}" for number in range(1, len(signals) + 1)], []


def _obey_the_laws(signals: Sequence[NDArray[np.generic]]) -> bool:
    """Says whether the first six channels follow from each other as I, II, III, aVR, aVL and aVF do."""
    limb = np.stack([numbers(signal) for signal in signals[:6]])
    if not np.isfinite(limb).any(axis=1).all():
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # damaged files hold numbers of any size
        error = limb - lead_matrix(LEADS[:6], ("I", "II")) @ limb[:2]
        spread, wrong = (np.nanmean(np.abs(x - np.nanmedian(x, axis=1, keepdims=True))) for x in (limb, error))
    return bool(wrong < LAW_SHARE * spread)


def _finite(column: NDArray[np.generic]) -> NDArray[np.float64]:
    values = numbers(column)
    return np.where(np.isfinite(values), values, np.nan)


def _spread(values: NDArray[np.float64], places: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """Lays samples out at their places, shape (L,), NaN where there is none."""
    if places is None or len(values) > places[-1]:
        return values
    signal = np.full(places[-1] + 1, np.nan)
    signal[places] = values
    return signal
