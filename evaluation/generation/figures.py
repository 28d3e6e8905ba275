"""Pictures of generated ECGs beside real ones: distances, histograms of features, twins, nearest neighbours."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from einthoven.ecg.leads import LEADS
from einthoven.report.ecg_paper import draw_ecg
from einthoven.report.figures import COLOURS, new_figure, save_figure
from evaluation.generation.distances import OVERALL
from evaluation.generation.ecg_features import FEATURES, INTERVALS, WAVES
from evaluation.generation.neighbours import Nearest
from evaluation.generation.runs import EcgSet

SHOWN_LEADS = ("I", "II", "V1", "V3", "V5")
SHOWN_AMPLITUDES = ("p_II", "r_II", "t_II", "r_V1", "r_V5", "t_V3")
N_BINS = 24


def draw_distances(path: Path | str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Draws what `compare_features` found by run: distances in real standard deviations, over the real ECGs' floor."""
    labels = {feature.name: feature.label for feature in INTERVALS}
    labels |= {wave: f"{wave} amplitude, mean of {len(LEADS)} leads" for wave in WAVES} | {OVERALL: "mean"}
    figure = new_figure(8.0, 4.6)
    axes = figure.add_subplot()
    for number, (name, table) in enumerate(tables.items()):
        rows = table.set_index("feature").loc[list(labels)]
        place = np.arange(len(labels), dtype=np.float64)
        if number == 0:
            low, high = rows["relative_floor_lower"], rows["relative_floor_upper"]
            axes.barh(place, high - low, left=low, height=0.8, color="0.85", label="real training ECGs (95 %)")
            axes.plot(rows["relative_floor"], place, "|", color="0.4", markersize=14, label="their mean")
        place += 0.2 * (number - (len(tables) - 1) / 2.0)
        value = rows["relative_w1"].to_numpy()
        error = np.abs(np.stack([rows["relative_lower"] - value, rows["relative_upper"] - value]))
        axes.errorbar(value, place, xerr=error, fmt="o", markersize=4, color=COLOURS[number % len(COLOURS)], label=name)
    axes.set_yticks(np.arange(len(labels)), list(labels.values()))
    axes.invert_yaxis()
    axes.set_xlim(left=0.0)
    axes.set_xlabel("Wasserstein-1 distance from the real ECGs (their standard deviations)")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize=8, loc="best")
    save_figure(figure, path)


def draw_histograms(path: Path | str, real: NDArray[np.float64], generated: Mapping[str, NDArray[np.float64]]) -> None:
    """Draws the distributions of features (N, F), as in `FEATURES`: real ones, and by run those of their twins."""
    names = [*(feature.name for feature in INTERVALS), *SHOWN_AMPLITUDES]
    figure = new_figure(12.0, 8.0)
    grid = figure.subplots(3, 4)
    for axes, name in zip(grid.flat, names, strict=True):
        column = next(k for k, feature in enumerate(FEATURES) if feature.name == name)
        sets = {key: values[:, column] for key, values in generated.items()}
        _histogram(axes, real[:, column], sets)
        axes.set_xlabel(f"{FEATURES[column].label} ({FEATURES[column].unit})", fontsize=9)
    grid.flat[0].legend(fontsize=8)
    save_figure(figure, path)


def draw_nearness(path: Path | str, sets: Mapping[str, Mapping[str, NDArray[np.float64]]], real: str) -> None:
    """Draws how far ECGs are from their nearest training ECG: distances (N,) by kind and set; `real` is one set."""
    figure = new_figure(10.0, 4.0)
    grid = figure.subplots(1, len(sets), squeeze=False)
    for axes, (kind, found) in zip(grid.flat, sets.items(), strict=True):
        _histogram(axes, found[real], {name: values for name, values in found.items() if name != real}, real)
        axes.axvline(
            float(np.nanpercentile(found[real], 1.0)), color="0.3", linestyle=":", label=f"1st percentile of {real}"
        )
        axes.set_xlabel(f"distance to the nearest training ECG, {kind}", fontsize=9)
        axes.set_xlim(left=0.0)
    grid.flat[0].legend(fontsize=8)
    save_figure(figure, path)


def _histogram(
    axes: Axes, real: NDArray[np.float64], sets: Mapping[str, NDArray[np.float64]], name: str = "real"
) -> None:
    shown = {key: found[np.isfinite(found)] for key, found in [(name, real), *sets.items()]}
    values = np.concatenate(list(shown.values()))
    if len(values):
        low, high = np.quantile(values, [0.002, 0.998])
        bins = np.linspace(low, high if high > low else low + 1.0, N_BINS + 1)
        for number, (key, found) in enumerate(shown.items()):
            colour = COLOURS[(number - 1) % len(COLOURS)]
            style = {"color": colour, "histtype": "step", "linewidth": 1.6} if number else {"color": "0.8"}
            weights = np.full(len(found), 1.0 / max(len(found), 1))
            axes.hist(np.clip(found, bins[0], bins[-1]), bins.tolist(), weights=weights, label=key, **style)
    axes.set_yticks([])
    axes.set_ylabel("share of ECGs", fontsize=8)
    axes.grid(alpha=0.3)


def draw_pair(
    path: Path | str,
    real: NDArray[np.floating],
    generated: NDArray[np.floating],
    sampling_rate: float,
    title: str,
) -> None:
    """Draws a real ECG and a generated one in mV, each of shape (12, L), on ECG paper, their leads in turn."""
    rows = [np.asarray(ecg)[LEADS.index(lead)] for lead in SHOWN_LEADS for ecg in (real, generated)]
    observed = np.tile([[True], [False]], (len(SHOWN_LEADS), 1))
    leads = [f"{lead} {name}" for lead in SHOWN_LEADS for name in ("real", "generated")]
    picture = draw_ecg(rows, leads, sampling_rate, observed=observed, layout="12x1", title=title, made="generated")
    save_figure(picture, path, dpi=100)


def draw_twins(folder: Path, real: EcgSet, generated: EcgSet, n_pictures: int) -> None:
    """Draws `example_1.png`, ...: a record of each of the most frequent sets of statements beside its twin."""
    common = Counter(codes for codes in real.statements if codes).most_common(n_pictures)
    for number, (codes, _) in enumerate(common, 1):
        row = real.statements.index(codes)
        title = f"ecg_id {real.ecg_ids[row]}: {', '.join(sorted(codes))}"
        path = folder / f"example_{number}.png"
        draw_pair(path, real.ecgs[row], generated.ecgs[row], real.sampling_rate, title)


def draw_neighbours(folder: Path, generated: EcgSet, near: Nearest, training: EcgSet, n_pictures: int) -> None:
    """Draws `neighbour_1.png`, ...: the ECGs nearest to a training ECG, it shifted so that they are most alike."""
    rate, length = generated.sampling_rate, generated.ecgs.shape[-1]
    for number, row in enumerate(np.argsort(near.distance)[:n_pictures], 1):
        lag, place = round(near.lag_s[row] * rate), near.index[row]
        shifted = np.full(generated.ecgs[row].shape, np.nan)
        kept = training.ecgs[place][:, max(-lag, 0) : length - max(lag, 0)]
        shifted[:, max(lag, 0) : length + min(lag, 0)] = kept
        title = f"twin of ecg_id {generated.ecg_ids[row]} and its nearest real training ECG, {training.ecg_ids[place]}"
        title += f", distance {near.distance[row]:.2f}"
        draw_pair(folder / f"neighbour_{number}.png", shifted, generated.ecgs[row], rate, title)
