"""From the benchmark's measurements of networks to a table, a verdict on each target, and a picture."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from einthoven.report.figures import COLOURS, new_figure, save_figure
from einthoven.report.tables import markdown_table, write_csv
from einthoven.run.files import write_text
from evaluation.benchmarks.backbone_workload import BACKWARD_CALLS, FORWARD_CALLS, MGPS, NETWORKS, PUBLISHED_ORDER

PASSES = {False: "forward", True: "forward + backward"}


@dataclass(frozen=True)
class Target:
    """How many times as fast a network has to be as another, forward.

    Attributes:
        network: Its name in `NETWORKS`.
        rival: The other's.
        batch: ECGs in the batch.
        at_least: The ratio of the times.
        device: Where.
    """

    network: str
    rival: str
    batch: int
    at_least: float
    device: str = "cpu"


TARGETS = (
    Target("SaShiMi", PUBLISHED_ORDER, 1, 6.0),
    Target("SaShiMi", PUBLISHED_ORDER, 10, 2.0),
    Target("U-Net", PUBLISHED_ORDER, 10, 15.0),
    Target("SaShiMi, compiled bf16", "SaShiMi", 10, 10.0, "cuda"),
    Target("U-Net, compiled bf16", "SaShiMi", 10, 10.0, "cuda"),
)
MGPS_TARGET = 60.0
"""How many times as fast our MGPS has to be as the published one's network calls."""


def report_backbone(found: Sequence[Mapping[Any, Any]], folder: Path, note: str) -> str:
    """Writes `backbone.csv`, `backbone_targets.csv`, `backbone.md` and `backbone.png`.

    Args:
        found: What `compare_networks` (with `calls`) and `time_mgps` returned.
        folder: Where to write.
        note: What was measured on.

    Returns:
        The tables, with notes on them.
    """
    calls = network_calls([row for one in found for row in _calls(one)])
    samplers = [one for one in found if not _calls(one)]
    targets = judge(calls, samplers)
    write_csv(calls, folder / "backbone.csv")
    write_csv(targets, folder / "backbone_targets.csv")
    draw_calls(calls, folder / "backbone.png")
    text = "\n".join(
        [
            calls_table(calls),
            *_notes(calls),
            f"- {note}\n",
            *(_sampler_table(one) for one in samplers),
            targets_table(targets),
        ]
    )
    write_text(folder / "backbone.md", text)
    return text


