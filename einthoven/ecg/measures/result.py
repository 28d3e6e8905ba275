"""What `measure` returns: a table of measures, each with its interval or the reason why it has no value."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from einthoven.ecg.measures.marking import MarkedBeat
from einthoven.ecg.measures.values import BY_NAME, MEASURES
from einthoven.ecg.showing import Shown, duration_in_words
from einthoven.report.tables import format_interval, write_csv
from einthoven.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("measure", "lead", "value", "lower", "upper", "unit", "reason")
HEADER = ("", "value (90 % interval)", "unit", "not measurable")
_LINES = (
    ("heart rate", ("heart_rate",)),
    ("RR", ("rr_sd", "rmssd")),
    ("PR", ("pr",)),
    ("QRS", ("qrs",)),
    ("QT", ("qt", "qtc_fridericia", "qtc_bazett")),
    ("axes", ("p_axis", "qrs_axis")),
)


@dataclass(frozen=True, repr=False)
class Measures(Shown):
    """The measures of an ECG.

    Attributes:
        table: A row for each measure and lead, over leads first (`lead` is ""): `measure`, `lead`, `value` (median of
            the samples, NaN where not measurable), `lower` and `upper` (90 % interval; NaN where nothing is uncertain),
            `unit`, and `reason`, why there is no value.
        beats: The average beat of each sample, with its marks; of those that have one.
        n_samples: Number of samples that the intervals are made of; 1 where the ECG was measured as it is.
        duration: Seconds that were measured.
        name: Name of the record.
        notes: What was assumed, in words.
    """

    table: pd.DataFrame
    beats: tuple[MarkedBeat, ...]
    n_samples: int
    duration: float
    name: str
    notes: tuple[str, ...]

    def __getitem__(self, key: str | tuple[str, str]) -> float:
        """Returns a value by the name of the measure, or by name and lead: `measures["qt"]`, `measures["st_j", "V2"]`.

        Raises:
            KeyError: If there is no such measure; the message names them.
        """
        name, lead = (key, "") if isinstance(key, str) else key
        found = self.table[(self.table["measure"] == name) & (self.table["lead"] == lead)]
        if found.empty:
            raise KeyError(f"no measure {name!r} of {lead or 'all leads'}: choose from {', '.join(BY_NAME)}")
        return float(found["value"].iloc[0])

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and the measures over leads."""
        title = f"Measures{f' of {self.name}' if self.name else ''}: {duration_in_words(self.duration)}"
        if self.n_samples > 1:
            title += f", median and 90 % interval of {self.n_samples} samples"
        cells = {row[0]: row for row in self._cells("")}
        facts = {}
        for line, names in _LINES:
            rows = [cells[BY_NAME[name].label] for name in names]
            texts = [f"{value} {unit}" if value != "-" else f"not measurable: {why}" for _, value, unit, why in rows]
            named = [f"{row[0]} {text}" for row, text in zip(rows, texts, strict=True)]
            facts[line] = texts[0] if len(set(texts)) == 1 else ", ".join(named)
        return title, facts

    def rows(self, lead: str = "") -> list[tuple[str, str, str, str]]:
        """Returns what people read, in the columns of `HEADER`, over leads or of one lead."""
        return self._cells(lead)

    def _cells(self, lead: str) -> list[tuple[str, str, str, str]]:
        cells = []
        for row in self.table[self.table["lead"] == lead].to_dict("records"):
            measure = BY_NAME[row["measure"]]
            interval = Interval(row["value"], row["lower"], row["upper"])
            cells.append((measure.label, format_interval(interval, measure.digits), row["unit"], row["reason"]))
        return cells

    def lead_table(self) -> pd.DataFrame:
        """Returns the measures of single leads as people read them: a row for each lead, a column for each measure."""
        leads = [lead for lead in dict.fromkeys(self.table["lead"]) if lead]
        columns = [f"{measure.label} ({measure.unit})" for measure in MEASURES if measure.per_lead]
        return pd.DataFrame([[cell[1] for cell in self._cells(lead)] for lead in leads], leads, columns)

    def plot(self) -> "Figure":
        """Draws the average beat of each lead, with its waves, and returns the figure."""
        from einthoven.ecg.measures.figures import draw_beats

        return draw_beats(self)

    def to_data_frame(self) -> pd.DataFrame:
        """Returns `table`."""
        return self.table

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.lead_table().to_html()

    def _save_content(self, path: Path) -> Path:
        """Writes the table as CSV."""
        if path.suffix.lower() != ".csv":
            raise ValueError(f"{str(path)!r}: measures are saved as .csv, or drawn as .png, .svg or .pdf")
        write_csv(self.table.round(9), path)
        return path


def lay_out(rows: list[tuple[str, str, float, float, float, str]]) -> pd.DataFrame:
    """Lays measures out: measure, lead, value, lower, upper, reason; the unit is added."""
    table = pd.DataFrame(rows, columns=["measure", "lead", "value", "lower", "upper", "reason"])
    table["unit"] = [BY_NAME[name].unit for name in table["measure"]]
    return table[list(COLUMNS)].astype({name: np.float64 for name in ("value", "lower", "upper")})
