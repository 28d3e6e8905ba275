"""Figures that are no ECG paper: how they are made and saved, and the curves of a training.

Drawn with matplotlib's objects and no global state, so they work without a display and from several threads. Colours
keep apart for colour-blind readers (Okabe and Ito).
"""

import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
_SETTINGS_LOCK = threading.Lock()
"""matplotlib's settings are one for all threads."""


class Picture(Figure):
    """A figure with a canvas of its own: it shows itself in a notebook, and is saved to the same bytes each time."""

    def __init__(self, width: float, height: float, *, layout: Literal["constrained"] | None = None) -> None:
        super().__init__(figsize=(width, height), layout=layout)
        FigureCanvasAgg(self)

    def savefig(self, fname: Any, **settings: Any) -> None:  # noqa: ANN401 (as in matplotlib)
        """Writes the figure as `Figure.savefig` does, without dates and random names."""
        kind = str(settings.get("format") or Path(str(fname)).suffix.lstrip(".") or "png").lower()
        dateless = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
        if kind not in dateless:
            super().savefig(fname, **settings)
            return
        settings["metadata"] = {**dateless[kind], **(settings.get("metadata") or {})}
        with _SETTINGS_LOCK, rc_context({"svg.hashsalt": "einthoven"}):
            super().savefig(fname, **settings)

    def _repr_png_(self) -> bytes:
        """Draws the figure for a notebook, in few colours, as stored outputs should be small."""
        drawn, small = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=90)
        Image.open(drawn).convert("RGB").quantize(64).save(small, format="png", optimize=True)
        return small.getvalue()


def new_figure(width: float, height: float) -> Picture:
    """Makes an empty figure of a size in inches with its own canvas."""
    return Picture(width, height, layout="constrained")


def save_figure(figure: Figure, path: Path | str, dpi: int = 120) -> None:
    """Writes a figure, making missing folders; the format follows the suffix (png, pdf, svg)."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)


def draw_loss_curve(metrics: Sequence[Mapping[str, object]], path: Path | str) -> None:
    """Draws training and validation losses against the step, and says in words what each curve is.

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
    figure = new_figure(9.5, 5.0)
    axes = figure.add_subplot()
    validation = [tuple(key.rpartition("/")[::2]) for key in curves if key.startswith("val")]
    groups, levels = (list(dict.fromkeys(pair[place] for pair in validation)) for place in (0, 1))
    for key, points in curves.items():
        steps, values = np.array(sorted(points)).T
        group, _, level = key.rpartition("/")
        if (group, level) in validation:
            style = ("-", "--", ":", "-.")[groups.index(group) % 4]
            colour = COLOURS[levels.index(level) % len(COLOURS)]
            label = _name_of_validation(key.partition("/")[2] or key)
            axes.plot(steps, values, style, color=colour, marker="o", markersize=2.5, linewidth=1.2, label=label)
        else:
            axes.plot(steps, values, color="0.8", linewidth=0.6, zorder=0, label="training, each logged step")
            axes.plot(steps, _smooth(values), color="black", linewidth=1.6, label="training, moving average")
    if curves and all(value > 0.0 for points in curves.values() for _, value in points):
        axes.set_yscale("log")
    axes.set_xlabel("training step")
    axes.set_ylabel("loss (no unit; lower is better)")
    axes.grid(alpha=0.3)
    if curves:
        title = (
            "validation: always the same records and noise,\nweights averaged over steps (EMA)" if validation else None
        )
        beside: dict[str, Any] = {"bbox_to_anchor": (1.0, 0.5), "alignment": "left"}
        axes.legend(loc="center left", fontsize=8, frameon=False, title=title, title_fontsize=8, **beside)
    else:
        axes.text(0.5, 0.5, "no losses were logged", transform=axes.transAxes, ha="center")
    save_figure(figure, path)


def _name_of_validation(name: str) -> str:
    """Puts the name of a validation batch into words."""
    words = {"none": "nothing measured", "lead_I": "lead I measured", "noisy": "all leads measured with noise"}
    group, _, level = name.rpartition("/")
    try:
        return f"validation, {words.get(group, group.replace('_', ' '))}, noise level {float(level):g}"
    except ValueError:  # no number: the name is words
        return f"validation, {words.get(name, name.replace('_', ' ').replace('/', ', '))}"


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
