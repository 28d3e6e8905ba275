"""`score`: how noisy the leads of a recording are, window by window.

`ecg_noise_quantification` is the same with the names of its paper's code, and takes arrays whose leads have no names.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from einthoven.arguments import check_count, check_device, check_number, check_seed
from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.checks import check_numbers, check_rate, check_units
from einthoven.ecg.recording import Recording
from einthoven.run.weights_cache import load_cached
from noise_quant.model.checkpoint import find_model, load_model
from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.result import NoiseScores
from noise_quant.scoring.rules.judge import find_judge
from noise_quant.scoring.scorer import Key, Scorer, lead_names

MIN_RATE_HZ = 100.0


def score(
    ecg: ECGLike,
    sampling_rate: float | None = None,
    leads: str | Sequence[str] | None = None,
    seed: int = 123,
    *,
    n_partitions: int = 1,
    batch_size: int = 64,
    weights: str | Path | None = None,
    return_images: bool = False,
    key: Key | None = None,
    device: str | torch.device = "cpu",
    progress: Callable[[float], object] | None = None,
) -> NoiseScores:
    """Scores the noise of a recording of any length from one second on, lead by lead and ten seconds by ten.

    Args:
        ecg: A `Recording`, or an unfiltered ECG in mV of shape (n_leads, L), or what else `as_recording` takes.
        sampling_rate: Sampling rate in Hz, 100 or more, of an array.
        leads: Lead names of an array, in its order; of a recording, those to score, None: all.
        seed: Seed; the same seed and key give the same scores.
        n_partitions: Segments of each window of ten seconds.
        batch_size: Images that the network takes at once.
        weights: The model's: a file, a training's folder, or a published .pth file; None: the bundled ones.
        return_images: Whether to return the images.
        key: Key of the record, to which its random numbers belong; None: its name, 0 where it has none.
        device: Device of the network.
        progress: Called with the seconds of the recording that are done since the last time.

    Raises:
        ValueError: If the recording, its unit or an argument is not usable; the message says what to do.
    """
    recording = as_recording(ecg, sampling_rate, leads)
    _check_rate("sampling_rate", recording.sampling_rate)
    check_units(recording.signal, recording.sampling_rate)
    _check_numbers(seed, batch_size, n_partitions, key, device)
    model = load_scorer_model(weights, device=device)
    scorer = Scorer(model, ReverseProcess(), seed, batch_size, keep_images=return_images)
    return _score(scorer, recording, (recording.name or 0) if key is None else key, n_partitions, progress)


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
    progress: Callable[[float], object] | None = None,
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
        progress: Called with the seconds of the recording that are done since the last time.

    Returns:
        Scores, verdicts and reasons.

    Raises:
        ValueError: If the recording, its unit or an argument is not usable; the message says what to do.
    """
    x, names = _check_recording(ecg, sampling_freq, leads)
    _check_numbers(seed, batch_size, n_partitions, key, device)
    timestep = check_count("diffusion_timestep", diffusion_timestep, 0)
    process = ReverseProcess(timestep, check_count("step_interval", step_interval), noise_scheduler_type)
    model = load_scorer_model(checkpoint_path, use_ldm, device)
    scorer = Scorer(model, process, seed, batch_size, discretize, keep_images=return_images)
    return _score(scorer, Recording(x, float(sampling_freq), names), key, n_partitions, progress)


def _score(
    scorer: Scorer, recording: Recording, key: Key, n_partitions: int, progress: Callable[[float], object] | None
) -> NoiseScores:
    """Scores a recording, with what is known for the scorer's model and process."""
    judge = find_judge(scorer.model, scorer.process)
    signal, rate = recording.signal, recording.sampling_rate
    scores = scorer.score(signal, rate, key, n_partitions, recording.leads, progress, recording.lost)
    told: dict[str, Any] = {"leads": recording.leads, "given": recording, "notes": recording.notes}
    return NoiseScores(**vars(scores), **vars(judge(scores, recording.leads)), **told)


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
    _check_rate("sampling_freq", sampling_freq)
    leads = [leads] if isinstance(leads, str) else leads
    if leads is not None and (isinstance(leads, bytes) or not isinstance(leads, Iterable)):
        raise ValueError(f"leads is {leads!r}: give the names of the leads, such as ['I', 'II']")
    names = lead_names(len(x)) if leads is None else tuple(map(str, leads))
    if len(names) != len(x) or len(set(names)) < len(x):
        raise ValueError(f"{len(x)} leads need {len(x)} names, each another, not {', '.join(names)}")
    check_units(x, sampling_freq)
    return x, names


def _check_numbers(seed: int, batch_size: int, n_partitions: int, key: Key | None, device: str | torch.device) -> None:
    check_seed(seed, key)
    check_count("batch_size", batch_size)
    check_count("n_partitions", n_partitions)
    check_device(device)


def _check_rate(name: str, rate: float) -> None:
    rate = check_rate(check_number(name, rate), f"{name} is")
    if rate < MIN_RATE_HZ:
        raise ValueError(f"{name} is {rate:g} Hz, but noise scores need {MIN_RATE_HZ:g} Hz or more")


def _check_shape(ecg: ArrayLike) -> NDArray[np.float64]:
    """Returns an ECG as (leads, samples), float64."""
    x = np.asarray(ecg)
    if x.ndim not in (1, 2) or not x.size:
        raise ValueError(f"ecg has shape {x.shape}, but one recording is wanted: (leads, samples) or (samples,)")
    check_numbers(x)
    x = x[None] if x.ndim == 1 else x
    return np.asarray(x.T if x.shape[0] > x.shape[1] else x, dtype=np.float64)
