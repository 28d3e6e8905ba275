"""`restore_long`: recordings longer than the prior's ten seconds, restored window by window.

Memory does not grow with the recording: long results lie in memory-mapped files, in a folder that is given, where a
killed call goes on, or in a temporary one, which is removed with the result.
"""

import hashlib
import shutil
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.hum import describe_hum
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from einthoven.run.fingerprint import fingerprint
from einthoven.run.lock import held_folder
from einthoven.statistics import predictive_band
from reconstruction.calibration.familiarity import prior_of, with_familiarity
from reconstruction.measurement.noise_start import describe_noise
from reconstruction.measurement.recorded import describe_filters, describe_gap, describe_saturation
from reconstruction.result import MEAN, MEDIAN, MEDIAN_NOTE, Reconstruction
from reconstruction.windows.arrays import temporary_folder
from reconstruction.windows.restorer import OVERLAP_S, WINDOW_S, Choose, Settings, WindowRestorer
from reconstruction.windows.store import WindowStore

SAMPLES_UP_TO_S = 60.0
"""Samples of recordings up to this length are kept where nobody says otherwise."""
MEMORY_UP_TO_S = 120.0
"""Results of recordings up to this length are kept in memory where no folder is given."""
_FLUSH_S = 10.0
_HASHED_SAMPLES = 1_000_000
_MOST_STRETCHES = 5

Progress = Callable[[float], object]
"""Called with the seconds of the recording that were done since the last time."""


