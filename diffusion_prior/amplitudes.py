"""How much larger real ECGs are than generated ones: gains of the leads, fitted for weights on training records.

A network's estimate loses a little of what it cannot place, so that ECGs drawn with it are too small: the more often
noise is added and taken off, the smaller. Karras et al. (2022, arXiv 2206.00364, section 4) saw such a loss of detail
and added noise in excess for it; here samples are scaled, which needs no noise and leaves the rhythm as it is.
"""

import copy
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from diffusion_prior.choosing import choose_covariates
from diffusion_prior.generation import AMPLITUDES, GenerationSettings, draw_ecgs, in_batches
from diffusion_prior.model.denoiser import Denoiser
from diffusion_prior.rhythms import FACT, Rhythms
from einthoven.ecg.leads import LEADS
from einthoven.run.progress import show_progress
from preprocessing.store.store import Store


def fit_amplitudes(denoiser: Denoiser, store: Store, rhythms: Rhythms, n_twins: int, seed: int = 0) -> dict[str, float]:
    """Fits the gains that give twins of training records the mean log amplitude of these records, lead by lead.

    Twins have the statements, age and sex of their records, and rhythms of the table. The amplitude is the standard
    deviation of a lead; leads that are flat in a record do not count.

    Args:
        denoiser: The prior; gains among its facts do not count.
        store: Store of the records, which are taken evenly from all training records.
        rhythms: The table of rhythms.
        n_twins: Number of twins, at most that of the training records.
        seed: Seed of the twins.

    Returns:
        What each of the prior's leads is to be multiplied by, three digits.

    Raises:
        ValueError: If the store has another rate, or all twins' leads are flat.
    """
    if store.sampling_rate != denoiser.sampling_rate:
        raise ValueError(f"{store.path} has {store.sampling_rate:g} Hz, the prior {denoiser.sampling_rate:g} Hz")
    prior = copy.copy(denoiser)
    prior.facts = {**{name: fact for name, fact in denoiser.facts.items() if name != AMPLITUDES}, FACT: dict(rhythms)}
    rows = store.rows("train")
    rows = rows[np.linspace(0, len(rows) - 1, min(n_twins, len(rows))).round().astype(np.int64)]
    table, labels = store.table.iloc[rows], store.labels()[rows]
    keys, people = table["ecg_id"].tolist(), table[["age", "sex"]].to_numpy(np.float64)
    covariates = choose_covariates(prior, labels, keys, seed, people=people)
    settings = GenerationSettings(length=store.n_samples, batch_size=16, seed=seed)
    twins = []
    with show_progress(len(keys), "ECG", "twins of training records") as bar:
        for chosen, label, known in in_batches(labels, keys, covariates, settings.batch_size):
            twins.append(draw_ecgs(prior, label, chosen, settings, known))
            bar.update(len(chosen))
    places = [LEADS.index(lead) for lead in prior.leads]
    gains = mean_gains(store.read(rows, prior.leads), np.concatenate(twins)[:, places])
    return {lead: round(float(gain), 3) for lead, gain in zip(prior.leads, gains, strict=True)}


def mean_gains(real: NDArray[np.float32], generated: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the geometric mean ratio of amplitudes of ECGs (N, C, L) in mV to those of their twins, shape (C,).

    Raises:
        ValueError: If a lead is flat in all of them.
    """
    sizes = np.stack([ecgs.astype(np.float64).std(axis=-1) for ecgs in (real, generated)])
    counts = (sizes > 0).all(axis=0)
    if not counts.any(axis=0).all():
        raise ValueError("a lead is flat in all records or all twins: give another store, or weights that are trained")
    logs = np.log(np.where(counts, sizes, 1.0))
    return np.asarray(np.exp((logs[0] - logs[1]).sum(axis=0) / counts.sum(axis=0)))


def describe_amplitudes(gains: Mapping[str, float]) -> str:
    """Says in a line what each lead is multiplied by."""
    return "amplitudes times " + ", ".join(f"{lead} {gain:.3f}" for lead, gain in gains.items())
