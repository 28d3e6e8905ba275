"""`Generation`: ECGs drawn from the prior."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording, Source


@dataclass(frozen=True)
class Generation:
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
