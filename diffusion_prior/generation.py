"""Drawing ECGs from the prior for a list of label vectors, in chunks that survive a kill."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.model.denoiser import ConditionalDenoiser, Conditions, Denoiser
from diffusion_prior.retiming import REDRAWN_SIGMA, retime
from diffusion_prior.retiming import SETTINGS as MOVING
from diffusion_prior.sampler import SAMPLERS, Sampler
from einthoven.ecg.leads import LEADS, consistent_matrix
from einthoven.randomness import record_generators
from einthoven.run.array_files import save_array
from einthoven.run.chunked_job import ChunkedJob
from einthoven.run.chunks import Chunk, LocalEngine, Problems, never_give_up
from einthoven.run.files import atomic_write
from einthoven.run.fingerprint import fingerprint
from einthoven.run.lock import held_folder
from einthoven.run.progress import show_progress
from preprocessing.store.files import UNITS_PER_MV

AMPLITUDES = "amplitudes"
"""Name among the facts of weights of what each lead is multiplied by (`diffusion_prior.amplitudes`)."""


@dataclass(frozen=True)
class GenerationSettings:
    """How ECGs are drawn.

    Attributes:
        sampler: "multistep", "ddim", "ddpm" or "heun".
        n_steps: Steps of the sampler; with "ddpm" all steps of a prior that has discrete ones are its own process.
        guidance_scale: Classifier-free guidance scale; 1 is the plain conditional model.
        length: Samples of each ECG.
        batch_size: ECGs drawn at a time; results do not depend on it, but for rounding.
        seed: Seed; with a record's key it decides its ECG.
    """

    sampler: str = "multistep"
    n_steps: int = 25
    guidance_scale: float = 1.0
    length: int = 1000
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise ValueError(f"unknown sampler {self.sampler!r}; known are {', '.join(SAMPLERS)}")
        if self.length < 64 or self.batch_size < 1:
            raise ValueError("length must be at least 64 samples and batch_size at least 1")


def generate_ecgs(
    denoiser: Denoiser,
    labels: NDArray[np.float32],
    keys: Sequence[int],
    settings: GenerationSettings,
    chunks: Path,
    covariates: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Draws one 12-lead ECG for each label vector.

    The limb leads obey Einthoven's and Goldberger's equations, whichever of them the prior draws.

    Args:
        denoiser: The prior.
        labels: Multi-hot SCP statements, shape (N, 71).
        keys: Keys of the ECGs, from which with the seed their random numbers come, length N.
        settings: How to draw.
        chunks: Folder for finished chunks; those of the same prior, labels and settings are not drawn again.
        covariates: What each is told beside its label, as `diffusion_prior.choosing` returns it, shape (N, K).

    Returns:
        ECGs in mV, all twelve leads, shape (N, 12, length).

    Raises:
        ValueError: If the prior is unconditional and labels are given, or it knows fewer noise levels than steps.
    """
    check_settings(denoiser, labels, settings)
    moving = {"moving": MOVING} if _rhythms(denoiser, covariates) else {}
    depends_on = fingerprint({"prior": denoiser, "settings": settings, **moving})
    job = ChunkedJob(chunks.parent, depends_on, ".npy", chunks)
    for chosen, label, known in in_batches(labels, keys, covariates, settings.batch_size):
        records = [[int(key), np.flatnonzero(one).tolist()] for key, one in zip(chosen, label, strict=True)]
        for record, values in zip(records, [] if known is None else known, strict=False):
            record.append([str(value) for value in values])
        job.add(list(map(str, chosen)), records, 1, (chosen, label, known))
    with held_folder(chunks), show_progress(len(job.chunks), "batch", "generate") as bar:
        job.work(LocalEngine(), partial(GenerationWork, denoiser, settings), never_give_up, bar.update)
        ecgs = np.concatenate([np.load(chunk.part, allow_pickle=False) for chunk in job.chunks])
    job.check_joined(len(ecgs))
    return ecgs


def in_batches(
    labels: NDArray[np.float32], keys: Sequence[int], covariates: NDArray[np.float32] | None, size: int
) -> Iterator[tuple[Sequence[int], NDArray[np.float32], NDArray[np.float32] | None]]:
    """Yields keys, labels and covariates of so many ECGs at a time; arguments are those of `generate_ecgs`."""
    for first in range(0, len(keys), size):
        batch = slice(first, first + size)
        yield keys[batch], labels[batch], None if covariates is None else covariates[batch]


