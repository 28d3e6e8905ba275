"""JSON of AliveCor's Kardia, as its interface for programs gives it."""

import json
import re
from datetime import datetime
from pathlib import Path

import numpy as np

from einthoven.ecg.formats.channels import Channel, recording_of
from einthoven.ecg.formats.options import ReadOptions
from einthoven.ecg.recording import Recording, Source

_KEYS = re.compile(rb'"(recordedAt|amplitudeResolution|algorithmDetermination|leadI|data12L)"')
NAMES: dict[str, str] = {"leadI": "I", "leadII": "II", "leadIII": "III"}
"""Leads by their key; the others are called by their names."""


def matches(head: bytes, path: Path) -> bool:
    """Says whether a file is JSON of a Kardia recording."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and _KEYS.search(head) is not None


def read_kardia(path: Path, options: ReadOptions) -> Recording:
    """Reads the unfiltered signal of a Kardia recording of one or six leads.

    Raises:
        ValueError: If the file is damaged, or of the kind with twelve leads, which states no amplitude.
    """
    try:
        recording = json.loads(path.read_bytes())
        if "data12L" in recording:
            raise ValueError("recordings of Kardia 12L state no amplitude")
        raw = recording["data"]["raw"]
        rate = float(raw["frequency"])
        scale = float(raw.get("amplitudeResolution") or 0)
        signals = [np.array(lead, dtype=np.float64) for lead in raw["samples"].values()]
        names = [NAMES.get(name, name) for name in raw["samples"]]
        if not 0 < rate < np.inf or not 0 <= scale < np.inf or not signals or any(lead.ndim != 1 for lead in signals):
            raise ValueError(f"it states {len(signals)} leads at {rate:g} Hz, {scale:g} nV a step")
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise ValueError(f"{path} cannot be read as JSON of Kardia: {reason}") from error
    try:
        start = datetime.fromisoformat(str(recording.get("recordedAt"))).replace(tzinfo=None)
    except ValueError:
        start = None
    channels = [Channel(name, "nV" if scale else None, rate) for name in names]
    signals = [lead * (scale or 1.0) for lead in signals]
    return recording_of(channels, signals, options, Source("Kardia", path), start_time=start)
