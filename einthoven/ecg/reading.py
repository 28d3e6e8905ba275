"""`read`: a recording from a file of any format."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from einthoven.ecg.checks import check_units
from einthoven.ecg.formats.wfdb import read_wfdb
from einthoven.ecg.leads import LEADS, canonical_leads
from einthoven.ecg.recording import Recording, Source

DEMO_ECG = Path(__file__).parent / "demo" / "demo_ecg.npz"
"""The bundled ECG: simulated, never recorded."""


def read(
    path: str | Path | None = None,
    *,
    leads: str | Sequence[str] | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> Recording:
    """Reads a WFDB record, or the bundled ECG, or a part of it.

    Args:
        path: The WFDB record, or None for the bundled ECG.
        leads: Leads to take, a name or several; None: all.
        start: Where to begin, in s.
        duration: How much to take, in s; None: all that follows.

    Raises:
        ValueError: If the record cannot be read, lacks a lead or is not in mV, or the part lies outside it.
    """
    if path is None:
        with np.load(DEMO_ECG, allow_pickle=False) as file:
            whole = Recording(
                file["ecg"].astype(np.float64), float(file["sampling_rate"]), LEADS, "demo", source=Source("bundled")
            )
    else:
        whole = READERS.get(Path(path).suffix.lower(), read_wfdb)(path)
    rate, length = whole.sampling_rate, whole.signal.shape[-1]
    check_units(whole.signal, rate)
    first = round(start * rate)
    last = length if duration is None else first + round(duration * rate)
    if not 0 <= first < last <= length:
        raise ValueError(
            f"record {whole.name} lasts {length / rate:.1f} s: start={start:g} and duration={duration} do not lie in it"
        )
    names = whole.leads if leads is None else canonical_leads(leads)
    return replace(whole, signal=whole.ordered(names)[:, first:last], leads=names)


READERS: dict[str, Callable[[str | Path], Recording]] = {".hea": read_wfdb, ".dat": read_wfdb}
"""What reads a file, by its suffix; names without one of these are WFDB records."""
