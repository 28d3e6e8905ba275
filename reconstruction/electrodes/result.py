"""What `check_electrodes` returns: which electrodes or labels were probably mixed up, and the ECG put right."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from einthoven.ecg.recording import Recording
from einthoven.ecg.showing import Shown, save_arrays
from einthoven.report.tables import write_csv
from einthoven.run.registry import check_choice
from reconstruction.electrodes.eight_leads import corrected_signal
from reconstruction.electrodes.maps import AS_RECORDED, Hypothesis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NAMED = 4


@dataclass(frozen=True, repr=False)
class Electrodes(Shown):
    """Which electrodes of a recording were probably swapped, or which of its leads wrongly named.

    Attributes:
        best: The hypothesis that the check decides for: "as recorded" unless another is sure enough.
        probabilities: Probability of each hypothesis, the largest first.
        given: The recording that was checked, which stays as it is.
        note: A sentence on what was found; "" where nothing speaks against the recording as it is.
        hypotheses: What each hypothesis means, by name.
        notes: What was noted of the recording, `note` and `remark`.
        remark: What the check could not look at; "" of recordings with all eight independent leads.
    """

    best: str
    probabilities: dict[str, float]
    given: Recording
    note: str
    hypotheses: dict[str, Hypothesis]
    notes: tuple[str, ...] = ()
    remark: str = ""

    @property
    def noted(self) -> Recording:
        """The recording as it is, with `note` among its own: what is made of it, such as `score`, has it too."""
        return replace(self.given, notes=(*self.given.notes, self.note)) if self.note else self.given

    @property
    def corrected(self) -> Recording:
        """The recording put right for `best`, as `correct` does; itself where that is "as recorded"."""
        return self.correct(self.best)

    def correct(self, name: str) -> Recording:
        """Returns the recording put right for a hypothesis, with a note of it.

        Raises:
            ValueError: If there is no such hypothesis, or what was recorded does not tell the right ECG, as where the
                right leg's cable is on an arm.
        """
        check_choice("hypothesis", name, list(self.hypotheses))
        if name == AS_RECORDED:
            return self.given
        undo = self.hypotheses[name].undo
        if undo is None:
            raise ValueError(f"{name}: an arm was not measured, so the right ECG cannot be worked out: record it again")
        note = f"corrected for {name}, of a probability of {self.probabilities[name]:.2g}: look at both"
        return replace(self.given, signal=corrected_signal(self.given, undo), notes=(*self.given.notes, note))

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and what to know, by name."""
        likely = list(self.probabilities.items())[:_MOST_NAMED]
        facts = {"best": self.best, "probabilities": ", ".join(f"{name} {share:.3f}" for name, share in likely)}
        return f"Electrodes {self.given.name}".rstrip(), facts

    def plot(self) -> "Figure":
        """Draws the ECG as recorded, with the corrected one over it where there is one, and returns the figure."""
        from reconstruction.electrodes.figures import draw_correction

        return draw_correction(self)

    def to_data_frame(self) -> pd.DataFrame:
        """Returns a row per hypothesis, the most probable first: `hypothesis`, `kind`, `probability`."""
        rows = [(name, self.hypotheses[name].kind, share) for name, share in self.probabilities.items()]
        return pd.DataFrame(rows, columns=["hypothesis", "kind", "probability"])

    def _save_content(self, path: Path) -> Path:
        """Writes the table as `.csv`, or the probabilities as `.npz`."""
        if path.suffix.lower() == ".csv":
            write_csv(self.to_data_frame(), path)
            return path
        names, shares = list(self.probabilities), np.array(list(self.probabilities.values()))
        return save_arrays(path, hypotheses=names, probabilities=shares, best=self.best, note=self.note)
