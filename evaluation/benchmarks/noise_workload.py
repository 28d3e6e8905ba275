"""Pieces of work on noise scores that `evaluation.benchmark` measures, each in a process of its own.

The reference for superlets is a plain one: the same wavelets, convolved with the signal at its full rate by batched
Fourier transforms, one frequency after the other.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from einthoven.run.memory import Jobs, peak_memory_mb, resident_memory_mb
from noise_quant.model.checkpoint import build_model, load_model
from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.image import PUBLISHED, WIDTH, scalogram_image
from noise_quant.scalogram.superlet import FLOOR, SuperletSettings, superlet_transform
from noise_quant.scoring.scorer import Scorer
from preprocessing.cohorts.simulator import simulate_ecg

RATE = 500
SUPERLET, SCORING = "superlet", "scoring"


def noise_jobs(superlet: dict[str, Any], scoring: dict[str, Any]) -> Jobs:
    """Lists the work on noise scores.

    Args:
        superlet: Arguments of `transform` but for the form.
        scoring: Arguments of `score` but for the size; the checkpoint is that of the small model.

    Returns:
        The jobs, parts `SUPERLET` and `SCORING`.
    """
    jobs: Jobs = {(SUPERLET, form): (transform, {**superlet, "form": form}) for form in FORMS}
    jobs[SUPERLET, "default form beside plain FFT"] = (transform_both_ways, {"n_repeats": superlet["n_repeats"]})
    jobs[SCORING, "small"] = (score, {**scoring, "size": "small"})
    jobs[SCORING, "published size"] = (score, {**scoring, "size": "published", "checkpoint": None})
    return jobs


class PlainSuperlets:
    """The plain reference: every wavelet of the default form at the full rate.

    Args:
        settings: Settings of the superlet transform, not of the published form.
        sampling_rate: Sampling rate in Hz.
        length: Samples of a signal.
    """

    def __init__(self, settings: SuperletSettings, sampling_rate: float, length: int) -> None:
        self.length, self.margin = length, math.ceil(settings.half_length() * sampling_rate) + 1
        self.n_samples = next_fast_len(length + 2 * self.margin)
        hertz = torch.fft.fftfreq(self.n_samples, 1 / sampling_rate, dtype=torch.float64)
        self.rows: list[tuple[Tensor, Tensor]] = []
        for frequency, order in zip(settings.frequencies.tolist(), settings.orders.tolist(), strict=True):
            numbers = range(1, math.ceil(order) + 1)
            deviations = torch.tensor([settings.deviation(frequency, number) for number in numbers])
            spectra = math.sqrt(2) * torch.exp(-2 * (math.pi * deviations[:, None] * (hertz - frequency)) ** 2)
            shares = torch.tensor([min(1.0, order - number + 1) / order for number in numbers])
            self.rows.insert(0, (spectra.float(), shares))

    def __call__(self, signals: Tensor) -> Tensor:
        """Returns log10 of the power in mV^2 of signals (n, L) in mV at every sample, shape (n, F, L)."""
        mirrored = pad(signals[:, None].float(), (self.margin, self.margin), mode="reflect")
        spectrum = torch.fft.fft(mirrored, self.n_samples)
        inside = slice(self.margin, self.margin + self.length)
        out = torch.empty(len(signals), len(self.rows), self.length)
        for row, (spectra, shares) in enumerate(self.rows):
            response = torch.view_as_real(torch.fft.ifft(spectrum * spectra)[..., inside])
            logs = torch.log10(response.square().sum(-1) + FLOOR**2)
            out[:, row] = torch.einsum("w,nwl->nl", shares, logs)
        return out


FORMS = ("default form", "published form", "plain FFT")
"""The default and the published form of our superlets, and the plain reference."""


def transform(form: str, n_repeats: int, n_records: int) -> dict[str, Any]:
    """Transforms twelve leads of 10 s at 500 Hz, alone for the time, and as a large batch for the memory.

    Args:
        form: One of `FORMS`.
        n_repeats: How often; the median counts.
        n_records: Records of the large batch; the plain reference, which has no chunks, takes one.

    Returns:
        `seconds` per record, `records_per_second` of the large batch, and `working_memory_mb`: by how much the memory
        of the process grew, filters and results included.
    """
    leads = torch.from_numpy(simulate_ecg(n_records, RATE)).reshape(-1, 10 * RATE)
    before = resident_memory_mb()
    work = _transform(form)
    seconds = _median_seconds(lambda: work(leads[:12]), n_repeats)
    batch = leads[:12] if form == "plain FFT" else leads
    start = time.perf_counter()
    work(batch)
    pace = len(batch) / 12 / (time.perf_counter() - start)
    return {"seconds": seconds, "records_per_second": pace, "working_memory_mb": peak_memory_mb() - before}


def transform_both_ways(n_repeats: int) -> dict[str, Any]:
    """Transforms twelve leads of 10 s at 500 Hz by turns with our default form and with the plain reference.

    Args:
        n_repeats: How often; medians count.

    Returns:
        `seconds` of ours, and `times_faster` than the reference, in this one run.
    """
    leads = torch.from_numpy(simulate_ecg(1, RATE)[0])
    works = [partial(_transform(form), leads) for form in ("default form", "plain FFT")]
    laps = [[_median_seconds(work, 1) for work in works] for _ in range(n_repeats)]
    ours, plain = (float(value) for value in np.median(laps, axis=0))
    return {"seconds": ours, "times_faster": plain / ours}


def score(size: str, checkpoint: str | None, n_repeats: int, n_records: int, batch_size: int) -> dict[str, Any]:
    """Scores simulated 12-lead ECGs of 10 s at 500 Hz from end to end.

    Args:
        size: "small", or "published" for the published networks with random weights and the published superlets.
        checkpoint: Weights of the small model; None: the bundled ones.
        n_repeats: How often one record is scored; medians count.
        n_records: Records scored one after the other, sharing the network's batches.
        batch_size: Images that the network takes at once.

    Returns:
        `seconds` per record; of them `superlet_seconds`, `network_seconds` and `other_seconds`; `records_per_minute`.
    """
    spec = {"kind": "latent", "size": "published", "scalogram": asdict(PUBLISHED)}
    model = load_model(checkpoint) if size == "small" else build_model(spec)
    assert isinstance(model, ScalogramDiffusion)
    process, ecgs = ReverseProcess(), simulate_ecg(n_records, RATE).astype(np.float64)
    scorer = Scorer(model, process, batch_size=batch_size)
    images = scalogram_image(ecgs[0], RATE, model.scalogram)[:, None]
    generator = torch.Generator().manual_seed(0)
    seconds = _median_seconds(lambda: scorer.score(ecgs[0], RATE), n_repeats)
    superlet = _median_seconds(lambda: scalogram_image(ecgs[0], RATE, model.scalogram), n_repeats)
    network = _median_seconds(lambda: model.reconstruct(images, process, generator), n_repeats)
    start = time.perf_counter()
    n_scored = len(list(scorer.score_many((number, ecg, RATE) for number, ecg in enumerate(ecgs))))
    return {
        "seconds": seconds,
        "superlet_seconds": superlet,
        "network_seconds": network,
        "other_seconds": max(0.0, seconds - superlet - network),
        "records_per_minute": 60 * n_scored / (time.perf_counter() - start),
    }


def _transform(form: str) -> Callable[[Tensor], Tensor]:
    if form == "plain FFT":
        return PlainSuperlets(SuperletSettings(), RATE, 10 * RATE)
    settings = SuperletSettings(published=form == "published form")
    return lambda leads: superlet_transform(leads, RATE, settings, WIDTH)


def _median_seconds(work: Callable[[], object], n_repeats: int) -> float:
    """Returns the median time of work, after it was done once."""
    work()
    laps = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        work()
        laps.append(time.perf_counter() - start)
    return median(laps)
