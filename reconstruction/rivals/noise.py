"""Noisy ECGs that the denoising rivals are trained and validated on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from torch import Generator, Tensor

from diffusion_prior.training.measurement_noise import MeasurementNoise
from diffusion_prior.training.trainer import Batch, Objective
from preprocessing.cohorts.nstdb import load_noise
from reconstruction.rivals.network import RivalNetwork

NetworkT = TypeVar("NetworkT", bound=RivalNetwork)

VALIDATION_SNR_DB = 0.0
"""Signal-to-noise ratio of the validation in dB, before the high-pass."""


def read_noise(settings: Mapping[str, Any], sampling_rate: float) -> MeasurementNoise:
    """Reads NSTDB's half "fit" for training, from plain data; raises ValueError if it is not usable.

    Args:
        settings: `path` (folder of `preprocessing.prepare_nstdb`) and `snr_db`: by type (bw, em, ma, mix), the range of
            the signal-to-noise ratio in dB, before the high-pass.
        sampling_rate: Sampling rate of the ECGs in Hz.
    """
    recordings = load_noise(settings["path"], "fit", sampling_rate)
    ranges = {str(kind): tuple(map(float, between)) for kind, between in settings["snr_db"].items()}
    for kind, between in ranges.items():
        if kind not in (*recordings, "mix") or len(between) != 2 or between[0] > between[1]:
            raise ValueError(
                f"noise.snr_db.{kind}={list(between)}: give bw, em, ma or mix, each [lowest, highest] in dB"
            )
    return MeasurementNoise(
        recordings, sampling_rate, snr_db={kind: (low, high) for kind, (low, high) in ranges.items()}
    )


def add_noise(x: Tensor, noise: MeasurementNoise, generator: Generator) -> Batch:
    """Adds noise, as the high-pass leaves it that a recording meets before it is denoised.

    Returns the clean ECGs `x` and the noisy ones `y`, each in mV, shape (B, C, L).
    """
    return {"x": x, "y": x + noise.draw(x, generator)[0]}


def validation_noise(x: Tensor, noise: MeasurementNoise, generator: Generator) -> dict[str, Batch]:
    """Adds noise of each type at one ratio, as `add_noise`, by the name of the type."""
    ratio = (VALIDATION_SNR_DB, VALIDATION_SNR_DB)
    return {kind: add_noise(x, replace(noise, snr_db={kind: ratio}), generator) for kind in noise.snr_db}


class NoisyObjective(Objective, Generic[NetworkT]):
    """What objectives of networks (of `network_type`) that remove noise share; subclasses give the loss."""

    network_type: ClassVar[type[RivalNetwork]]
    network: NetworkT

    def __init__(self, network: NetworkT, noise: MeasurementNoise) -> None:
        super().__init__()
        self.network, self.noise = network, noise

    @classmethod
    def build(cls, spec: Mapping[str, Any], settings: Mapping[str, Any]) -> Self:
        """Builds network and objective from plain data: `noise`, as for `read_noise`."""
        network: Any = cls.network_type(spec)
        return cls(network, read_noise(settings["noise"], network.sampling_rate))

    def sources(self) -> dict[str, str]:
        """Returns the hash of the noise."""
        return {"noise": self.noise.digest}

    def draw(self, batch: Batch, generator: Generator) -> Batch:
        """Draws the noisy ECGs `y` in mV, shape (B, C, L)."""
        return add_noise(batch["x"], self.noise, generator)

    def validation_batches(self, batch: Batch, generator: Generator) -> dict[str, Batch]:
        """Returns drawn batches by the type of noise, all at one ratio."""
        return validation_noise(batch["x"], self.noise, generator)

    def save(self, path: Path, step: int) -> None:
        """Writes the network's weights to a safetensors file, as they are after `step` steps."""
        self.network.save(path, {"steps": step})
