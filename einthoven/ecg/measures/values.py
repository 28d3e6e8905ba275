"""The measures of one signal: what is measured, its numbers, and why a number is missing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import LIMB_COEFFICIENTS, lead_matrix
from einthoven.ecg.measures.beats import BEAT_RATE
from einthoven.ecg.measures.marking import FEW_BEATS, MarkedBeat, mark_beat

NO_P_WAVES = "no P waves"
NOT_FOUND = "its waves were not found"
NO_AXIS = "an axis needs two limb leads"
SHORTEST_PR_MS = 60.0
"""An atrial wave later than that does not lead to the QRS complex."""
J60_MS = 60.0
_MS = 1000.0 / BEAT_RATE


@dataclass(frozen=True)
class Measure:
    """A measure: its name in tables, what people read, its unit and digits, and what it is of.

    Attributes:
        over_leads: Whether it has a value for all leads together.
        per_lead: Whether it has a value for each lead.
    """

    name: str
    label: str
    unit: str
    digits: int
    over_leads: bool = True
    per_lead: bool = False


MEASURES = (
    Measure("heart_rate", "heart rate", "1/min", 0),
    Measure("rr_sd", "SD of RR intervals", "ms", 0),
    Measure("rmssd", "RMSSD", "ms", 0),
    Measure("pr", "PR interval", "ms", 0, per_lead=True),
    Measure("qrs", "QRS duration", "ms", 0, per_lead=True),
    Measure("qt", "QT interval", "ms", 0, per_lead=True),
    Measure("qtc_fridericia", "QTc (Fridericia)", "ms", 0),
    Measure("qtc_bazett", "QTc (Bazett)", "ms", 0),
    Measure("p_axis", "P axis", "deg", 0),
    Measure("qrs_axis", "QRS axis", "deg", 0),
    Measure("p_amplitude", "P amplitude", "mV", 3, over_leads=False, per_lead=True),
    Measure("r_amplitude", "R amplitude", "mV", 3, over_leads=False, per_lead=True),
    Measure("s_amplitude", "S amplitude", "mV", 3, over_leads=False, per_lead=True),
    Measure("t_amplitude", "T amplitude", "mV", 3, over_leads=False, per_lead=True),
    Measure("st_j", "ST level at J", "mV", 3, over_leads=False, per_lead=True),
    Measure("st_j60", "ST level at J + 60 ms", "mV", 3, over_leads=False, per_lead=True),
)
BY_NAME = {measure.name: measure for measure in MEASURES}
ANGLES = frozenset({"p_axis", "qrs_axis"})
ST_LEVELS = frozenset({"st_j", "st_j60"})
OF_P_WAVES = frozenset({"pr", "p_axis", "p_amplitude"})
OF_CONDUCTION = ST_LEVELS | OF_P_WAVES | {"qrs", "qt", "qtc_fridericia", "qtc_bazett"}
"""What says nothing of a paced heart's own conduction."""

Key = tuple[str, str]
"""Name of a measure, and of a lead; "" for all leads together."""


@dataclass
class Values:
    """The measures of one signal.

    Attributes:
        numbers: By measure and lead, what was measured.
        reasons: By measure and lead, why there is no number.
        beat: The beat that they were measured on; None where there are fewer than three.
    """

    numbers: dict[Key, float] = field(default_factory=dict)
    reasons: dict[Key, str] = field(default_factory=dict)
    beat: MarkedBeat | None = None

    def put(self, name: str, lead: str, number: float, reason: str = NOT_FOUND) -> None:
        """Keeps a number, or the reason where it is not finite, unless there is a reason already."""
        if (name, lead) in self.reasons:
            return
        if np.isfinite(number):
            self.numbers[name, lead] = float(number)
        else:
            self.reasons[name, lead] = reason


def all_keys(leads: Sequence[str]) -> list[Key]:
    """Returns measure and lead of everything that can be measured: over leads first, then lead by lead."""
    over = [(measure.name, "") for measure in MEASURES if measure.over_leads]
    return over + [(measure.name, lead) for lead in leads for measure in MEASURES if measure.per_lead]


def measure_samples(
    samples: Iterable[NDArray[np.floating]], mean: NDArray[np.floating], sampling_rate: float, leads: Sequence[str]
) -> list[Values]:
    """Measures samples of what a signal may be.

    Whether there are P waves is decided on the mean: beats of a sample differ in more than those of the mean do.

    Args:
        samples: Samples in mV, each (n_leads, L).
        mean: Their mean in mV, NaN where missing, shape (n_leads, L).
        sampling_rate: Sampling rate in Hz.
        leads: Names of the leads.
    """
    beat = mark_beat(mean, sampling_rate, leads)
    has_p_waves = None if isinstance(beat, str) else beat.has_p_waves
    return [measure_signal(sample, sampling_rate, leads, has_p_waves) for sample in samples]