def network_calls(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Lists the measured calls.

    Args:
        rows: As `compare_networks` returns them.

    Returns:
        One row a case: columns `device`, `network`, `batch`, `backward`, `seconds`, `times_as_fast` (as the published
        order, same device, batch and direction), `peak_memory_mb`, `parameters` and `note`; NaN, or an empty note,
        where there is none.
    """
    columns = ["device", "network", "batch", "backward", "seconds", "peak_memory_mb", "parameters", "note"]
    table = pd.DataFrame([dict(row) for row in rows]).reindex(columns=columns)
    table["note"] = table["note"].fillna("")
    keys = ["device", "batch", "backward"]
    published = table[table["network"] == PUBLISHED_ORDER].set_index(keys)["seconds"]
    theirs = [published.get(tuple(row), np.nan) for row in table[keys].itertuples(index=False)]
    table.insert(5, "times_as_fast", np.array(theirs, dtype=float) / table["seconds"].astype(float))
    return table


def judge(calls: pd.DataFrame, samplers: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Compares what was measured with the targets.

    Args:
        calls: As `network_calls` returns them.
        samplers: As `time_mgps` returns them.

    Returns:
        One row for each target that was measured: columns `target`, `at_least`, `ratio` and `met`.
    """
    forward = calls[~calls["backward"].astype(bool)].set_index(["device", "network", "batch"])["seconds"]
    rows = []
    for target in TARGETS:
        ours, theirs = (
            forward.get((target.device, name, target.batch), np.nan) for name in (target.network, target.rival)
        )
        what = f"{target.network} beside {_named(target.rival)}, forward, batch {target.batch}, {target.device}"
        rows.append((what, target.at_least, theirs / ours))
    rows += [
        (
            f"MGPS, {one['precision']}, beside the published one's calls, {one['device']}",
            MGPS_TARGET,
            one["published_seconds"] / one["seconds"],
        )
        for one in samplers
        if one["device"] == "cpu"
    ]
    table = pd.DataFrame(rows, columns=["target", "at_least", "ratio"]).dropna()
    return table.assign(met=table["ratio"] >= table["at_least"])


def calls_table(calls: pd.DataFrame) -> str:
    """Writes the calls as Markdown."""
    header = [
        "network",
        "device",
        "batch",
        "direction",
        "seconds",
        "times as fast as the published order",
        "peak memory (MB)",
        "parameters (M)",
    ]
    cells = [
        [
            str(row["network"]),
            str(row["device"]),
            str(row["batch"]),
            PASSES[bool(row["backward"])],
            _number(row["seconds"], ".3g"),
            _number(row["times_as_fast"], ".3g"),
            _number(row["peak_memory_mb"], ".0f"),
            _number(row["parameters"] / 1e6, ".2f"),
        ]
        for _, row in calls.sort_values(["device", "backward", "batch"], kind="stable").iterrows()
    ]
    return markdown_table(header, cells)


def targets_table(targets: pd.DataFrame) -> str:
    """Writes the verdicts as Markdown."""
    cells = [
        [str(row["target"]), f"{row['at_least']:g}", f"{row['ratio']:.1f}", "met" if row["met"] else "MISSED"]
        for _, row in targets.iterrows()
    ]
    return markdown_table(["target", "times as fast, at least", "measured", "verdict"], cells)


def draw_calls(calls: pd.DataFrame, path: Path | str) -> None:
    """Draws the seconds of a call by batch size, one panel a device and direction, on a logarithmic axis.

    Args:
        calls: As `network_calls` returns them.
        path: File to write.
    """
    devices = list(dict.fromkeys(calls["device"])) or ["cpu"]
    names = [name for name in NETWORKS if name in set(calls["network"])]
    colours = dict(zip([name for name in names if name != PUBLISHED_ORDER], itertools.cycle(COLOURS), strict=False))
    colours[PUBLISHED_ORDER] = "black"
    figure = new_figure(10.0, 3.8 * len(devices) + 0.5)
    panels = figure.subplots(len(devices), 2, sharey="row", squeeze=False)
    for row, device in enumerate(devices):
        for panel, (backward, direction) in zip(panels[row], PASSES.items(), strict=True):
            here = calls[(calls["device"] == device) & (calls["backward"].astype(bool) == backward)]
            _draw_bars(panel, here, colours)
            panel.set_title(f"{direction}, {'GPU' if device == 'cuda' else 'CPU'}", fontsize=10)
        panels[row][0].set_ylabel("seconds of one network call")
    handles = [Patch(color=colours[name], label=name) for name in names]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    save_figure(figure, path)


def _draw_bars(panel: Axes, calls: pd.DataFrame, colours: Mapping[str, str]) -> None:
    """Draws the calls of one device and direction, in groups by batch size."""
    names = [name for name in NETWORKS if name in set(calls["network"])]
    batches = sorted(set(calls["batch"]))
    width = 0.8 / max(len(names), 1)
    style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 6.5}
    style["rotation"] = 90 if len(names) > 5 else 0
    for place, name in enumerate(names):
        seconds = calls[calls["network"] == name].set_index("batch")["seconds"].reindex(batches)
        centres = np.arange(len(batches)) + (place - (len(names) - 1) / 2) * width
        panel.bar(centres, seconds, width, color=colours[name])
        for x, value in zip(centres, seconds, strict=True):
            if np.isfinite(value):
                panel.annotate(f"{value:.2g}", (x, value), (0, 2), **style)
    panel.set_yscale("log")
    panel.margins(y=0.12)
    panel.set_xticks(range(len(batches)), [str(batch) for batch in batches])
    panel.set_xlabel("ECGs in the batch")
    panel.grid(alpha=0.3, axis="y")
    panel.set_axisbelow(True)


def _calls(one: Mapping[Any, Any]) -> list[dict[str, Any]]:
    calls = one.get("calls")
    return calls if isinstance(calls, list) else []


def _notes(calls: pd.DataFrame) -> list[str]:
    """Says how to read the table, and which cases were not run."""
    notes = [
        "- one call on ECGs of 10 s, frozen weights; backward: the gradient with respect to the noised ECG",
        "- the published order: the weights of our SaShiMi, computed as the published code does without its CUDA "
        "extension and KeOps; the networks' calls took turns in one process, medians are compared",
        "- peak memory on a CPU: each case alone in a process of its own, with all its libraries; on a GPU: of torch",
    ]
    left_out = [
        f"- {row['network']}, batch {row['batch']}, {PASSES[bool(row['backward'])]}, {row['device']}: {row['note']}"
        for _, row in calls[calls["note"] != ""].iterrows()
    ]
    return [*notes, *left_out]


def _sampler_table(one: Mapping[str, Any]) -> str:
    """Writes the time of a sampler beside that of the published one's calls."""
    header = [
        f"{MGPS}, {one['n_samples']:.0f} samples of one ECG, {one['device']}",
        "network calls",
        "of them backward",
        "seconds",
    ]
    ours = [
        f"ours, U-Net, {one['precision']}, measured",
        f"{one['network_calls']:.0f}",
        f"{one['gradient_calls']:.0f}",
        f"{one['seconds']:.3g}",
    ]
    theirs = ["published order, not a run: calls x seconds a call", str(FORWARD_CALLS), str(BACKWARD_CALLS)]
    how = (
        f"- published: {FORWARD_CALLS - BACKWARD_CALLS} x {one['forward_seconds']:.3g} s forward + {BACKWARD_CALLS} x "
        f"{one['backward_seconds']:.3g} s forward and backward, timed before and after our run, network calls only\n"
    )
    return markdown_table(header, [ours, [*theirs, f"{one['published_seconds']:.0f}"]]) + "\n" + how


def _named(network: str) -> str:
    return "the published order" if network == PUBLISHED_ORDER else network


def _number(value: float, form: str) -> str:
    return format(float(value), form) if np.isfinite(value) else "-"
