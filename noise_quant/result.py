"""`NoiseScores`: how noisy a recording is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording
from einthoven.ecg.showing import Shown, duration_in_words, save_arrays, to_xarray_dataset
from einthoven.report.tables import write_csv, write_parquet
from noise_quant.scoring.lead_scores import NOISES, Judgement, LeadScores
from noise_quant.scoring.verdict import CLEAN, group_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCORES = ("psnr", "ssim", "mse", "mae", "unusable", "missing_s", "hum_mv")
_PROBABILITIES = tuple(f"{name}_probability" for name in NOISES)
MOST_NAMED = 6
"""Leads whose scores a `repr` lists; of more it says the lowest and the highest."""
_TABLE = ("lead", "segment", "start", "end", "psnr", "verdict", "reason", *_PROBABILITIES, "acceptable_probability")


@dataclass(frozen=True, kw_only=True, repr=False)
class NoiseScores(Shown, Judgement, LeadScores):
    """How noisy a recording is; with one partition a segment is a window of ten seconds, the last one maybe shorter.

    Beside what `LeadScores` and `Judgement` hold, each of shape (leads, segments) or (segments,):

    Attributes:
        leads: Names of the leads, or their numbers.
        given: What was scored.
        notes: What was noted of it, in words.
    """

    leads: tuple[str, ...]
    given: Recording | None = None
    notes: tuple[str, ...] = ()

    @property
    def noisy_probability(self) -> NDArray[np.float64] | None:
        """That a reader would note noise in a lead, shape (leads, segments); None where it is not known."""
        return None if self.noise_probability is None else self.noise_probability[NOISES[0]]

    @property
    def group_psnr(self) -> NDArray[np.float64]:
        """Mean of the PSNR of a lead and the median of the limb or chest leads, in dB, shape (leads, segments).

        It ranks leads somewhat better than the PSNR alone, where their whole group was scored.
        """
        return group_scores(self.psnr, self.leads)

    @property
    def original_image(self) -> NDArray[np.float32] | None:
        """Scalograms as levels 0 to 255, shape (leads, windows, 32, 256), or None where they were not asked for."""
        return self.levels

    @property
    def cleaned_image(self) -> NDArray[np.float32] | None:
        """Their reconstructions, same shape, or None."""
        return self.cleaned

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and what to know of the scores, by name."""
        name = self.given.name if self.given is not None else ""
        n_leads, n_segments = self.psnr.shape
        title = f"NoiseScores{f' of {name}' if name else ''}: {n_leads} lead{'s' * (n_leads != 1)}"
        title += f", {n_segments} segment{'s' * (n_segments != 1)}, {duration_in_words(float(self.stop_s[-1]))}"
        facts = {}
        known = [(lead, value) for lead, value in zip(self.leads, self._medians(), strict=True) if not np.isnan(value)]
        if len(known) > MOST_NAMED:
            known.sort(key=lambda pair: pair[1])
            facts["PSNR"] = (
                f"{known[0][0]} {known[0][1]:.1f} to {known[-1][0]} {known[-1][1]:.1f} dB (higher is cleaner)"
            )
        elif known:
            facts["PSNR"] = ", ".join(f"{lead} {value:.1f}" for lead, value in known) + " dB (higher is cleaner)"
        if self.acceptable_probability is not None and np.isfinite(self.acceptable_probability).any():
            worst = int(np.nanargmin(self.acceptable_probability))
            where = "" if n_segments == 1 else f", lowest from {self.start_s[worst]:g} s on"
            facts["acceptable"] = (
                f"all leads together, with probability {self.acceptable_probability[worst]:.2f}{where}"
            )
        if noisy := self._likely_noise():
            facts["noise likely"] = ", ".join(noisy[:MOST_NAMED]) + (", ..." if len(noisy) > MOST_NAMED else "")
        for verdict, count in Counter(self.verdict[self.verdict != ""].tolist()).most_common():
            leads = [lead for lead, row in zip(self.leads, self.verdict, strict=True) if (row == verdict).any()]
            facts[verdict] = f"{count} of {self.psnr.size} segments" + (
                "" if verdict == CLEAN else f": {', '.join(leads)}"
            )
        return title, facts

    def _likely_noise(self) -> list[str]:
        """Names the leads that a reader would sooner note noise in than not, with the likeliest kind, worst first."""
        found = []
        for row, lead in enumerate(self.leads if self.noise_probability else ()):
            known = {name: values[row] for name, values in (self.noise_probability or {}).items()}
            worst = {name: float(np.nanmax(values)) for name, values in known.items() if np.isfinite(values).any()}
            if worst.get(NOISES[0], 0.0) >= 0.5:
                kind = max(NOISES[1:], key=lambda name: worst[name])
                found.append((worst[NOISES[0]], f"{lead} {worst[NOISES[0]]:.2f} ({kind})"))
        return [text for _, text in sorted(found, key=lambda pair: -pair[0])]

    def _medians(self) -> list[float]:
        """Median PSNR of each lead in dB, NaN where it is never usable."""
        return [
            float(np.median(row[~bad])) if not bad.all() else np.nan
            for row, bad in zip(self.psnr, self.unusable, strict=True)
        ]

    def plot(self, leads: str | Sequence[str] | None = None) -> "Figure":
        """Draws the scores as a band for each lead over time, with its trace, and returns the figure.

        Raises:
            ValueError: If a lead is not one of those that were scored.
        """
        from noise_quant.scoring.heat_band import draw_heat_band

        names = self.leads if leads is None else (leads,) if isinstance(leads, str) else tuple(leads)
        absent = [lead for lead in names if lead not in self.leads]
        if absent:
            raise ValueError(f"lead(s) {', '.join(absent)} were not scored; there are {', '.join(self.leads)}")
        return draw_heat_band(self, self.leads, [self.leads.index(lead) for lead in names], self.given)

    def to_data_frame(self) -> pd.DataFrame:
        """Returns a row per lead and segment.

        Its columns are `lead`, `segment`, `start`, `end` (s), `psnr`, `verdict`, `reason`, `noisy_probability`, that of
        each kind of noise, and of all leads together in the segment `acceptable_probability`, NaN where not known.
        """
        table = self.to_table(self.leads, self)
        return table.rename(columns={"start_s": "start", "stop_s": "end"})[list(_TABLE)]

    def to_xarray(self) -> Any:  # noqa: ANN401 (xarray is optional)
        """Returns an `xarray.Dataset` with the scores, verdicts and reasons, each (lead, segment).

        Raises:
            ValueError: If xarray is not installed.
        """
        names = (*_SCORES, "reason", "verdict")
        of_leads = {**{name: getattr(self, name) for name in names}, **self.features, **self._probabilities()}
        variables = {name: (("lead", "segment"), values) for name, values in of_leads.items()}
        together = [("start", self.start_s), ("end", self.stop_s)]
        if self.acceptable_probability is not None:
            together.append(("acceptable_probability", self.acceptable_probability))
        ends = {name: (("segment",), values) for name, values in together}
        coordinates = {"lead": list(self.leads), "segment": np.arange(len(self.segment))}
        return to_xarray_dataset({**variables, **ends}, coordinates)

    def _probabilities(self) -> dict[str, NDArray[np.float64]]:
        """Names the probabilities of noise that are known."""
        return {f"{name}_probability": values for name, values in (self.noise_probability or {}).items()}

    def _save_content(self, path: Path) -> Path:
        """Writes a table as `.csv` or `.parquet`, or all arrays as `.npz`."""
        if path.suffix.lower() == ".csv":
            write_csv(self.to_data_frame(), path)
        elif path.suffix.lower() == ".parquet":
            write_parquet(self.to_data_frame(), path)
        else:
            names = (*_SCORES, "segment", "start_s", "stop_s", "levels", "cleaned", "acceptable_probability")
            words = {name: getattr(self, name).astype(str) for name in ("verdict", "reason")}
            arrays = {**{name: getattr(self, name) for name in names}, **self.features, **self._probabilities()}
            save_arrays(path, leads=self.leads, **words, **arrays)
        return path