def measure_signal(
    ecg: NDArray[np.floating], sampling_rate: float, leads: Sequence[str], has_p_waves: bool | None = None
) -> Values:
    """Measures one signal.

    Args:
        ecg: Signal in mV, NaN where missing, shape (n_leads, L).
        sampling_rate: Sampling rate in Hz.
        leads: Names of the leads.
        has_p_waves: Whether there are P waves; None: as the signal itself looks.
    """
    values = Values()
    beat = mark_beat(ecg, sampling_rate, leads)
    if isinstance(beat, str):
        values.reasons = dict.fromkeys(all_keys(leads), beat)
        return values
    values.beat = beat
    if not (beat.has_p_waves if has_p_waves is None else has_p_waves):
        values.reasons |= {key: NO_P_WAVES for key in all_keys(leads) if key[0] in OF_P_WAVES}
    _put_rhythm(values, beat)
    _put_intervals(values, beat)
    _put_axes(values, beat)
    for row, lead in enumerate(leads):
        if beat.usable[row]:
            _put_lead(values, beat, row, lead)
        else:
            values.reasons |= {key: FEW_BEATS for key in all_keys([lead]) if key[1]}
    return values


def _put_rhythm(values: Values, beat: MarkedBeat) -> None:
    rr = beat.rr_ms
    values.put("heart_rate", "", 60_000.0 / float(rr.mean()))
    values.put("rr_sd", "", float(rr.std(ddof=1)))
    values.put("rmssd", "", float(np.sqrt(np.square(np.diff(rr)).mean())))


def _put_intervals(values: Values, beat: MarkedBeat) -> None:
    seconds, marks = float(beat.rr_ms.mean()) / 1000.0, beat.over_leads
    qt = (marks["T off"] - marks["QRS on"]) * _MS
    values.put("pr", "", _pr(marks["P on"], marks["QRS on"]))
    values.put("qrs", "", (marks["QRS off"] - marks["QRS on"]) * _MS)
    values.put("qt", "", qt)
    values.put("qtc_fridericia", "", qt / np.cbrt(seconds))
    values.put("qtc_bazett", "", qt / np.sqrt(seconds))


def _put_axes(values: Values, beat: MarkedBeat) -> None:
    """Takes the direction of the wave's area in the frontal plane: leads I and aVF as x and y, of the same length."""
    limb = [lead for row, lead in enumerate(beat.leads) if lead in LIMB_COEFFICIENTS and beat.usable[row]]
    try:
        matrix = lead_matrix(["I", "aVF"], limb)
    except ValueError:
        values.put("p_axis", "", np.nan, NO_AXIS)
        values.put("qrs_axis", "", np.nan, NO_AXIS)
        return
    frontal = matrix @ beat.beat[[beat.leads.index(lead) for lead in limb]]
    marks = beat.over_leads
    for name, start, stop in (("p_axis", "P on", "P off"), ("qrs_axis", "QRS on", "QRS off")):
        wave = beat.stretch(frontal, marks[start], marks[stop])
        area, length = wave.sum(axis=-1), wave.shape[-1]
        values.put(name, "", np.degrees(np.arctan2(2.0 / np.sqrt(3.0) * area[1], area[0])) if length else np.nan)


def _put_lead(values: Values, beat: MarkedBeat, row: int, lead: str) -> None:
    marks = {name: float(places[row]) for name, places in beat.marks.items()}
    common = beat.over_leads
    onset, offset = common["QRS on"], common["QRS off"]
    values.put("pr", lead, _pr(marks["P on"], marks["QRS on"]))
    values.put("qrs", lead, (marks["QRS off"] - marks["QRS on"]) * _MS)
    values.put("qt", lead, (marks["T off"] - marks["QRS on"]) * _MS)
    wave = beat.beat[row]
    complex_ = beat.stretch(wave, onset, offset)
    peak = int(np.argmax(complex_)) if len(complex_) else 0
    values.put("p_amplitude", lead, _farthest(beat.stretch(wave, common["P on"], common["P off"])))
    values.put("r_amplitude", lead, max(float(complex_.max(initial=-np.inf)), 0.0))
    values.put("s_amplitude", lead, min(float(complex_[peak:].min(initial=np.inf)), 0.0))
    values.put("t_amplitude", lead, _farthest(beat.stretch(wave, offset + J60_MS / _MS, common["T off"])))
    for name, after in (("st_j", 0.0), ("st_j60", J60_MS)):
        values.put(name, lead, float(beat.stretch(wave, offset + after / _MS, offset + after / _MS + 1).mean()))


def _pr(onset_p: float, onset_qrs: float) -> float:
    """Returns the PR interval in ms, NaN where the wave is too late to lead to the complex."""
    pr = (onset_qrs - onset_p) * _MS
    return pr if pr >= SHORTEST_PR_MS else np.nan


def _farthest(stretch: NDArray[np.float64]) -> float:
    """Returns the value farthest from 0, NaN without any."""
    return float(stretch[np.argmax(np.abs(stretch))]) if len(stretch) else np.nan
