"""One recording reconstructed into a folder: the samples, the mean as WFDB, a picture and a table."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal, resample
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, canonical_leads, lead_matrix
from einthoven.ecg.recording import Recording
from einthoven.ecg.writing import write
from einthoven.report.ecg_paper import draw_ecg
from einthoven.report.figures import save_figure
from einthoven.run.files import atomic_write
from einthoven.statistics import finite_mean
from reconstruction.api import SIGMA_Y_MV, reconstruct
from reconstruction.long_recording import MEMORY_UP_TO_S, Progress
from reconstruction.measurement.checks import is_long
from reconstruction.measurement.saturation import Saturation
from reconstruction.result import MEAN, Reconstruction
from reconstruction.samplers.base import PosteriorSampler

SHOWN_SAMPLES = 3
PAGE_S = 10.0
PAGES = 6
WFDB_UP_TO_S = 3600.0
"""Means of up to an hour are written as WFDB too."""


def reconstruct_recording(
    recording: Recording,
    folder: Path,
    sampler: PosteriorSampler,
    *,
    keep: Sequence[str] | None = None,
    noise: str | None = None,
    saturation: Saturation = None,
    n_samples: int = 10,
    seed: int = 0,
    sigma_y: float = SIGMA_Y_MV,
    point_estimate: str = MEAN,
    device: str = "cpu",
    progress: Progress | None = None,
) -> str:
    """Reconstructs one recording, and writes what comes out; returns a table with a line for each lead, as text.

    Writes `reconstruction.npz` (samples, mean, band, observed, leads, rate, and the truth where known), the mean as the
    WFDB record `reconstruction`, and `reconstruction.png`. Of more than two minutes the results are the memory-mapped
    files in `reconstruction/`, where a killed call goes on; pictures show the first minute, ten seconds each, and the
    table is that of the first two minutes. Leads of the recording that are not kept (None: all are) are the truth to
    compare with. Where noise is removed nobody knows the truth: then `noisy` and `noise_level` are written
    beside it. The other arguments are those of `reconstruct`.
    """
    kept = recording.leads if keep is None else canonical_leads(keep)
    given = replace(recording, signal=recording.ordered(kept), leads=kept)
    settings: dict[str, Any] = {"noise": noise, "saturation": saturation, "sigma_y": sigma_y, "device": device}
    settings |= {"seed": seed, "sampler": sampler, "key": recording.name, "progress": progress}
    settings["point_estimate"] = point_estimate
    is_large = recording.signal.shape[-1] > MEMORY_UP_TO_S * recording.sampling_rate
    settings |= {"folder": folder / "reconstruction"} if is_large else {"keep_samples": True}
    result = reconstruct(given, n_samples=n_samples, **settings)
    shown = _part(result, 0.0, MEMORY_UP_TO_S)
    known = _twelve_filtered(recording if noise is None else given, sampler.sampling_rate)
    truth, noisy = (known, None) if noise is None else (np.full(known.shape, np.nan), known)
    if not is_large:
        _write(folder, result, truth, noisy)
    if recording.signal.shape[-1] <= WFDB_UP_TO_S * recording.sampling_rate:
        _write_wfdb(folder, result)
    removed = "" if noise is None else f", noise removed ({noise})"
    title = f"{recording.name}: 12 leads from {', '.join(kept)}{removed} ({result.method}, {n_samples} samples)"
    _draw_pages(folder, shown, truth, noisy, title)
    return "\n".join([title, *_describe(shown, truth)])


def _part(result: Reconstruction, start: float, stop: float) -> Reconstruction:
    """Returns the part of a result between two times in s; itself where that is all."""
    place = slice(round(start * result.sampling_rate), round(stop * result.sampling_rate))
    if place.start == 0 and place.stop >= result.mean.shape[-1]:
        return result
    arrays = {name: getattr(result, name)[..., place] for name in ("mean", "lower", "upper", "observed")}
    return replace(result, **arrays, samples=None if result.samples is None else result.samples[..., place])


def leads_to_keep(recording: Recording, n_leads: int) -> tuple[str, ...] | None:
    """Chooses what to reconstruct a recording from: the first `n_leads` of the twelve where it is complete.

    So there is something to compare with. Where it lacks leads or samples it is None: all leads.
    """
    complete = set(INDEPENDENT_LEADS) <= set(recording.leads) and not np.isnan(recording.signal).any()
    return tuple(lead for lead in LEADS if lead in recording.leads)[:n_leads] if complete else None


def _twelve_filtered(recording: Recording, prior_rate: float) -> NDArray[np.float64]:
    """Returns the twelve leads of the recording as filtered, in mV, shape (12, L), NaN where it does not say.

    Of a long recording, these are its first two minutes.
    """
    rate, inner_rate = recording.sampling_rate, min(recording.sampling_rate, prior_rate)
    signal = recording.signal[:, : round(MEMORY_UP_TO_S * rate)]
    length = signal.shape[-1]
    clean = resample(clean_signal(signal, rate, inner_rate), inner_rate, rate, length)
    clean[np.isnan(signal)] = np.nan
    twelve = np.full((len(LEADS), length), np.nan)
    for row, lead in enumerate(LEADS):
        try:
            weights = lead_matrix([lead], recording.leads)[0]
        except ValueError:  # the recording does not hold this lead
            continue
        twelve[row] = weights[weights != 0] @ clean[weights != 0]
    return twelve


def _draw_pages(
    folder: Path, result: Reconstruction, truth: NDArray[np.float64], noisy: NDArray[np.float64] | None, title: str
) -> None:
    """Draws ten seconds a page, of longer recordings the first pages."""
    rate, duration = result.sampling_rate, result.mean.shape[-1] / result.sampling_rate
    if not is_long(result.mean.shape[-1], rate):
        _draw(folder / "reconstruction.png", result, truth, noisy, title)
        return
    for page in range(min(PAGES, math.ceil(duration / PAGE_S))):
        start = page * PAGE_S
        place = slice(round(start * rate), round((start + PAGE_S) * rate))
        name = f"reconstruction_{start:04.0f}s.png" if page else "reconstruction.png"
        part = None if noisy is None else noisy[:, place]
        _draw(folder / name, _part(result, start, start + PAGE_S), truth[:, place], part, f"{title}, from {start:g} s")


def _draw(
    path: Path, result: Reconstruction, truth: NDArray[np.float64], noisy: NDArray[np.float64] | None, title: str
) -> None:
    """Draws the reconstruction beside what is known."""
    picture = draw_ecg(
        result.mean,
        result.leads,
        result.sampling_rate,
        lower=result.lower,
        upper=result.upper,
        samples=None if result.samples is None else result.samples[:SHOWN_SAMPLES],
        truth=truth if np.isfinite(truth).any() else None,
        observed=result.observed,
        noisy=noisy,
        title=title,
    )
    save_figure(picture, path, dpi=150)


def _describe(result: Reconstruction, truth: NDArray[np.float64]) -> list[str]:
    """Says of each lead how it was restored, and what it took."""
    table = _table(result, truth) if result.noise_level is None else _noise_table(result, result.noise_level)
    calls = f"{result.network_calls} network calls ({result.gradient_calls} with a gradient) in {result.seconds:.1f} s"
    return [*table, calls, *result.notes]


def _table(result: Reconstruction, truth: NDArray[np.float64]) -> list[str]:
    """Writes one line for each lead: how near the mean is to the truth, and how often the band holds it."""
    lines = [f"{'lead':>5} {'observed':>9} {'correlation':>12} {'MAE (mV)':>9} {'in 90 % band':>13} {'width (mV)':>11}"]
    rows: list[list[float]] = []
    for row, lead in enumerate(result.leads):
        rest = ~result.observed[row]
        share = f"{100 * result.observed[row].mean():.0f} %"
        if not rest.any():
            lines.append(f"{lead:>5} {share:>9} {'-':>12} {'-':>9} {'-':>13} {'-':>11}")
            continue
        scores = _scores(result, row, truth[row], rest)
        rows.append(scores)
        lines.append(f"{lead:>5} {share:>9} {_format(scores)}")
    if rows:
        lines.append(f"{'mean':>5} {'':>9} {_format(finite_mean(np.array(rows)).tolist())}")
    return lines


def _noise_table(result: Reconstruction, noise_level: NDArray[np.float32]) -> list[str]:
    """Writes one line for each lead: its noise, the ratio of the mean's power to it, and the width of the band."""
    lines = [f"{'lead':>5} {'noise (mV)':>11} {'SNR (dB)':>9} {'width (mV)':>11}"]
    for row, lead in enumerate(result.leads):
        width = f"{(result.upper[row] - result.lower[row]).mean():>11.3f}"
        if np.isnan(noise_level[row]):
            lines.append(f"{lead:>5} {'-':>11} {'-':>9} {width}")
            continue
        ratio = 10 * np.log10(np.square(result.mean[row]).mean() / noise_level[row] ** 2)
        lines.append(f"{lead:>5} {noise_level[row]:>11.3f} {ratio:>9.1f} {width}")
    return lines


