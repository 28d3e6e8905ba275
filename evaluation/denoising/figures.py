"""Figures of denoising: noisy, clean and denoised leads on ECG paper, and output SNR against input SNR."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from einthoven.report.ecg_paper import PASS_BAND
from einthoven.report.figures import COLOURS, new_figure, save_figure
from einthoven.report.layouts import place_strips
from einthoven.report.sheet import BLUE, GREY, INK, ORANGE, Entry, Sheet, extent_of
from preprocessing.cohorts.nstdb import MIX, NOISE_TYPES

GAIN = 10.0


def draw_denoising(
    path: Path | str,
    leads: Sequence[str],
    curves: Mapping[str, np.ndarray],
    sampling_rate: float,
    *,
    method: str,
    baseline: str,
    title: str = "",
) -> None:
    """Draws leads on ECG paper, three rows each: noisy, the baseline's result, the method's with its band.

    The clean lead lies in black under both results. The curves are in mV, each of shape (leads, L): `noisy`, `truth`,
    `baseline`, and the method's `mean`, `lower` and `upper`; method and baseline have names for people.
    """
    groups = (("noisy",), ("truth", "baseline"), ("truth", "mean"))
    names = [f"{lead} {kind}" for lead in leads for kind in ("noisy", baseline, method)]
    strips = place_strips(names, curves["truth"].shape[-1] / sampling_rate, "12x1")[: len(names)]
    extents = [
        extent_of(
            strip,
            [curves[name][strip.lead // 3] for name in groups[strip.lead % 3]],
            [curves[name][strip.lead // 3] for name in ("lower", "upper") if strip.lead % 3 == 2],
            gain=GAIN,
            sampling_rate=sampling_rate,
            remark=names[strip.lead],
        )
        for strip in strips
    ]
    has_band = bool((curves["lower"] < curves["upper"]).any())
    meanings = {GREY: "noisy", INK: "clean", ORANGE: baseline, BLUE: f"{method}{' (mean)' if has_band else ''}"}
    legend = [Entry(meaning, colour) for colour, meaning in meanings.items()]
    legend += [Entry("90 % band", BLUE, "band")] if has_band else []
    footer = f"{PASS_BAND}, denoised: research only"
    sheet = Sheet(strips, extents, gain=GAIN, title=title, footer=footer, legend=legend)
    for place in range(len(leads)):
        of_lead = {name: curve[place] for name, curve in curves.items()}
        noisy, cleaned, ours = strips[3 * place : 3 * place + 3]
        sheet.trace(noisy, of_lead["noisy"], sampling_rate, GREY)
        sheet.trace(cleaned, of_lead["truth"], sampling_rate)
        sheet.trace(cleaned, of_lead["baseline"], sampling_rate, ORANGE, order=5)
        sheet.band(ours, of_lead["lower"], of_lead["upper"], sampling_rate)
        sheet.trace(ours, of_lead["truth"], sampling_rate)
        sheet.trace(ours, of_lead["mean"], sampling_rate, BLUE, order=5)
    for strip, name in zip(strips, names, strict=True):
        sheet.name(strip, name)
    save_figure(sheet.figure, path, dpi=130)


def draw_snr_curves(path: Path | str, table: pd.DataFrame) -> None:
    """Draws mean output SNR against mean input SNR, one panel per noise type, with 95 % intervals over records.

    The table has a row a point: columns `noise_type`, `method`, `input_snr`, `value`, `lower`, `upper`, in dB.
    """
    types, methods = (list(dict.fromkeys(table[column])) for column in ("noise_type", "method"))
    figure = new_figure(3.6 * len(types) + 1.8, 3.8)
    for place, noise_type in enumerate(types):
        axes = figure.add_subplot(1, len(types), place + 1)
        part = table[table["noise_type"] == noise_type]
        for number, method in enumerate(methods):
            points = part[part["method"] == method].sort_values("input_snr")
            colour, style = COLOURS[number % len(COLOURS)], ("-", "--", ":")[number // len(COLOURS) % 3]
            spans = [points["value"] - points["lower"], points["upper"] - points["value"]]
            axes.errorbar(
                points["input_snr"],
                points["value"],
                yerr=np.maximum(np.stack(spans), 0.0),
                color=colour,
                linestyle=style,
                marker="o",
                markersize=3.5,
                capsize=2.0,
                label=method,
            )
        ends = [part["input_snr"].min(), part["input_snr"].max()]
        axes.plot(ends, ends, color="0.6", linewidth=0.8, linestyle="--", label="no denoising")
        axes.set_title({**NOISE_TYPES, MIX: "all three mixed"}.get(noise_type, noise_type), fontsize=10)
        axes.set_xlabel("input SNR (dB)", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        if place == 0:
            axes.set_ylabel("output SNR (dB)", fontsize=8)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    save_figure(figure, path)
