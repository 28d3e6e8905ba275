"""How a recording and every result show themselves: a few lines, a table with a picture, a file."""

import base64
import html
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from einthoven.extras import extra
from einthoven.run.files import atomic_write

if TYPE_CHECKING:  # slow to import, and needed for pictures and tables only
    import pandas as pd
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")
MOST_LINES = 10
"""Lines of a `repr`."""
MOST_COLUMNS = 110
"""Characters of each."""
LONGEST_S = 1e9
"""Longer durations are a rate that cannot be, and are said in hours alone."""
PICTURE_DPI = 70
"""Resolution of the picture in a notebook."""


class Shown(ABC):
    """What people look at: a recording, or a result that was made of one.

    Attributes:
        notes: What was assumed, changed or looks wrong, a sentence each.
    """

    notes: tuple[str, ...]

    @abstractmethod
    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and up to seven things to know, by name."""

    @abstractmethod
    def plot(self) -> "Figure":
        """Draws it, and returns the figure."""

    @abstractmethod
    def to_data_frame(self) -> "pd.DataFrame":
        """Returns it as a table."""

    def save(self, path: str | Path) -> Path:
        """Writes it into a file whose format its suffix says: a picture (`.png`, `.svg`, `.pdf`), or what holds it.

        Returns:
            The path of the file.

        Raises:
            ValueError: If the suffix is none of those known here; the message names them.
        """
        path = Path(path)
        if path.suffix.lower() not in PICTURES:
            return self._save_content(path)
        figure, form = self.plot(), path.suffix[1:].lower()
        with atomic_write(path) as temporary:
            figure.savefig(temporary, format=form, dpi=150)
        return path

    @abstractmethod
    def _save_content(self, path: Path) -> Path:
        """Writes a file that is no picture, as `save`."""

    def __repr__(self) -> str:
        title, facts = self.facts()
        width = max(map(len, [*facts, "notes"])) + 2
        lines = [title, *(f"  {name:<{width}}{value}" for name, value in facts.items())]
        room, notes = MOST_LINES - len(lines), list(self.notes)
        if len(notes) > room:
            notes = [*notes[: room - 1], f"and {len(notes) - room + 1} more in .notes"]
        lines += [f"  {'' if place else 'notes':<{width}}{note}" for place, note in enumerate(notes)]
        return "\n".join(line if len(line) <= MOST_COLUMNS else f"{line[: MOST_COLUMNS - 3]}..." for line in lines)

    def _repr_html_(self) -> str:
        """Shows it in a notebook: a table, and the picture."""
        title, facts = self.facts()
        rows = [*facts.items(), *(("note", note) for note in self.notes[:MOST_LINES])]
        cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
        picture = io.BytesIO()
        self.plot().savefig(picture, format="png", dpi=PICTURE_DPI)
        code = base64.b64encode(picture.getvalue()).decode()
        image = f'<img alt="{html.escape(title)}" src="data:image/png;base64,{code}"/>'
        return f"<div><b>{html.escape(title)}</b><table>{cells}</table>{image}</div>"


def duration_in_words(seconds: float) -> str:
    """Returns a duration as people say it: 10.0 s, 1:30:00 h."""
    if seconds > LONGEST_S:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds:.1f} s" if seconds < 120 else f"{timedelta(seconds=round(seconds))} h"


def save_arrays(path: Path, **arrays: Any) -> Path:  # noqa: ANN401 (arrays, and what becomes one)
    """Writes arrays that are not None into an NPZ file, without pickles; ValueError if its suffix is not `.npz`."""
    if path.suffix.lower() != ".npz":
        raise ValueError(f"{str(path)!r}: a result is saved as .npz, or drawn as {', '.join(PICTURES)}")
    held: dict[str, Any] = {name: np.asarray(values) for name, values in arrays.items() if values is not None}
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **held)
    return path


def to_mne_raw(
    signal: NDArray[np.floating[Any]], leads: Sequence[str], sampling_rate: float, start_time: datetime | None = None
) -> Any:  # noqa: ANN401 (MNE is optional)
    """Returns an ECG in mV, shape (n_leads, L), as `mne.io.RawArray`, in V; a start without a zone is in UTC."""
    with extra("exchange"):
        import mne

    raw = mne.io.RawArray(
        1e-3 * signal.astype(np.float64), mne.create_info(list(leads), sampling_rate, "ecg"), verbose=0
    )
    if start_time is not None:
        raw.set_meas_date(start_time if start_time.tzinfo else start_time.replace(tzinfo=UTC))
    return raw


def to_xarray_dataset(
    variables: Mapping[str, tuple[Sequence[str], Any]], coordinates: Mapping[str, Any], **facts: object
) -> Any:  # noqa: ANN401 (xarray is optional)
    """Returns variables, each with the names of its dimensions, as an `xarray.Dataset` with facts as attributes."""
    with extra("exchange"):
        import xarray

    return xarray.Dataset(dict(variables), dict(coordinates), {key: fact for key, fact in facts.items() if fact})
