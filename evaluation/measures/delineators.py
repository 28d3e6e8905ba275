"""Delineators to compare: each marks the waves of a filtered twelve-lead ECG. Their packages are imported when used."""

import warnings
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_ROWS, LEADS
from einthoven.ecg.measures.beats import BEAT_RATE, find_r_peaks
from einthoven.ecg.measures.marking import mark_beat
from evaluation.measures.ludb import MARKS

Mark = tuple[str, str, float]
"""Lead, mark and time in ms; the lead is "" where the mark is of all leads together."""
Delineator = Callable[[NDArray[np.float64]], Iterator[Mark]]
"""Marks an ECG in mV at `BEAT_RATE`, shape (12, L)."""
OURS = "einthoven"
_MS = 1000.0 / BEAT_RATE
_NEUROKIT = {"QRS on": "ECG_R_Onsets", "QRS off": "ECG_R_Offsets"} | {
    f"{wave}{edge}": f"ECG_{wave}_{name}"
    for wave in ("P", "T")
    for edge, name in ((" on", "Onsets"), ("", "Peaks"), (" off", "Offsets"))
}
_ECGDELI = {name: name.lower().replace(" ", "_") if " " in name else f"{name.lower()}_peak" for name in MARKS}


def _average_beat(ecg: NDArray[np.float64]) -> Iterator[Mark]:
    """What `einthoven.measure` uses: the average beat, marked at each R peak."""
    beat = mark_beat(ecg, BEAT_RATE, LEADS)
    if isinstance(beat, str):
        return
    for peak in beat.peaks_s * 1000.0:
        for mark, place in beat.over_leads.items():
            yield "", mark, peak + place * _MS
        for mark, places in beat.marks.items():
            yield from ((lead, mark, peak + place * _MS) for lead, place in zip(LEADS, places, strict=True))


def _neurokit(method: str) -> Delineator:
    """A method of neurokit2 (Makowski et al., Behav. Res. Methods 53, 1689, 2021), lead by lead."""

    def delineate(ecg: NDArray[np.float64]) -> Iterator[Mark]:
        from neurokit2 import ecg_delineate

        peaks = find_r_peaks(ecg[INDEPENDENT_ROWS], np.ones((len(INDEPENDENT_ROWS), ecg.shape[-1]), bool), BEAT_RATE)
        for lead, row in zip(LEADS, ecg, strict=True):
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    waves = ecg_delineate(row, peaks, sampling_rate=int(BEAT_RATE), method=method)[1]
                except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):  # what it raises for odd leads
                    continue
            for mark, key in _NEUROKIT.items():
                yield from ((lead, mark, float(place) * _MS) for place in waves.get(key, ()))

    return delineate


def _ecgdeli(ecg: NDArray[np.float64]) -> Iterator[Mark]:
    """ECGdeli (Pilia et al., SoftwareX 13, 100639, 2021), by the package `ecgdeli`, lead by lead."""
    import ecgdeli

    for lead, row in zip(LEADS, ecg, strict=True):
        try:
            found = ecgdeli.annotate(row, fs=BEAT_RATE).leads[0]
        except (ArithmeticError, IndexError, ValueError, ecgdeli.MatlabError):
            continue
        for mark, name in _ECGDELI.items():
            places = np.asarray(getattr(found, name), dtype=np.float64)
            yield from ((lead, mark, float(place) * _MS) for place in places[places > 0])


def _openecg(ecg: NDArray[np.float64]) -> Iterator[Mark]:
    """The layered codec of `openecg`, a network that was trained on records of LUDB itself, lead by lead."""
    import openecg

    model = openecg.load_codec_onnx()
    for lead, row in zip(LEADS, ecg, strict=True):
        for start, stop, kind in openecg.encode(row, fs=int(BEAT_RATE), model=model).events("frame", drop_class=0):
            wave = {1: "P", 2: "QRS", 3: "T"}.get(kind)
            if wave is not None:
                yield lead, f"{wave} on", start * _MS
                yield lead, f"{wave} off", stop * _MS


DELINEATORS: dict[str, Delineator] = {
    OURS: _average_beat,
    **{f"neurokit2 {method}": _neurokit(method) for method in ("prominence", "dwt", "cwt", "peak")},
    "ecgdeli": _ecgdeli,
    "openecg": _openecg,
}
