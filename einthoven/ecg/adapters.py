"""`as_recording`: whatever holds an ECG in memory, as a `Recording`.

A heart rate that cannot be at the sampling rate is noted (`einthoven.ecg.heart_rate`), also of recordings from files.

Objects of torch, pandas, wfdb and MNE are known by what they offer, so none of these packages is imported here.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.checks import check_numbers, check_rate
from einthoven.ecg.formats.channels import millivolts
from einthoven.ecg.heart_rate import rate_note
from einthoven.ecg.leads import LEADS, canonical_leads
from einthoven.ecg.recording import Recording, Source

ECGLike = Any
"""A `Recording`; an array of numpy, torch or the like; a pandas DataFrame; a wfdb record; an MNE Raw."""


def as_recording(
    ecg: ECGLike, sampling_rate: float | None = None, leads: str | Sequence[str] | None = None
) -> Recording:
    """Returns an ECG that lies in memory as a recording.

    Args:
        ecg: A `Recording`; an array in mV, shape (n_leads, L), or (L,) for one lead, NaN or masked where missing; a
            DataFrame in mV, shape (L, n_leads), with lead names as columns; a wfdb record or an MNE Raw, in any unit.
        sampling_rate: Sampling rate in Hz. Arrays and DataFrames need it; others know their own.
        leads: Lead names in the order of the array, which needs them; of what knows its leads, those to take.

    Raises:
        ValueError: If an argument is missing, contradicts `ecg` or does not fit it; the message says what to do.
    """
    return with_rate_noted(_adapt(ecg, sampling_rate, leads))


def with_rate_noted(recording: Recording) -> Recording:
    """Returns a recording with a note where its heart rate cannot be at its sampling rate: see `rate_note`."""
    note = rate_note(recording.signal, recording.sampling_rate)
    if note is None or note in recording.notes:
        return recording
    return replace(recording, notes=(*recording.notes, note))


def _adapt(ecg: ECGLike, sampling_rate: float | None, leads: str | Sequence[str] | None) -> Recording:
    if isinstance(ecg, str | Path):
        raise ValueError(f"ecg is a path: read the file first, einthoven.read({str(ecg)!r})")
    stated = None if sampling_rate is None else _check_rate(sampling_rate)
    if isinstance(ecg, Recording):
        return _select(ecg, stated, leads)
    if hasattr(ecg, "get_data") and hasattr(ecg, "ch_names"):
        return _select(_from_mne(ecg), stated, leads)
    if hasattr(ecg, "p_signal") and hasattr(ecg, "sig_name"):
        return _select(_from_wfdb(ecg), stated, leads)
    if stated is None:
        raise ValueError("sampling_rate is missing: say how many samples a second there are, sampling_rate=500")
    if hasattr(ecg, "columns") and hasattr(ecg, "iloc"):
        return _from_table(ecg, stated, leads)
    if leads is None:
        raise ValueError('leads is missing: name the leads in the order of the rows of ecg, leads=["I", "II"]')
    names = canonical_leads(leads)
    return Recording(_check_shape(_numbers(ecg), names), stated, names)


def _select(recording: Recording, stated: float | None, leads: str | Sequence[str] | None) -> Recording:
    """Takes the named leads of what knows its leads; ValueError where another rate is stated."""
    if stated is not None and stated != recording.sampling_rate:
        raise ValueError(
            f"sampling_rate={stated:g} contradicts the recording: it has {recording.sampling_rate:g} Hz; leave it out"
        )
    if leads is None:
        return recording
    names = canonical_leads(leads)
    return replace(recording, signal=recording.ordered(names), leads=names)


def _check_rate(sampling_rate: object) -> float:
    """Returns a sampling rate in Hz as a float."""
    try:
        value = np.asarray(sampling_rate)
    except (TypeError, ValueError):
        value = np.zeros(0)
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise ValueError(f"sampling_rate must be a number of samples a second, not {str(sampling_rate)[:40]!r}")
    rate = float(value.reshape(()))
    return check_rate(rate)


def _numbers(ecg: Any) -> NDArray[np.float64]:  # noqa: ANN401 (anything that numpy takes)
    """Returns an array as float64 of its own, NaN where masked; ValueError where it does not hold millivolts."""
    if hasattr(ecg, "detach"):  # torch
        ecg = ecg.detach().cpu()
    try:
        values = ecg if isinstance(ecg, np.ma.MaskedArray) else np.asarray(ecg)
    except (TypeError, ValueError) as error:
        raise ValueError(f"ecg is a {type(ecg).__name__} that is no array of numbers: {error}") from error
    if values.dtype.kind not in "fiub":
        raise ValueError(f"ecg holds {values.dtype} values: an ECG in mV, as floating-point numbers, is wanted")
    check_numbers(values)
    return np.ma.filled(values.astype(np.float64), np.nan)


def _check_shape(x: NDArray[np.float64], names: tuple[str, ...]) -> NDArray[np.float64]:
    """Returns an array with a row for each named lead."""
    if x.ndim == 1 and len(names) == 1:
        x = x[None]
    if x.ndim != 2 or len(x) != len(names) or not x.size:
        hint = "transpose it" if x.ndim == 2 and x.shape[1] == len(names) else "give one row for each lead"
        raise ValueError(f"ecg has shape {x.shape}, but {len(names)} lead(s) {', '.join(names)} are named: {hint}")
    return x


def _from_table(table: Any, sampling_rate: float, leads: str | Sequence[str] | None) -> Recording:  # noqa: ANN401
    """Reads a DataFrame, whose columns are leads."""
    columns, others = _leads_among([str(name) for name in table.columns])
    if not columns:
        found = ", ".join(str(name) for name in table.columns[:5])
        raise ValueError(f"no column of the table is a lead ({found}): name columns as {', '.join(LEADS[:3])}, ...")
    x = np.stack([_numbers(table.iloc[:, place].to_numpy()) for place in columns.values()])
    notes = (f"column(s) {', '.join(others)} of the table are no ECG leads: left out",) if others else ()
    recording = Recording(x, sampling_rate, tuple(columns), other_channels=others, notes=notes)
    return _select(recording, None, leads)


def _from_wfdb(record: Any) -> Recording:  # noqa: ANN401
    """Reads a record that wfdb has read, with or without physical values."""
    if record.p_signal is None and record.d_signal is None:
        raise ValueError("the wfdb record holds no signal: read it with wfdb.rdrecord")
    values = record.dac() if record.p_signal is None else record.p_signal
    columns, others = _known_leads(record.sig_name, "the wfdb record")
    units = record.units or ["mV"] * len(record.sig_name)
    rows = []
    for lead, place in columns.items():
        scale = millivolts(str(units[place]))
        if scale is None:
            raise ValueError(f"lead {lead} of the wfdb record is in {units[place]!r}, not in one of mV, uV, nV, V")
        rows.append(np.asarray(values, dtype=np.float64)[:, place] * scale)
    name = str(record.record_name or "")
    source = Source("wfdb.Record")
    return Recording(np.stack(rows), _check_rate(record.fs), tuple(columns), name, others, source=source)


def _from_mne(raw: Any) -> Recording:  # noqa: ANN401
    """Reads an MNE Raw, in V; NaN where it is annotated as bad and in channels that are marked as bad."""
    columns, others = _known_leads(raw.ch_names, "the MNE Raw")
    x = 1e3 * np.asarray(raw.get_data(reject_by_annotation="NaN"), dtype=np.float64)[list(columns.values())]
    bad = tuple(lead for lead, place in columns.items() if raw.ch_names[place] in raw.info["bads"])
    x[[lead in bad for lead in columns]] = np.nan
    notes = (f"lead(s) {', '.join(bad)} are marked as bad: taken as missing",) if bad else ()
    return Recording(
        x,
        _check_rate(raw.info["sfreq"]),
        tuple(columns),
        other_channels=others,
        start_time=raw.info["meas_date"],
        source=Source("mne.io.Raw"),
        notes=notes,
    )


def _known_leads(names: Sequence[str], what: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Finds leads as `_leads_among`; ValueError where there is none."""
    columns, others = _leads_among(names)
    if not columns:
        raise ValueError(f"no channel of {what} is an ECG lead: it has {', '.join(others)}")
    return columns, others


def _leads_among(names: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Returns the place of each lead among channels, and the names of the channels that are none."""
    places: dict[str, int] = {}
    others = []
    for place, name in enumerate(names):
        try:
            (lead,) = canonical_leads([name])
        except ValueError:
            others.append(str(name))
            continue
        if lead in places:
            raise ValueError(f"lead {lead} is there twice, as {names[places[lead]]!r} and {name!r}: leave one out")
        places[lead] = place
    return places, tuple(others)
