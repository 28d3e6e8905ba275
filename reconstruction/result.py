"""`Reconstruction`: twelve leads with their uncertainty."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.recording import Recording


@dataclass(frozen=True)
class Reconstruction:
    """A twelve-lead ECG with its uncertainty, at the rate and length of the recording.

    Attributes:
        samples: Draws of what the ECG may be, in mV, shape (n_samples, 12, L), float32; None: they were not kept.
        mean: Posterior mean in mV, shape (12, L): the network's own estimate ("amortised"), or the samples' average.
        lower: 5th percentile of the predictive distribution in mV, shape (12, L).
        upper: 95th percentile in mV, shape (12, L).
        observed: True where a sample was measured or follows from measured ones, shape (12, L).
        leads: Names of the twelve leads.
        sampling_rate: Sampling rate in Hz.
        method: Name of the method.
        network_calls: Network evaluations, each on all samples at once.
        gradient_calls: How many of these went backward too.
        seconds: Time that the samples took.
        notes: What was filtered, what was missing, what was removed and what looks wrong, in words.
        noise_level: Estimated root mean square of the noise of each of the twelve leads, in mV, shape (12,), NaN for
            leads whose noise was not looked at; None where no noise was to be removed.
        given: What it was reconstructed from.
    """

    samples: NDArray[np.float32] | None
    mean: NDArray[np.float32]
    lower: NDArray[np.float32]
    upper: NDArray[np.float32]
    observed: NDArray[np.bool_]
    leads: tuple[str, ...]
    sampling_rate: float
    method: str
    network_calls: int
    gradient_calls: int
    seconds: float
    notes: tuple[str, ...]
    noise_level: NDArray[np.float32] | None = None
    given: Recording | None = None

    @property
    def recording(self) -> Recording:
        """The mean as a recording, with name, patient, start and source of what it was reconstructed from."""
        signal = self.mean.astype(np.float64)
        if self.given is None:
            return Recording(signal, self.sampling_rate, self.leads, notes=self.notes)
        return replace(self.given, signal=signal, leads=self.leads, notes=self.notes)
