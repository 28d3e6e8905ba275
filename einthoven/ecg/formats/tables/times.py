"""The column of times of a table: its sampling rate, and where its rows lie."""

import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_TIME = re.compile(
    r"(?:elapsed|rel(?:ative)?)?[ _]*"
    r"(time|times|timestamp|datetime|date|clock|zeit|uhrzeit|temps|tiempo|tempo|t|s|secs?|seconds?|ms|msec|milliseconds?|"
    r"us|µs|μs|时间|時間|время)"
    r"(?:[ _]?(?:stamp|axis))?[\s_(\[/,:]*(s|secs?|seconds?|ms|msec|milliseconds?|us|µs|μs|min)?\s*[)\]]?",
    re.IGNORECASE,
)
_COUNTER = re.compile(
    r"(samples?|index|idx|n|nr|no|row|unnamed: 0|sample[ _]?(number|no|nr|index|#)|#|)\W*", re.IGNORECASE
)
_UNITS: dict[str, float] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs"), 1e-6),
    "min": 60.0,
}
"""Units of time, in s."""
_GUESSES = ((0.5, 1.0, "s"), (50.0, 1e-3, "ms"), (5e4, 1e-6, "µs"), (np.inf, 1e-9, "ns"))
"""Without a unit: up to this step between samples, the size in s and the name of the unit that is taken."""
OFF_PLACE = 0.6
"""A sample may lie off its place by so much of the step between samples: times are often rounded."""
LARGEST_SPREAD = 100
"""Times that would make a recording so many times longer than its rows are damaged."""


def is_time(name: str) -> bool:
    """Says whether a column has the name of a column of times."""
    return bool(name) and _TIME.fullmatch(name.strip()) is not None


def is_counter(name: str, column: NDArray[np.generic]) -> bool:
    """Says whether a column counts the rows."""
    steps = np.diff(numbers(column))
    return _COUNTER.fullmatch(name.strip()) is not None and len(steps) > 1 and bool((steps == 1).all())


def is_unnamed_time(name: str, column: NDArray[np.generic]) -> bool:
    """Says whether a column without a name holds times: it rises, evenly, with every row."""
    if name or column.dtype.kind in "OUS":
        return not name and _clock(column) is not None
    steps = np.diff(numbers(column))
    return len(steps) > 8 and bool((steps > 0).all()) and bool(np.percentile(steps, 90) <= 3 * np.percentile(steps, 10))


def numbers(column: NDArray[np.generic]) -> NDArray[np.float64]:
    """Returns a column as numbers, NaN where a cell holds none."""
    return np.asarray(pd.to_numeric(pd.Series(column), errors="coerce"), dtype=np.float64)


def seconds_of(path: Path, name: str, column: NDArray[np.generic]) -> tuple[NDArray[np.float64], str, datetime | None]:
    """Returns a column of times in s, what was assumed of its unit, and the date and time where it has them.

    Raises:
        ValueError: If a time is missing or cannot be read.
    """
    values = numbers(column)
    if not np.isfinite(values).all():
        clock = _clock(column)
        if clock is None:
            raise ValueError(f"{path} has times that cannot be read, in column {name!r}: give sampling_rate")
        return clock[0], "", clock[1]
    found = _TIME.fullmatch(name.strip())
    unit = (found[2] or found[1]).lower() if found else ""
    if unit in _UNITS:
        return values * _UNITS[unit], "", None
    step = float(np.median(np.diff(values))) if len(values) > 1 else 0.0
    size, unit = next((size, unit) for limit, size, unit in _GUESSES if step <= limit)
    return values * size, f"the times have no unit: taken as {unit}, as they are {step:g} apart", None


def lay_out(path: Path, seconds: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
    """Finds the sampling rate of times, which may be rounded and may skip samples.

    Args:
        path: The file, for messages.
        seconds: Times of the samples in s, shape (L,).

    Returns:
        The rate in Hz, the roundest that agrees with the times, and the place of each sample, shape (L,).

    Raises:
        ValueError: If the times do not rise, or lie on no even grid.
    """
    steps = np.diff(seconds)
    if len(steps) < 2 or not (steps > -1e-12).all() or not np.median(steps) > 0:
        raise ValueError(f"{path} has times that do not rise: give sampling_rate, and leave the times out")
    step = float(np.median(steps))
    regular = steps[np.abs(steps - step) <= 0.5 * step + _resolution(seconds)]
    step = float(regular.mean())  # rounded times average out
    places = np.concatenate([[0], np.cumsum(np.maximum(np.round(steps / step), 1))]).astype(np.int64)
    if places[-1] > LARGEST_SPREAD * len(places):
        raise ValueError(f"{path} has times that leave {places[-1] - len(places)} samples out: the file is damaged")
    gaps = int((np.diff(places) > 1).sum())
    slope = (seconds[-1] - seconds[0]) / places[-1]
    off = np.abs(seconds - seconds[0] - places * slope)
    if np.percentile(off, 99) > (OFF_PLACE + gaps) * slope + _resolution(seconds):
        raise ValueError(
            f"{path} has times on no even grid: resample it, or give sampling_rate and leave the times out"
        )
    error = 2 * float(off.max()) / (seconds[-1] - seconds[0])
    return _roundest(1 / slope, error / slope), places


def _resolution(seconds: NDArray[np.float64]) -> float:
    """Returns the last digit that times are given to, in s."""
    part = seconds[:2000] - np.floor(seconds[0])
    scale = max(1.0, float(np.abs(part).max()))
    for digits in range(10):
        if (np.abs(part - np.round(part, digits)) <= 1e-12 * scale).all():
            return 10.0**-digits
    return 1e-9


def _roundest(rate: float, error: float) -> float:
    """Returns the number of fewest digits that differs from a rate by no more than its error."""
    for digits in range(9):
        if abs(round(rate, digits) - rate) <= max(error, 1e-9 * rate):
            return round(rate, digits)
    return rate


def _clock(column: NDArray[np.generic]) -> tuple[NDArray[np.float64], datetime | None] | None:
    """Reads times such as "0:00:01.004" or "2020-01-02 10:00:00.004"; None if they are none."""
    text = pd.Series(column).astype(str).str.strip(" '[]").str.replace(",", ".", regex=False)
    text = text.str.replace(r"\s\d\d/\d\d/\d{4}$", "", regex=True)
    if text.str.match(r"\d{4}-\d\d-\d\d").all():
        stamps = pd.to_datetime(text, errors="coerce", format="ISO8601", utc=True)
        if stamps.isna().any():
            return None
        zone = re.search(r"([+-]\d\d:?\d\d)$", text.iloc[0][10:])
        start = pd.Timestamp(text.iloc[0]).tz_localize(None) if zone else stamps.iloc[0].tz_localize(None)
        seconds = (stamps - stamps.iloc[0]).dt.total_seconds()
        return np.asarray(seconds, dtype=np.float64), start.to_pydatetime()
    if not text.str.fullmatch(r"\d+:\d\d(:\d\d)?(\.\d+)?").all():
        return None
    parts = text.str.split(":", expand=True).astype(np.float64).to_numpy()
    size = 60.0 ** np.arange(parts.shape[1] - 1, -1, -1)
    return parts @ size, None
