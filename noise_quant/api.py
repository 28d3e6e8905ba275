"""`ecg_noise_quantification`: how noisy the leads of a recording are, window by window."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from einthoven.ecg.checks import check_numbers, check_units
from einthoven.run.weights_cache import load_cached
from noise_quant.model.checkpoint import find_model, load_model
from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scoring.scorer import Key, LeadScores, Scorer, lead_names
from noise_quant.scoring.verdict import find_thresholds, verdicts

MIN_RATE_HZ = 100.0


@dataclass(frozen=True, kw_only=True)
class NoiseScores(LeadScores):
    """How noisy a recording is; with one partition a segment is a window of ten seconds, the last one maybe shorter.

    Beside what `LeadScores` holds, each of shape (leads, segments):

    Attributes:
        verdict: "clean", "partly noisy", "heavily noisy", "unusable", or "" where no thresholds are known for these
            settings, shape (leads, segments).
        leads: Names of the leads, or their numbers.
    """

    verdict: NDArray[np.object_]
    leads: tuple[str, ...]

    @property
    def original_image(self) -> NDArray[np.float32] | None:
        """Scalograms as levels 0 to 255, shape (leads, windows, 32, 256), or None where they were not asked for."""
        return self.levels

    @property
    def cleaned_image(self) -> NDArray[np.float32] | None:
        """Their reconstructions, same shape, or None."""
        return self.cleaned


def ecg_noise_quantification(
    ecg: ArrayLike,
    sampling_freq: float,
    checkpoint_path: str | Path | None = None,
    n_partitions: int = 1,
    batch_size: int = 64,
    diffusion_timestep: int = 30,
    noise_scheduler_type: str = "ddim",
    discretize: bool | None = None,
    use_ldm: bool | None = None,
    step_interval: int = 10,
    seed: int = 123,
    return_images: bool = False,
    *,
    leads: Sequence[str] | None = None,
    key: Key = 0,
    device: str | torch.device = "cpu",
) -> NoiseScores:
    """Scores the noise of a recording of any length from one second on.

    Args:
        ecg: Unfiltered ECG in mV, shape (leads, samples), (samples, leads) or (samples,).
        sampling_freq: Sampling rate in Hz, 100 or more.
        checkpoint_path: Weights: a file of ours, a training run's folder or a published .pth file; None: the bundled.
        n_partitions: Segments of each window of ten seconds.
        batch_size: Images that the network takes at once.
        diffusion_timestep: Timestep of the noised images.
        noise_scheduler_type: "ddim" or "ddpm".
        discretize: Whether images are compared by whole levels; None: as the model was trained.
        use_ldm: True or False to insist on a latent or a pixel model; None: what the weights are.
        step_interval: Timesteps between the network calls of DDIM.
        seed: Seed; the same seed and key give the same scores.
        return_images: Whether to return the images.
        leads: Names of the leads, to which random numbers belong; by default the twelve where there are twelve.
        key: Key of the record, to which random numbers belong.
        device: Device of the network.

    Returns:
        Scores, verdicts and reasons.

    Raises:
        ValueError: If the recording, its unit or an argument is not usable; the message says what to do.
    """
    x, names = _check_recording(ecg, sampling_freq, leads)
    process = ReverseProcess(int(diffusion_timestep), step_interval, noise_scheduler_type)
    model = load_scorer_model(checkpoint_path, use_ldm, device)
    thresholds = find_thresholds(model, process)
    scorer = Scorer(model, process, seed, batch_size, discretize, keep_images=return_images)
    scores = scorer.score(x, sampling_freq, key, n_partitions, names)
    return NoiseScores(**vars(scores), verdict=verdicts(scores.psnr, scores.unusable, thresholds), leads=names)


def load_scorer_model(
    path: str | Path | None = None, use_ldm: bool | None = None, device: str | torch.device = "cpu"
) -> ScalogramDiffusion:
    """Reads a model, once as long as its file holds the same bytes; arguments and errors as for `load_model`."""
    file = find_model(path)
    return load_cached("scalogram", partial(load_model, file, use_ldm), file, device, use_ldm)


def _check_recording(
    ecg: ArrayLike, sampling_freq: float, leads: Sequence[str] | None
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Returns a recording as (leads, samples), float64, and the names of its leads."""
    x = _check_shape(ecg)
    if not (math.isfinite(sampling_freq) and sampling_freq >= MIN_RATE_HZ):
        raise ValueError(f"sampling_freq is {sampling_freq:g} Hz, but noise scores need {MIN_RATE_HZ:g} Hz or more")
    names = lead_names(len(x)) if leads is None else tuple(map(str, leads))
    if len(names) != len(x) or len(set(names)) < len(x):
        raise ValueError(f"{len(x)} leads need {len(x)} names, each another, not {', '.join(names)}")
    check_units(x, sampling_freq)
    return x, names


def _check_shape(ecg: ArrayLike) -> NDArray[np.float64]:
    """Returns an ECG as (leads, samples), float64."""
    x = np.asarray(ecg)
    if x.ndim not in (1, 2) or not x.size:
        raise ValueError(f"ecg has shape {x.shape}, but one recording is wanted: (leads, samples) or (samples,)")
    check_numbers(x)
    x = x[None] if x.ndim == 1 else x
    return (x.T if x.shape[0] > x.shape[1] else x).astype(np.float64)
