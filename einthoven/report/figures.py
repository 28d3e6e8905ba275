"""Figures: ECGs and reconstructions on ECG paper, loss curves, calibration and amplitude plots.

Drawn with matplotlib's objects and no global state, so they work without a display and from several threads. Colours
keep apart for colour-blind readers (Okabe and Ito): the truth is black, a reconstruction blue, its band translucent
blue.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from einthoven.ecg.leads import LEADS
from einthoven.report.ecg_paper import BLUE, GREY, INK, MARGIN, Page, new_page, place_strips

SPACING = {"3x4": 25.0, "12x1": 20.0}
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")


def draw_ecg(
    path: Path | str,
    ecg: np.ndarray,
    sampling_rate: float,
    *,
    leads: Sequence[str] = LEADS,
    title: str = "",
    layout: str = "3x4",
    dpi: int = 150,
) -> None:
    """Draws an ECG on ECG paper.

    Args:
        path: File to write; the format follows the suffix.
        ecg: ECG in mV, shape (n_leads, L).
        sampling_rate: Sampling rate in Hz.
        leads: Names of the leads, as many as there are.
        title: Text above the paper.
        layout: `3x4` (four columns of 2.5 s and a rhythm strip, of twelve leads) or `12x1` (one row a lead).
        dpi: Resolution; at any, a printout in original size shows 25 mm/s and 10 mm/mV.
    """
    ecg = np.asarray(ecg, dtype=np.float64)
    page = _page([ecg], leads, sampling_rate, layout)
    for strip in page.strips:
        page.trace(strip, ecg[strip.lead], sampling_rate)
        page.label(strip, leads[strip.lead])
    page.write_title(title)
    page.save(path, dpi)


def draw_reconstruction(
    path: Path | str,
    mean: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    sampling_rate: float,
    *,
    truth: np.ndarray | None = None,
    observed: np.ndarray | None = None,
    noisy: np.ndarray | None = None,
    leads: Sequence[str] = LEADS,
    title: str = "",
    layout: str = "3x4",
    dpi: int = 150,
) -> None:
    """Draws a reconstruction on ECG paper: the truth where known, the mean and the band that says how sure it is.

    Leads observed throughout are drawn in black and marked; a partly observed lead has its observed stretches in black.

    Args:
        path: File to write; the format follows the suffix.
        mean: Mean reconstruction in mV, shape (n_leads, L).
        lower: Lower edge of the band in mV, shape (n_leads, L).
        upper: Upper edge of the band in mV, shape (n_leads, L).
        sampling_rate: Sampling rate in Hz.
        truth: True ECG in mV, shape (n_leads, L), or None where nobody knows it.
        observed: True where a sample was measured, shape (n_leads, L) or (n_leads, 1).
        noisy: Recording before its noise was removed, drawn in grey, in mV, shape (n_leads, L), NaN where not recorded.
        leads: As for `draw_ecg`.
        title: Text above the paper.
        layout: As for `draw_ecg`.
        dpi: As for `draw_ecg`.
    """
    mean, lower, upper = (np.asarray(values, dtype=np.float64) for values in (mean, lower, upper))
    observed = np.broadcast_to(np.zeros((1, 1), bool) if observed is None else np.asarray(observed, bool), mean.shape)
    known = np.full(mean.shape, np.nan) if truth is None else np.asarray(truth, dtype=np.float64)
    before = np.full(mean.shape, np.nan) if noisy is None else np.asarray(noisy, dtype=np.float64)
    page = _page([mean, lower, upper, known, before], leads, sampling_rate, layout)
    measured = np.where(observed, mean if truth is None else known, np.nan)
    for strip in page.strips:
        lead = strip.lead
        whole = bool(observed[lead].all())
        page.trace(strip, before[lead], sampling_rate, GREY, 0.6)
        if not whole:
            low, high = (np.where(observed[lead], np.nan, edge[lead]) for edge in (lower, upper))
            page.band(strip, low, high, sampling_rate)
            page.trace(strip, known[lead], sampling_rate, INK, 0.8)
            page.trace(strip, np.where(observed[lead], np.nan, mean[lead]), sampling_rate, BLUE)
        page.trace(strip, measured[lead], sampling_rate)
        page.label(strip, leads[lead], "observed" if whole else "")
    page.write_title(title)
    has_band = bool((lower < upper).any())
    lines = [(GREY, "recording", 0.6)] if noisy is not None else []
    if truth is not None or observed.any():
        lines.append((INK, "observed" if truth is None else "truth", 0.9))
    page.write_legend([*lines, (BLUE, f"reconstruction{' (mean)' if has_band else ''}", 0.9)], has_band)
    page.save(path, dpi)


def _page(curves: Sequence[np.ndarray], leads: Sequence[str], sampling_rate: float, layout: str) -> Page:
    n_leads, length = curves[0].shape
    if len(leads) != n_leads:
        raise ValueError(f"{len(leads)} lead names for {n_leads} leads: give one name a lead")
    strips = place_strips(leads, length / sampling_rate, layout)
    extents = []
    for strip in strips:
        shown = np.concatenate([curve[strip.lead, strip.window(sampling_rate)] for curve in curves])
        shown = shown[np.isfinite(shown)]
        extents.append((float(shown.min()), float(shown.max())) if len(shown) else (0.0, 0.0))
    page = new_page(strips, extents, SPACING[layout])
    for strip in strips:
        if strip.left > MARGIN + 10.0 and layout == "3x4":
            baseline = page.baselines[strip.row]
            for end in (-4.0, 4.0):
                page.axes.plot([strip.left] * 2, [baseline + end / 2.0, baseline + end], color=INK, linewidth=0.7)
    return page


def new_figure(width: float, height: float) -> Figure:
    """Makes an empty figure of a size in inches with its own canvas."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path | str) -> None:
    """Writes a figure, making missing folders; the format follows the suffix."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def draw_loss_curve(metrics: Sequence[Mapping[str, object]], path: Path | str) -> None:
    """Draws training loss (smoothed) and validation losses against the step.

    Metrics are lines of `metrics.jsonl`: each with `step`, some with `loss` or `train_loss`, some with keys or a
    mapping that start with `val`, one entry per noise level. Lines without a step are left out.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in metrics:
        if not isinstance(line.get("step"), int | float):
            continue
        for key, value in _flat(line).items():
            if key in ("loss", "train_loss") or key.startswith("val"):
                curves.setdefault(key, []).append((float(str(line["step"])), value))
    figure = new_figure(9.0, 5.0)
    axes = figure.add_subplot()
    validation = [tuple(key.rpartition("/")[::2]) for key in curves if key.startswith("val")]
    groups, levels = (list(dict.fromkeys(pair[place] for pair in validation)) for place in (0, 1))
    for key, points in curves.items():
        steps, values = np.array(sorted(points)).T
        group, _, level = key.rpartition("/")
        if (group, level) in validation:
            style = ("-", "--", ":", "-.")[groups.index(group) % 4]
            colour = COLOURS[levels.index(level) % len(COLOURS)]
            label = key.partition("/")[2] or key
            axes.plot(steps, values, style, color=colour, marker="o", markersize=2.5, linewidth=1.2, label=label)
        else:
            axes.plot(steps, values, color="0.8", linewidth=0.6, zorder=0)
            axes.plot(steps, _smooth(values), color="black", linewidth=1.6, label="training (smoothed)")
    if all(value > 0.0 for points in curves.values() for _, value in points):
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    if curves:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    save_figure(figure, path)


def _flat(line: Mapping[str, object], prefix: str = "") -> dict[str, float]:
    """Numbers of a nested mapping, by keys joined with a slash; anything that is no finite number is left out."""
    numbers: dict[str, float] = {}
    for key, value in line.items():
        if isinstance(value, Mapping):
            numbers |= _flat(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
            numbers[f"{prefix}{key}"] = float(value)
    return numbers


def _smooth(values: np.ndarray) -> np.ndarray:
    """Centred moving average over a fiftieth of the curve, shorter at its ends."""
    half = len(values) // 100
    total = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return np.asarray((total[last] - total[first]) / (last - first))
