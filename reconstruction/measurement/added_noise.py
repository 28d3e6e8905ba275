"""Clean ECGs with recorded noise on them, for denoising."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, to_twelve
from einthoven.run.registry import check_choice
from preprocessing.cohorts.nstdb import MIX, NOISE_TYPES, mix_recorded_noise
from reconstruction.measurement.measurement import Measurement
from reconstruction.measurement.missingness import Extras
from reconstruction.measurement.noise_start import AUTO, initial_noise


@dataclass(frozen=True)
class AddNoise:
    """Adds recorded noise to the eight independent leads; the noisy leads are the measurement.

    The other leads' noise follows by Einthoven's law. The noise of the measurement's likelihood is the first guess of
    `initial_noise`. Wrong settings raise ValueError.

    Attributes:
        recordings: Noise by type at the ECGs' rate, each of shape (channels, n).
        noise_type: bw, em, ma, or mix: all three at equal power.
        snr_db: Signal-to-noise ratio of each record in dB; or
        power: peak-to-peak value of each lead's noise relative to the lead's own. Exactly one of the two.
        prior_leads: Leads of the prior.
        sampling_rate: Sampling rate of the ECGs in Hz.
        known_type: Whether the guess knows the type of the noise.
        prefilter: Whether the noisy ECG meets `clean_signal` first, as the prior's ECGs have.
        seed: Seed of the pieces of noise.
    """

    recordings: Mapping[str, NDArray[np.float64]]
    noise_type: str
    snr_db: float | None = None
    power: float | None = None
    prior_leads: tuple[str, ...] = INDEPENDENT_LEADS
    sampling_rate: float = 100.0
    known_type: bool = True
    prefilter: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("noise_type", self.noise_type, (*NOISE_TYPES, MIX))
        if (self.snr_db is None) == (self.power is None):
            raise ValueError(
                "give the level of the noise once: denoising.snr_db=6 (dB) or denoising.power=1.0 (peak to peak)"
            )

    def __call__(self, keys: Sequence[int], truth: NDArray[np.float32]) -> tuple[Measurement, Extras]:
        """Makes the measurement: see `Task`; adds the noisy ECGs `noisy`, in mV, shape (B, 12, L)."""
        clean = truth[:, [LEADS.index(lead) for lead in INDEPENDENT_LEADS]]
        noisy = mix_recorded_noise(
            clean, self.recordings, self.noise_type, keys, self.seed, snr_db=self.snr_db, power=self.power
        )
        rate = self.sampling_rate
        y = torch.from_numpy(clean_signal(noisy, rate, rate) if self.prefilter else noisy).float()
        observed = torch.ones_like(y, dtype=torch.bool)
        noise_type = self.noise_type if self.known_type else AUTO
        noise = initial_noise(torch.from_numpy(noisy).float(), observed, rate, noise_type, filtered=self.prefilter)
        measurement = Measurement(y, observed, INDEPENDENT_LEADS, self.prior_leads, noise)
        return measurement, {"noisy": to_twelve(noisy)}
