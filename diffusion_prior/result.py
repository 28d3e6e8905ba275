"""`Generation`: ECGs drawn from the prior."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording, Source
from einthoven.ecg.showing import Shown, duration_in_words, save_arrays, to_xarray_dataset
from einthoven.extras import extra

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Generation(Shown):
    """ECGs that a prior has drawn; `generation[k]` is one of them as a recording.

    Attributes:
        samples: The ECGs in mV, shape (n, 12, L), float32.
        labels: SCP statements that all of them were drawn for.
        leads: Names of the twelve leads.
        sampling_rate: Sampling rate in Hz.
        seed: Seed that they were drawn with.
        notes: What looks wrong, in words.
    """

    samples: NDArray[np.float32]
    labels: tuple[str, ...]
    leads: tuple[str, ...]
    sampling_rate: float
    seed: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Recording:
        """Returns one ECG as a recording, whose notes say that it was drawn."""
        signal = self.samples[place].astype(np.float64)
        name = f"generated-{range(len(self))[place]}"
        told = f"drawn from the prior for {', '.join(self.labels) or 'no statement'}: not a recording"
        return Recording(
            signal, self.sampling_rate, self.leads, name, source=Source("generated"), notes=(told, *self.notes)
        )

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each sample in s, from the first one on, shape (L,)."""
        return np.arange(self.samples.shape[-1]) / self.sampling_rate

    def facts(self) -> tuple[str, dict[str, str]]:
        """Returns a title, and what to know of the ECGs, by name."""
        duration = duration_in_words(self.samples.shape[-1] / self.sampling_rate)
        title = f"Generation: {len(self)} ECG{'s' * (len(self) != 1)} of 12 leads, {duration}"
        facts = {"statements": ", ".join(self.labels) or "none", "seed": str(self.seed)}
        facts["range"] = f"{self.samples.min():.2f} to {self.samples.max():.2f} mV"
        return f"{title} at {self.sampling_rate:g} Hz", facts

    def plot(
        self,
        leads: str | Sequence[str] | None = None,
        layout: str = "3x4+1",
        *,
        place: int = 0,
        speed: float = 25.0,
        gain: float = 10.0,
    ) -> "Figure":
        """Draws one of the ECGs on ECG paper; arguments and errors are those of `Recording.plot`.

        Args:
            leads: As there.
            layout: As there.
            place: Which ECG to draw.
            speed: As there.
            gain: As there.
        """
        return self[place].plot(leads, layout, speed=speed, gain=gain)

    def to_data_frame(self) -> "pd.DataFrame":
        """Returns a table with a column for each lead, in mV; the index is the number of the ECG, and the time in s."""
        import pandas as pd

        index = pd.MultiIndex.from_product([range(len(self)), self.times], names=["ecg", "time"])
        return pd.DataFrame(self.samples.transpose(0, 2, 1).reshape(len(index), -1), index, list(self.leads))

    def to_xarray(self) -> Any:  # noqa: ANN401 (xarray is optional)
        """Returns an `xarray.Dataset` with `samples` (ecg, lead, time) in mV; ValueError where xarray is missing."""
        facts = {"sampling_rate": self.sampling_rate, "labels": list(self.labels), "seed": self.seed, "unit": "mV"}
        coordinates = {"ecg": np.arange(len(self)), "lead": list(self.leads), "time": self.times}
        return to_xarray_dataset({"samples": (("ecg", "lead", "time"), self.samples)}, coordinates, **facts)

    def to_mne(self) -> Any:  # noqa: ANN401 (MNE is optional)
        """Returns an `mne.EpochsArray` in V, an epoch for each ECG; ValueError where MNE is not installed."""
        with extra("exchange"):
            import mne

        information = mne.create_info(list(self.leads), self.sampling_rate, "ecg")
        return mne.EpochsArray(1e-3 * self.samples.astype(np.float64), information, verbose=0)

    def _save_content(self, path: Path) -> Path:
        facts = {"labels": self.labels, "leads": self.leads, "sampling_rate": self.sampling_rate, "seed": self.seed}
        return save_arrays(path, samples=self.samples, **facts)
