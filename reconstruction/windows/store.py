"""What comes of a long recording, window by window: in memory, or in files that a killed run goes on in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from einthoven.checked_files import map_array
from einthoven.ecg.filters import NOTCHES_HZ
from einthoven.ecg.leads import LEADS
from einthoven.run.files import write_json
from reconstruction.windows.arrays import DEPENDS_ON, HINT, Array, flush_array, is_same, make_array
from reconstruction.windows.restorer import Restored, Tail, Window


class WindowStore:
    """Results of windows, at the recording's own rate.

    Args:
        folder: Folder of the files; None: they are kept in memory.
        depends_on: What the results depend on, plain data.
        windows: The windows.
        n_samples: Number of samples.
        n_leads: Leads of the recording.
        keep_samples: Whether the samples are kept.

    Attributes:
        arrays: By name `mean`, `lower`, `upper` in mV and `observed`, (12, L) each, `samples`, (S, 12, L), where they
            are kept; `tails` and `tail_means`, the tail of each window, and `windows`, what there is to say of each.

    Raises:
        ValueError: If the folder holds results that depend on something else.
    """

    def __init__(
        self,
        folder: Path | None,
        depends_on: Mapping[str, Any],
        windows: tuple[Window, ...],
        n_samples: int,
        n_leads: int,
        *,
        keep_samples: bool,
    ) -> None:
        self.folder = folder
        length, n_tail = windows[-1].stop, max(window.n_after for window in windows)
        shape = (len(LEADS), length)
        layout: dict[str, tuple[tuple[int, ...], Any]] = {
            "mean": (shape, np.float32),
            "lower": (shape, np.float32),
            "upper": (shape, np.float32),
            "observed": (shape, np.bool_),
            "tails": ((len(windows), n_samples, len(LEADS), n_tail), np.float32),
            "tail_means": ((len(windows), len(LEADS), n_tail), np.float32),
            "windows": ((len(windows),), _row_type(n_leads)),
        }
        if keep_samples:
            layout["samples"] = (n_samples, *shape), np.float32
        is_new = folder is None or not is_same(folder, depends_on)
        self.arrays: dict[str, Array] = {}
        for name, (size, dtype) in layout.items():
            self.arrays[name] = make_array(folder and folder / f"{name}.npy", size, np.dtype(dtype), is_new=is_new)
        if folder is not None and is_new:
            write_json(folder / DEPENDS_ON, dict(depends_on))
        self._fresh: list[int] = []

    @classmethod
    def open(cls, folder: Path) -> "WindowStore":
        """Opens the results in a folder, to read."""
        store = cls.__new__(cls)
        store.folder, store._fresh = folder, []
        store.arrays = {path.stem: map_array(path, HINT) for path in folder.glob("*.npy")}
        return store

    @property
    def n_done(self) -> int:
        """Number of windows, from the first one on, that are done."""
        done = self.arrays["windows"]["done"]
        return len(done) if done.all() else int(done.argmin())

    def tail(self, window: Window) -> Tail | None:
        """Returns the tail of a window that is done; None where nothing was measured in it."""
        if self.arrays["windows"]["nothing"][window.number]:
            return None
        samples, mean = (self.arrays[name][window.number, ..., : window.n_after] for name in ("tails", "tail_means"))
        return Tail(np.array(samples), np.array(mean), float(self.arrays["windows"]["spread"][window.number]))

    def put(self, window: Window, restored: Restored | None, band: tuple[Array, Array] | None) -> None:
        """Takes the result of a window and its band; None: nothing was measured there."""
        given, row = slice(window.first, window.last), self.arrays["windows"][window.number : window.number + 1]
        if restored is None or band is None:
            for name in ("mean", "lower", "upper", "samples"):
                if name in self.arrays:
                    self.arrays[name][..., given] = np.nan
            row["nothing"] = True
        else:
            results = {"mean": restored.mean, "lower": band[0], "upper": band[1], "observed": restored.observed}
            for name, values in (results | {"samples": restored.samples}).items():
                if name in self.arrays:
                    self.arrays[name][..., given] = values
            self.arrays["tails"][window.number, ..., : window.n_after] = restored.tail.samples
            self.arrays["tail_means"][window.number, ..., : window.n_after] = restored.tail.mean
            _describe(row, restored, given.start - window.start, given.stop - window.start)
        self._fresh.append(window.number)

    def flush(self) -> None:
        """Puts on the disk what came since the last time, and only then says that it is done."""
        for array in self.arrays.values():
            flush_array(array)
        self.arrays["windows"]["done"][self._fresh] = True
        flush_array(self.arrays["windows"])
        self._fresh = []


def _row_type(n_leads: int) -> list[tuple[Any, ...]]:
    return [
        ("done", "?"),
        ("nothing", "?"),
        ("method", "U32"),
        ("network", "i8"),
        ("gradient", "i8"),
        ("seconds", "f8"),
        ("spread", "f8"),
        ("missing", "i8", (n_leads,)),
        ("restored", "i8", (n_leads,)),
        ("saturated", "i8", (n_leads,)),
        ("hum", "f8", (n_leads, len(NOTCHES_HZ))),
        ("misfit", "f8", (len(LEADS),)),
        ("noise", "f8", (len(LEADS),)),
    ]


def _describe(row: Array, restored: Restored, first: int, last: int) -> None:
    """Writes what there is to say of a window, of which samples from `first` to `last` are taken."""
    piece = restored.piece
    row["spread"] = restored.tail.spread
    share = piece.gaps.shape[-1] / piece.missing.shape[-1]
    row["method"], row["network"] = restored.method, restored.calls.network
    row["gradient"], row["seconds"] = restored.calls.gradient, restored.seconds
    row["missing"], row["saturated"] = (x[:, first:last].sum(-1) for x in (piece.missing, piece.saturated))
    row["restored"] = piece.gaps[:, round(first * share) : round(last * share)].sum(-1)
    row["hum"] = piece.hum
    row["misfit"] = [piece.misfit.get(lead, 0.0) for lead in LEADS]
    row["noise"] = np.nan if restored.noise is None else restored.noise