def restore_long(
    recording: Recording,
    choose: Choose,
    settings: Settings,
    *,
    folder: str | Path | None = None,
    keep_samples: bool | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Reconstructs the twelve leads of a recording of more than 10 s.

    Args:
        recording: The recording.
        choose: Names and makes the sampler for a window.
        settings: What else decides the result.
        folder: Folder for the results, as memory-mapped `.npy` files; one that holds results of the same work, finished
            or not, is taken up again. None: memory, or a temporary folder for more than two minutes.
        keep_samples: Whether the samples are kept; None: up to a minute.
        progress: Called with the seconds that are done.

    Raises:
        ValueError: If the folder holds results of other work, or another process works in it.
    """
    signal, rate = recording.signal, recording.sampling_rate
    duration = signal.shape[-1] / rate
    keep = duration <= SAMPLES_UP_TO_S if keep_samples is None else keep_samples
    restorer = WindowRestorer(signal, rate, recording.leads, choose, settings)
    is_temporary = folder is None and duration > MEMORY_UP_TO_S
    place = temporary_folder() if is_temporary else None if folder is None else Path(folder)
    try:
        with nullcontext() if place is None else held_folder(place):
            depends_on = {} if folder is None else _depends_on(recording, restorer, keep)
            store = WindowStore(
                place,
                depends_on,
                restorer.layout.windows,
                settings.n_samples,
                len(recording.leads),
                keep_samples=keep,
            )
            _restore(restorer, store, progress or _nobody, rate)
    except BaseException:
        if is_temporary and place is not None:
            shutil.rmtree(place, ignore_errors=True)
        raise
    result = with_familiarity(_result(recording, restorer, store), prior_of(restorer.first[1]))
    if is_temporary and place is not None:
        weakref.finalize(result, shutil.rmtree, place, ignore_errors=True)
    return result


def _nobody(seconds: float) -> None:
    del seconds


def _depends_on(recording: Recording, restorer: WindowRestorer, keep: bool) -> dict[str, Any]:
    """Says what the results depend on, as plain data."""
    digest = hashlib.sha256()
    for first in range(0, recording.signal.shape[-1], _HASHED_SAMPLES):
        digest.update(np.ascontiguousarray(recording.signal[:, first : first + _HASHED_SAMPLES], np.float64).tobytes())
    facts = {"signal": digest.hexdigest(), "sampling_rate": recording.sampling_rate, "leads": list(recording.leads)}
    settings = asdict(restorer.settings) | {"device": str(restorer.settings.device)}
    if settings["point_estimate"] == MEAN:  # folders that were begun before there was a choice go on
        del settings["point_estimate"]
    return {**facts, "settings": fingerprint(settings), "sampler": fingerprint(restorer.first), "keep_samples": keep}


def _restore(restorer: WindowRestorer, store: WindowStore, progress: Progress, rate: float) -> None:
    """Restores the windows that are not done yet, one after the other."""
    windows, n_done = restorer.layout.windows, store.n_done
    tail = store.tail(windows[n_done - 1]) if n_done else None
    if n_done:
        progress(windows[n_done - 1].last / rate)
    flushed = time.monotonic()
    for window in windows[n_done:]:
        restored = restorer(window, tail)
        tail = None if restored is None else restored.tail
        store.put(window, restored, None if restored is None else predictive_band(restored.samples))
        if time.monotonic() - flushed > _FLUSH_S:
            store.flush()
            flushed = time.monotonic()
        progress((window.last - window.first) / rate)
    store.flush()


def _result(recording: Recording, restorer: WindowRestorer, store: WindowStore) -> Reconstruction:
    rows, arrays = store.arrays["windows"], store.arrays
    methods = [str(method) for method in np.unique(rows["method"]) if method]
    noise = None
    if restorer.settings.noise is not None:
        known = np.isfinite(rows["noise"]) & ~rows["nothing"][:, None]
        power = np.where(known, rows["noise"], 0.0) ** 2
        noise = np.sqrt(power.sum(0) / np.where(known.any(0), known.sum(0), np.nan)).astype(np.float32)
    return Reconstruction(
        samples=arrays.get("samples"),
        mean=arrays["mean"],
        lower=arrays["lower"],
        upper=arrays["upper"],
        observed=arrays["observed"],
        leads=LEADS,
        sampling_rate=recording.sampling_rate,
        method=" and ".join(methods) or restorer.first[0],
        network_calls=int(rows["network"].sum()),
        gradient_calls=int(rows["gradient"].sum()),
        seconds=float(rows["seconds"].sum()),
        notes=(
            *recording.notes,
            *_describe(recording, restorer, rows, noise),
        ),
        noise_level=noise,
        given=recording,
    )


def _describe(
    recording: Recording, restorer: WindowRestorer, rows: NDArray[Any], noise: NDArray[np.float32] | None
) -> list[str]:
    """Says in words what was done."""
    rate, windows, settings = recording.sampling_rate, restorer.layout.windows, restorer.settings
    notes = [describe_filters(rate, restorer.prior_rate)]
    notes.append(
        f"{len(windows)} windows of {WINDOW_S:g} s, {OVERLAP_S:g} s or more in common, each of which goes on where the "
        f"one before ended; in {int(((rows['method'] == '') & ~rows['nothing']).sum())} of them all was known"
    )
    if (error := abs(restorer.layout.rate / rate - 1)) > 1e-9:
        notes.append(
            f"{rate:g} Hz are taken for {restorer.layout.rate:.6g} Hz within a window ({100 * error:.2g} % off)"
        )
    nothing = [(window.first, window.last) for window in windows if rows["nothing"][window.number]]
    notes += _describe_nothing(nothing, rate)
    duration = recording.signal.shape[-1] / rate
    inner_rate = min(rate, restorer.prior_rate)
    lost = sum(last - first for first, last in nothing)
    for lead, missing, restored in zip(
        recording.leads, rows["missing"].sum(0) + lost, rows["restored"].sum(0) / inner_rate, strict=True
    ):
        if missing:
            notes.append(describe_gap(lead, float(missing) / rate, float(restored), duration))
    if settings.saturation is not None:
        notes += describe_saturation(recording.leads, rows["saturated"].sum(0) / rate)
    notes += describe_hum(recording.leads, rows["hum"].max(axis=0), "removed, at most")
    misfit = rows["misfit"].max(axis=0)
    if misfit.any():
        wrong = ", ".join(f"{lead} by {size:.2f} mV" for lead, size in zip(LEADS, misfit, strict=True) if size)
        n_wrong = int(rows["misfit"].any(axis=1).sum())
        notes.append(
            f"the limb leads contradict Einthoven's law in {n_wrong} windows ({wrong}): check lead names and electrodes"
        )
    notes += describe_noise(settings.noise, noise)
    return [*notes, MEDIAN_NOTE] if settings.point_estimate == MEDIAN else notes


def _describe_nothing(stretches: Sequence[tuple[int, int]], rate: float) -> list[str]:
    """Says where nothing was measured, and so nothing restored."""
    joined: list[tuple[int, int]] = []
    for first, last in stretches:
        if joined and joined[-1][1] == first:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    if not joined:
        return []
    shown = [f"{first / rate:.1f} to {last / rate:.1f} s" for first, last in joined[:_MOST_STRETCHES]]
    more = f" and {len(joined) - len(shown)} more stretches" if len(joined) > len(shown) else ""
    return [f"nothing was measured and nothing is restored from {', '.join(shown)}{more}"]
