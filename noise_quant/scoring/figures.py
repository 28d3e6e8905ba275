"""Pictures of noise scores: signal on ECG paper, scalogram, reconstruction and verdict side by side, a row per lead."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording
from einthoven.report.figures import new_figure
from einthoven.report.layouts import PULSE_S
from einthoven.report.sheet import INK, MM_PER_INCH, PAPER, calibration_pulse, rule_paper
from noise_quant.scalogram.image import MAX_LEVEL, WIDTH, WINDOW_S, ScalogramSettings
from noise_quant.scoring.lead_scores import LeadScores
from noise_quant.scoring.verdict import CLEAN, GAPPED, HEAVY, PARTLY, UNUSABLE
from noise_quant.scoring.windows import Window

VERDICT_COLOURS = {CLEAN: "#007a5a", PARTLY: "#b87700", HEAVY: "#c04a00", GAPPED: "#5a6fa8", UNUSABLE: "#666666"}
"""Readable on white, and apart for colour-blind readers."""
COLOUR_MAP = "viridis"
SPEED = 25.0
"""Paper speed in mm/s."""
GAIN = 10.0
"""Gain in mm/mV."""

_LABEL, _SIGNAL, _IMAGE, _TEXT = 24.0, SPEED * WINDOW_S, 110.0, 46.0
_GAP, _AXIS_GAP, _HEADER, _FOOTER = 5.0, 16.0, 20.0, 24.0
_FIRST_IMAGE = _LABEL + _SIGNAL + _AXIS_GAP
_PLACES = (_LABEL, _FIRST_IMAGE, _FIRST_IMAGE + _IMAGE + _GAP, _FIRST_IMAGE + 2 * _IMAGE + 2 * _GAP)
"""Left edges of the columns: signal, scalogram, reconstruction, score."""
_WIDTH = _FIRST_IMAGE + 2 * _IMAGE + _GAP + _TEXT
_MIN_ROW, _MAX_ROW, _BETWEEN = 25.0, 60.0, 3.0


def draw_scores(
    path: Path,
    recording: Recording,
    window: Window,
    number: int,
    scores: LeadScores,
    verdict: NDArray[np.object_],
    settings: ScalogramSettings,
    dpi: int = 100,
) -> None:
    """Draws one window of a recording, in true size on ECG paper (25 mm/s, 10 mm/mV).

    Columns of the images that the score does not count are dimmed.

    Args:
        path: File to write; the format follows the suffix.
        recording: The recording, in mV, NaN where missing.
        window: The window.
        number: Its number among those of the recording.
        scores: Scores of all windows, with their images; ValueError without.
        verdict: Verdicts on all leads and windows, shape (C, S), "" where none is known.
        settings: Settings of the scalograms.
        dpi: Resolution.
    """
    if scores.levels is None or scores.cleaned is None:
        raise ValueError("the pictures need the images: build the scorer with keep_images=True")
    rate, start_s = recording.sampling_rate, window.start / recording.sampling_rate
    ecg = recording.signal[:, window.start : window.start + window.length]
    title = f"{recording.name}, {scores.start_s[number]:.1f} to {scores.stop_s[number]:.1f} s"
    frequencies = (settings.min_frequency, settings.max_frequency)
    heights = [_row_height(lead) for lead in ecg]
    height = _HEADER + sum(heights) + _BETWEEN * (len(heights) - 1) + _FOOTER
    figure = _new_page(height, title, settings)
    top = height - _HEADER
    for row, row_height in enumerate(heights):
        top -= row_height
        boxes = [
            (place / _WIDTH, top / height, size / _WIDTH, row_height / height)
            for place, size in zip(_PLACES, (_SIGNAL, _IMAGE, _IMAGE, _TEXT), strict=True)
        ]
        last = row == len(heights) - 1
        _draw_signal(figure.add_axes(boxes[0]), ecg[row], rate, recording.leads[row], start_s, row_height, last)
        for box, images in ((boxes[1], scores.levels), (boxes[2], scores.cleaned)):
            image = images[row, number]
            _draw_image(figure.add_axes(box), image, start_s, frequencies, window.scored, box is boxes[1], last)
        score, *words = (values[row, number] for values in (scores.psnr, verdict, scores.reason))
        _write_score(figure, boxes[3], float(score), *words)
        top -= _BETWEEN
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)


def _new_page(height: float, title: str, settings: ScalogramSettings) -> Figure:
    """Returns a figure of a height in mm with all that stands above and below the rows."""
    figure = new_figure(_WIDTH / MM_PER_INCH, height / MM_PER_INCH)
    figure.set_layout_engine("none")
    figure.text(_LABEL / _WIDTH, 1 - 8.0 / height, title, fontsize=13, color=INK, va="center")
    for text, place in zip(("ECG", "scalogram", "reconstruction", "PSNR"), _PLACES, strict=True):
        figure.text(place / _WIDTH, 1 - 16.0 / height, text, fontsize=10, color=INK, va="center")
    _draw_scale(figure, (_PLACES[1] / _WIDTH, 9.0 / height, _IMAGE / _WIDTH, 3.0 / height), settings)
    footer = f"{SPEED:g} mm/s, {GAIN:g} mm/mV, as recorded; scores and reconstructions: research only"
    figure.text(_LABEL / _WIDTH, 8.0 / height, footer, fontsize=9, color=INK, va="center")
    return figure


def _row_height(lead: NDArray[np.float64]) -> float:
    """Returns the height in mm that a lead needs, in whole squares of paper."""
    finite = lead[np.isfinite(lead)]
    extent = float(np.ptp(finite)) * GAIN + 5.0 if len(finite) else 0.0
    return float(5.0 * np.ceil(np.clip(extent, _MIN_ROW, _MAX_ROW) / 5.0))


def _draw_signal(
    axes: Axes,
    lead: NDArray[np.float64],
    sampling_rate: float,
    name: str,
    start_s: float,
    row_height: float,
    labelled: bool,
) -> None:
    """Draws a lead on ECG paper; a lead taller than its row is cut."""
    finite = lead[np.isfinite(lead)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    half = row_height / GAIN / 2
    middle = (low + high) / 2 if high - low <= 2 * half else float(np.median(finite))
    bottom = 0.5 * round((middle - half) / 0.5)  # so that the zero line is a strong line of the grid
    top = bottom + 2 * half
    axes.set_facecolor(PAPER)
    rule_paper(axes, (start_s, start_s + WINDOW_S), (bottom, top), (1.0 / SPEED, 1.0 / GAIN))
    axes.plot(start_s + np.arange(len(lead)) / sampling_rate, lead, color=INK, linewidth=0.8)
    left = start_s - PULSE_S - 2.0 / SPEED
    zero = float(np.clip(0.0, bottom, top - 1.0))
    pulse = calibration_pulse(SPEED, GAIN) / (SPEED, GAIN) + (left, zero)
    axes.plot(*pulse.T, color=INK, linewidth=0.8, solid_joinstyle="miter", clip_on=False)
    axes.set_xlim(start_s, start_s + WINDOW_S)
    axes.set_ylim(bottom, top)
    axes.set_yticks([])
    beside = ((left - start_s - 2.5 / SPEED) / WINDOW_S, 0.5)
    axes.text(*beside, name, transform=axes.transAxes, ha="right", va="center", fontsize=11, fontweight="bold")
    _label_time(axes, labelled)


def _draw_image(
    axes: Axes,
    image: NDArray[np.float32],
    start_s: float,
    frequencies: tuple[float, float],
    scored: tuple[int, int],
    ruled: bool,
    labelled: bool,
) -> None:
    extent = (start_s, start_s + WINDOW_S, *frequencies)
    axes.imshow(image, cmap=COLOUR_MAP, vmin=0, vmax=MAX_LEVEL, extent=extent, aspect="auto", interpolation="nearest")
    for first, last in ((0, scored[0]), (scored[1], WIDTH)):
        if first < last:
            span = (start_s + first * WINDOW_S / WIDTH, start_s + last * WINDOW_S / WIDTH)
            axes.axvspan(*span, color="white", alpha=0.65, linewidth=0)
    axes.set_yticks([1, 10, 20, 30, 40] if ruled else [])
    axes.tick_params(labelsize=7)
    if ruled:
        axes.set_ylabel("Hz", fontsize=8, labelpad=1)
    _label_time(axes, labelled)


def _label_time(axes: Axes, labelled: bool) -> None:
    axes.tick_params(axis="x", labelsize=8, labelbottom=labelled, length=2)
    if labelled:
        axes.set_xlabel("s", fontsize=8, labelpad=1)


def _write_score(
    figure: Figure, box: tuple[float, float, float, float], psnr: float, verdict: str, reason: str
) -> None:
    left, bottom, _, height = box
    middle = bottom + height / 2
    number = "no score" if np.isnan(psnr) else f"{psnr:.1f} dB"
    colour = VERDICT_COLOURS.get(verdict, INK)
    figure.text(left, middle, number, fontsize=14, fontweight="bold", color=colour, va="bottom")
    figure.text(left, middle - 0.04 * height, reason or verdict, fontsize=10, color=colour, va="top")


def _draw_scale(figure: Figure, box: tuple[float, float, float, float], settings: ScalogramSettings) -> None:
    colours = ScalarMappable(Normalize(settings.log_min, settings.log_max), COLOUR_MAP)
    scale = figure.colorbar(colours, cax=figure.add_axes(box), orientation="horizontal")
    scale.set_label("log10 of the power (mV²)", fontsize=8, labelpad=1)
    scale.ax.tick_params(labelsize=7, length=2)