class GenerationWork:
    """Draws chunks of ECGs (`einthoven.run.chunks.Work`); a part is an array in mV, shape (B, 12, length)."""

    def __init__(self, denoiser: Denoiser, settings: GenerationSettings) -> None:
        self.denoiser, self.settings = denoiser, settings

    def __call__(self, chunk: Chunk) -> Problems:
        """Does the work of a chunk, whose content are keys, labels and covariates."""
        keys, labels, covariates = chunk.content
        ecgs = draw_ecgs(self.denoiser, labels, keys, self.settings, covariates)
        with atomic_write(chunk.part) as temporary:
            save_array(temporary, ecgs)
        return {}


def draw_ecgs(
    denoiser: Denoiser,
    labels: NDArray[np.float32],
    keys: Sequence[int],
    settings: GenerationSettings,
    covariates: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Draws the ECGs of one batch; arguments and what is returned are those of `generate_ecgs`."""
    device = next(denoiser.parameters()).device
    label = torch.from_numpy(labels).to(device) if denoiser.n_labels else None
    told = None if covariates is None else torch.from_numpy(covariates).to(device)
    sampler = _build_sampler(denoiser.given(Conditions(label, covariates=told), settings.guidance_scale), settings)
    generators = record_generators(settings.seed, keys, 1)
    shape = (1, len(generators[0]), len(denoiser.leads), settings.length)
    drawn = sampler.sample(shape, generators, device=device)
    x = drawn[0].cpu().numpy()
    if rhythms := _rhythms(denoiser, covariates):
        moved = [retime(one, denoiser.sampling_rate, *rhythm) for one, rhythm in zip(x, rhythms, strict=True)]
        again = sampler.redraw(torch.from_numpy(np.stack(moved))[None].to(device), REDRAWN_SIGMA, generators)
        stays = np.array([np.isnan(rhythm).all() for rhythm in rhythms])
        x = np.where(stays[:, None, None], x, again[0].cpu().numpy())
    gains = denoiser.facts.get(AMPLITUDES, {})
    x = x * np.array([[gains.get(lead, 1.0)] for lead in denoiser.leads], dtype=np.float32)
    return np.asarray(consistent_matrix(LEADS, denoiser.leads).astype(np.float32) @ x)


def _rhythms(denoiser: Denoiser, covariates: NDArray[np.float32] | None) -> list[tuple[float, float]]:
    """Returns mean and standard deviation of the RR intervals of each in s, NaN where not told; none if none is."""
    if covariates is None:
        return []
    values = dict(zip(denoiser.covariates, covariates.T, strict=True))
    unknown = np.full(len(covariates), np.nan)
    mean, sd = (values.get(name, unknown) for name in ("rr_mean", "rr_sd"))
    return [] if np.isnan([mean, sd]).all() else [(float(a), float(b)) for a, b in zip(mean, sd, strict=True)]


def store_scale(ecgs: NDArray[np.float32]) -> float:
    """Returns the units per mV of a store of generated ECGs in mV, even those of a prior that has learnt nothing.

    Raises:
        ValueError: If a value is not finite.
    """
    peak = float(np.abs(ecgs).max(initial=0))
    if not np.isfinite(peak):
        raise ValueError("the prior draws values that are not finite: its training has failed, take other weights")
    return min(UNITS_PER_MV, np.iinfo(np.int16).max / max(peak, 1e-9))


def check_settings(denoiser: Denoiser, labels: NDArray[np.float32], settings: GenerationSettings) -> None:
    """Refuses what a prior cannot draw; arguments and errors as for `generate_ecgs`."""
    if denoiser.distilled_levels:
        raise ValueError("the prior's weights were distilled to complete ECGs: generate with what they were made of")
    if labels.any() and not denoiser.n_labels:
        raise ValueError(
            "this prior was trained without labels (model.unconditional=true): give none ('generate.labels=[]')"
        )
    _build_sampler(denoiser.given(), settings)


def _build_sampler(denoiser: ConditionalDenoiser, settings: GenerationSettings) -> Sampler:
    return SAMPLERS[settings.sampler](denoiser, n_steps=settings.n_steps)
