"""Arrays of numpy in one archive."""

from pathlib import Path
from typing import Any

import numpy as np

from einthoven.ecg.recording import Recording


def write_npz(recording: Recording, path: Path) -> None:
    """Writes the signal in mV, shape (n_leads, L), its rate and leads, and what is known of start and patient."""
    patient = recording.patient
    said: dict[str, Any] = {
        "start_time": recording.start_time.isoformat() if recording.start_time else None,
        "age": patient.age if patient else None,
        "sex": patient.sex if patient else None,
        "notes": list(recording.notes) or None,
    }
    np.savez_compressed(
        path,
        signal=recording.signal,
        sampling_rate=recording.sampling_rate,
        leads=list(recording.leads),
        unit="mV",
        **{key: value for key, value in said.items() if value is not None},
    )