def _scores(result: Reconstruction, row: int, truth: NDArray[np.float64], rest: NDArray[np.bool_]) -> list[float]:
    """Returns correlation, MAE, coverage and width of the band over the restored samples of a lead; NaN if unknown."""
    width = float((result.upper[row] - result.lower[row])[rest].mean())
    rest = rest & np.isfinite(truth)
    if rest.sum() < 2 or np.ptp(truth[rest]) == 0 or np.ptp(result.mean[row, rest]) == 0:
        return [np.nan, np.nan, np.nan, width]
    mean, inside = result.mean[row], (result.lower[row] <= truth) & (truth <= result.upper[row])
    correlation = np.corrcoef(mean[rest], truth[rest])[0, 1]
    return [float(correlation), float(np.abs(mean - truth)[rest].mean()), float(inside[rest].mean()), width]


def _format(scores: Sequence[float]) -> str:
    correlation, error, coverage, width = scores
    cells = [f"{correlation:.3f}", f"{error:.3f}", f"{100 * coverage:.0f} %", f"{width:.3f}"]
    cells = ["?" if "nan" in cell else cell for cell in cells]
    return f"{cells[0]:>12} {cells[1]:>9} {cells[2]:>13} {cells[3]:>11}"


def _write(folder: Path, result: Reconstruction, truth: NDArray[np.float64], noisy: NDArray[np.float64] | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    assert result.samples is not None  # as was asked for
    extra = {}
    if noisy is not None and result.noise_level is not None:
        extra = {"noisy": noisy.astype(np.float32), "noise_level": result.noise_level}
    with atomic_write(folder / "reconstruction.npz") as partial:
        np.savez_compressed(
            partial,
            samples=result.samples,
            mean=result.mean,
            lower=result.lower,
            upper=result.upper,
            observed=result.observed,
            leads=np.array(result.leads),
            sampling_rate=result.sampling_rate,
            truth=truth.astype(np.float32),
            **extra,  # type: ignore[arg-type] # numpy's stub takes the keywords for allow_pickle
        )


def _write_wfdb(folder: Path, result: Reconstruction) -> None:
    """Writes the mean as a WFDB record; what is missing stays so."""
    notes = ("mean of a reconstruction; not a recording", *result.notes)
    mean = Recording(result.mean.astype(np.float64), result.sampling_rate, result.leads, notes=notes)
    write(mean, folder / "reconstruction.hea")
