"""`generate`: ECGs that never were, for SCP statements."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.checkpoint import shared_denoiser
from diffusion_prior.choosing import Told, choose_covariates
from diffusion_prior.generation import GenerationSettings, check_settings, draw_ecgs, in_batches, store_scale
from diffusion_prior.result import Generation
from diffusion_prior.sampler import SAMPLERS
from einthoven.arguments import check_count, check_device, check_number, check_seed
from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import check_compatible, encode
from einthoven.run.registry import check_choice
from preprocessing.store.files import UNITS_PER_MV

MOST_ECGS, LONGEST_S = 100_000, 3600.0
"""More, and longer ones, fill the memory: `einthoven generate` draws them into a store."""


def generate(
    labels: str | Sequence[str] = (),
    n: int = 1,
    seed: int = 0,
    *,
    age: float | None = None,
    sex: str | None = None,
    heart_rate: float | None = None,
    rr_sd: float | None = None,
    duration: float = 10.0,
    guidance_scale: float = 1.0,
    n_steps: int = 25,
    sampler: str = "multistep",
    batch_size: int = 32,
    weights: str | Path | None = None,
    device: str | torch.device = "cpu",
) -> Generation:
    """Draws twelve-lead ECGs from the prior.

    Rate and irregularity, where not told, are drawn from training records of the same statements, if weights take them.

    Args:
        labels: SCP statements that all of them shall have, such as "AFIB" or ["LVH", "SR"]; none: any ECG.
        n: Number of ECGs.
        seed: Seed; with the number of an ECG it decides it, whatever the others are.
        age: Age of all of them in years, 0 to 120; None: not told.
        sex: Sex of all of them, "male" or "female"; None: not told.
        heart_rate: Heart rate of all of them in beats a minute, 20 to 250.
        rr_sd: How irregularly their beats come: standard deviation of the RR intervals in ms, 0 to 1000.
        duration: Length of each in s; the prior has seen 10.
        guidance_scale: Classifier-free guidance scale; 1 is the plain conditional model.
        n_steps: Steps of the sampler.
        sampler: "multistep", "ddim", "ddpm" or "heun".
        batch_size: ECGs drawn at a time.
        weights: The prior's: a file, a training's folder, or RhythmDiff's `checkpoint.pkl`; None: the bundled ones.
        device: Device of the network.

    Raises:
        ValueError: If a statement is unknown or contradicts another, an argument is not usable, or the weights were
            trained without what they are told; it says what to do.
    """
    statements = check_compatible(labels)
    check_count("n", n, 1, MOST_ECGS)
    check_number("duration", duration, 0.01, LONGEST_S)
    check_number("guidance_scale", guidance_scale, -100.0, 100.0)
    check_count("n_steps", n_steps, 1, 100_000)
    check_count("batch_size", batch_size)
    check_seed(seed)
    check_device(device)
    check_choice("sampler", sampler, list(SAMPLERS))
    told = Told(age, sex, heart_rate, rr_sd)  # before the weights are read
    denoiser = shared_denoiser(weights, device)
    n_samples = round(duration * denoiser.sampling_rate)
    settings = GenerationSettings(sampler, n_steps, guidance_scale, n_samples, batch_size, seed)
    label = np.tile(encode(statements), (n, 1))
    check_settings(denoiser, label, settings)
    batches = in_batches(label, range(n), choose_covariates(denoiser, label, range(n), seed, told), batch_size)
    ecgs = np.concatenate([draw_ecgs(denoiser, one, keys, settings, known) for keys, one, known in batches])
    return Generation(ecgs, statements, LEADS, denoiser.sampling_rate, seed, _doubts(ecgs))


def _doubts(ecgs: NDArray[np.float32]) -> tuple[str, ...]:
    """Says where what was drawn cannot be ECGs."""
    if store_scale(ecgs) == UNITS_PER_MV:
        return ()
    return (f"not ECGs: they reach {np.abs(ecgs).max():.0f} mV; the prior is not trained, or needs more steps",)
