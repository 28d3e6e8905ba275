"""From a file's channels, whatever its format, to a recording: which are leads, in which unit and at which rate."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.checks import check_rate
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.leads import LEADS, LIMB_COEFFICIENTS, is_ambiguous, parse_lead
from einthoven.ecg.recording import Patient, Recording, Source

_UNITS = {"mv": 1.0, "uv": 1e-3, "nv": 1e-6, "v": 1e3, "millivolt": 1.0, "microvolt": 1e-3, "nanovolt": 1e-6}
_UNITS |= {"volt": 1e3}


@dataclass(frozen=True)
class Channel:
    """What a file says of a channel.

    Attributes:
        name: Its name, or the code of its lead.
        unit: Unit of its samples; None: the file does not say.
        sampling_rate: Sampling rate in Hz.
    """

    name: str
    unit: str | None
    sampling_rate: float


@dataclass(frozen=True)
class Choice:
    """The channels to read.

    Attributes:
        rows: Their places in the file, n_leads.
        leads: Their names, spelt as in `einthoven.ecg.leads.LEADS`.
        factors: What makes mV of their samples, with the sign, shape (n_leads,).
        sampling_rate: Their sampling rate in Hz.
        other_channels: Names of the channels passed over that are no leads.
        notes: What was assumed, a sentence each.
    """

    rows: tuple[int, ...]
    leads: tuple[str, ...]
    factors: NDArray[np.float64]
    sampling_rate: float
    other_channels: tuple[str, ...]
    notes: tuple[str, ...]


def millivolts(unit: str) -> float | None:
    """Returns the size of a unit of voltage in mV, None where it is none: "mV", "µV" however spelt, "V", "nV"."""
    text = unicodedata.normalize("NFKC", unit).strip().lower().removesuffix("s")
    text = text.replace("\u00e2", "").replace("\ufffd", "u").replace("\u03bc", "u")
    return _UNITS.get(text)


def choose_channels(channels: Sequence[Channel], options: ReadOptions, where: str) -> Choice:
    """Finds the leads among channels.

    Those that nobody asked for are passed over: other signals, and leads at another rate than most.

    Args:
        channels: All channels of the file.
        options: What was asked for.
        where: The file, for messages.

    Raises:
        ValueError: If no channel is a lead, one that was asked for is none, or those asked for differ in rate.
    """
    notes: list[str] = []
    if isinstance(options.leads, Mapping):
        found = _mapped(channels, options.leads, where)
    else:
        found = _known(channels, options, where, notes)
    factors = {row: _factor(channels[row], options, where) for row in found}
    asked = options.leads is not None or options.strict
    for row in [row for row in found if factors[row] is None]:
        reason = f"channel {channels[row].name} has the unit {channels[row].unit!r}, which is no voltage"
        if asked or len(found) == 1:
            raise ValueError(f"{where}: {reason}; if it is an ECG give its unit, such as unit='mV'")
        notes.append(f"{reason}: passed over")
        del found[row]
    rate, found = _one_rate(channels, found, asked, where, notes)
    unstated = [channels[row].name for row in found if not channels[row].unit]
    if unstated and options.unit is None:
        notes.append(f"the file states no unit of {', '.join(unstated)}: taken as mV")
    check_rate(options.sampling_rate or rate, f"{where}: its sampling rate is")
    if options.sampling_rate is not None and options.sampling_rate != rate:
        notes.append(f"sampling rate {options.sampling_rate:g} Hz as told; the file says {rate:g} Hz")
    return Choice(
        tuple(found),
        tuple(lead for lead, _ in found.values()),
        np.array([sign * (factors[row] or 1.0) for row, (_, sign) in found.items()]),
        options.sampling_rate or rate,
        tuple(channel.name for row, channel in enumerate(channels) if row not in found),
        tuple(notes),
    )


def recording_of(
    channels: Sequence[Channel],
    signals: Sequence[ArrayLike],
    options: ReadOptions,
    source: Source,
    *,
    name: str = "",
    start_time: datetime | None = None,
    patient: Patient | None = None,
    notes: Sequence[str] = (),
) -> Recording:
    """Makes a recording of all channels of a file.

    Args:
        channels: What the file says of them.
        signals: The samples of each in its unit, shape (L,) each, NaN where nothing was measured. Channels that end
            earlier than the longest are missing from there on.
        options: What was asked for.
        source: Format and file.
        name: Name of the record; "": the file's.
        start_time: When the signal begins.
        patient: Age and sex.
        notes: What the reader assumed.

    Raises:
        ValueError: As for `choose_channels`.
    """
    where = str(source.path or name)
    choice = choose_channels(channels, options, where)
    rows = [np.asarray(signals[row], dtype=np.float64) for row in choice.rows]
    signal = np.full((len(rows), max(map(len, rows))), np.nan)
    for place, row in enumerate(rows):
        signal[place, : len(row)] = row * choice.factors[place]
    name = name or (source.path.stem if source.path else "")
    return Recording(
        signal,
        choice.sampling_rate,
        choice.leads,
        name,
        choice.other_channels,
        start_time,
        patient,
        source,
        (*notes, *choice.notes),
    )


def part_of(length: int, rate: float, options: ReadOptions, name: str) -> tuple[int, int]:
    """Returns the first sample of the part that was asked for, and the one after its last.

    Args:
        length: Samples of the whole.
        rate: Sampling rate in Hz.
        options: What was asked for; ValueError if it does not lie in the whole.
        name: Name of the record, for the message.
    """
    first = round(options.start * rate)
    last = length if options.duration is None else first + round(options.duration * rate)
    if not first < last <= length:
        raise ValueError(
            f"record {name} lasts {length / rate:.1f} s: start={options.start:g} and duration={options.duration} do "
            "not lie in it"
        )
    return first, last


def _mapped(channels: Sequence[Channel], leads: Mapping[str, str], where: str) -> dict[int, tuple[str, int]]:
    """Returns the lead and sign of the channels that the user named, by their places."""
    found: dict[int, tuple[str, int]] = {}
    names = [channel.name for channel in channels]
    folded = [name.strip().casefold() for name in names]
    for name, lead in leads.items():
        parsed = parse_lead(lead)
        if parsed is None:
            raise ValueError(f"leads: {lead!r} (of channel {name}) is no lead; known leads: {', '.join(LEADS)}")
        if str(name).strip().casefold() not in folded:
            raise ValueError(f"{where} has no channel {name!r}; its channels are {', '.join(names)}")
        found[names.index(name) if name in names else folded.index(str(name).strip().casefold())] = parsed
    taken = [lead for lead, _ in found.values()]
    twice = [lead for lead, count in Counter(taken).items() if count > 1]
    if twice:
        raise ValueError(f"leads: two channels are named {twice[0]}; name each lead once")
    return found


def _known(
    channels: Sequence[Channel], options: ReadOptions, where: str, notes: list[str]
) -> dict[int, tuple[str, int]]:
    """Returns the lead and sign of the channels whose names say it, by their places."""
    by_lead: dict[str, list[tuple[int, int]]] = {}
    for row, channel in enumerate(channels):
        parsed = parse_lead(channel.name)
        if parsed is not None:
            by_lead.setdefault(parsed[0], []).append((row, parsed[1]))
        elif options.strict:
            raise ValueError(f"lead names in {where}: unknown lead {channel.name!r}")
    found: dict[int, tuple[str, int]] = {}
    for lead, places in by_lead.items():
        plain = [place for place in places if channels[place[0]].name.strip().upper() == lead.upper()]
        row, sign = (plain or places)[0]
        found[row] = (lead, sign)
        others = [channels[other].name for other, _ in places if other != row]
        if others:
            notes.append(f"lead {lead} is there more than once: {channels[row].name} is read, {', '.join(others)} not")
    found = {row: found[row] for row in sorted(found)}
    asked = options.leads
    if asked is not None:
        absent = [lead for lead in asked if lead not in by_lead]
        limbs = sum(lead in LIMB_COEFFICIENTS for lead in by_lead)
        if not all(lead in LIMB_COEFFICIENTS and limbs > 1 for lead in absent):
            raise ValueError(f"record {where} lacks lead(s) {', '.join(absent)}; {_hint(channels, by_lead)}")
        if not absent:
            found = {row: entry for row, entry in found.items() if entry[0] in asked}
    if not found:
        raise ValueError(f"{where} has no channel that is known as an ECG lead; {_hint(channels, by_lead)}")
    unclear = [channel.name for row, channel in enumerate(channels) if row not in found and is_ambiguous(channel.name)]
    if unclear and asked is None:
        notes.append(
            f"{', '.join(unclear)}: no name of one lead, passed over; to read it say which it is, such as "
            f"leads={{{unclear[0]!r}: 'II'}}"
        )
    notes.extend(_renamed(channels, found))
    return found


def _hint(channels: Sequence[Channel], known: Mapping[str, object]) -> str:
    """Says what a file holds instead of what was asked for."""
    unclear = [channel.name for channel in channels if is_ambiguous(channel.name)]
    if unclear:
        example = ", ".join(f"{name!r}: '...'" for name in unclear[:2])
        return f"its channel(s) {', '.join(unclear)} may be any: say which they are, as in leads={{{example}}}"
    if known:
        return f"it has {', '.join(known)}"
    names = ", ".join(channel.name for channel in channels)
    return f"its channels are {names}; if one is a lead say so, as in leads={{'{channels[0].name}': 'II'}}"


def _renamed(channels: Sequence[Channel], found: Mapping[int, tuple[str, int]]) -> list[str]:
    notes = []
    for row, (lead, sign) in found.items():
        name = channels[row].name
        if sign < 0:
            notes.append(f"channel {name} is read as {lead}, with its sign turned")
        elif name.strip().upper().startswith("ML"):
            notes.append(f"channel {name}, a modified limb lead, is read as {lead}")
    return notes


def _factor(channel: Channel, options: ReadOptions, where: str) -> float | None:
    """Returns the size of a channel's unit in mV, None where it is no voltage."""
    if options.unit is not None:
        factor = millivolts(options.unit)
        if factor is None:
            raise ValueError(f"{where}: unit={options.unit!r} is no voltage; give 'mV', 'uV' or 'V'")
        return factor
    return millivolts(channel.unit) if channel.unit else 1.0


def _one_rate(
    channels: Sequence[Channel],
    found: dict[int, tuple[str, int]],
    asked: bool,
    where: str,
    notes: list[str],
) -> tuple[float, dict[int, tuple[str, int]]]:
    """Returns the rate of most leads, and those that have it."""
    if not found:
        raise ValueError(f"{where} has no ECG lead whose unit is a voltage; if its units are wrong give unit='mV'")
    rates = Counter(channels[row].sampling_rate for row in found)
    rate = max(rates, key=lambda value: (rates[value], value))
    others = [row for row in found if channels[row].sampling_rate != rate]
    if others:
        listed = ", ".join(f"{channels[row].name} ({channels[row].sampling_rate:g} Hz)" for row in others)
        if asked:
            raise ValueError(f"{where}: {listed} differ from the other leads' rate, {rate:g} Hz: read them one by one")
        notes.append(f"{listed}: passed over, as the other leads are sampled at {rate:g} Hz")
    return rate, {row: entry for row, entry in found.items() if channels[row].sampling_rate == rate}
