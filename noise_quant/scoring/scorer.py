"""Noise scores of recordings: windows, scalograms, reconstructions, and how far these are from those.

A clean lead is restored as it was; noise, which the model never saw, is not. Each image draws its random numbers from
its own seed, of the scorer's seed, the record's key, the lead and the window, so scores do not depend on what else is
scored at the same time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from einthoven.ecg.checks import USABLE
from einthoven.ecg.leads import LEADS
from einthoven.ecg.long_signals import release
from einthoven.ecg.lost import Lost
from einthoven.randomness import seeded_generator
from noise_quant.model.models import ScalogramDiffusion
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.image import HEIGHT, WIDTH, WINDOW_S, image_levels, scalogram_image
from noise_quant.scoring.image_scores import ImageScores, image_scores
from noise_quant.scoring.lead_scores import SCORE_NAMES, LeadScores
from noise_quant.scoring.rules.lead_features import FEATURES
from noise_quant.scoring.window_signal import MISSING, TOLD_GAP_S, WindowSignal, cut_signal, why_missing
from noise_quant.scoring.windows import Columns, Window, cut_windows

Key = int | str
Record = tuple[Key, ArrayLike, float] | tuple[Key, ArrayLike, float, Sequence[str]]
"""Key, ECG in mV of shape (C, L), sampling rate in Hz and, where they are not the twelve, the leads' names."""
HUM = "mains hum"
"""Begins the reason of a usable lead with hum, before its amplitude."""
CPU_IMAGES = 32
"""Images that a processor restores at once: its caches hold no more, and 64 take a fifth longer each."""


@dataclass
class _Job:
    """A recording on its way: what is read, and the result, whose scores are written as they come."""

    key: Key
    ecg: NDArray[np.floating]
    sampling_rate: float
    leads: tuple[str, ...]
    windows: tuple[Window, ...]
    parts: list[tuple[Columns, ...]]
    result: LeadScores
    n_left: int
    lost: Sequence[Lost] = ()

    def judge(self, number: int, piece: WindowSignal) -> None:
        """Writes what is wrong with the leads in a window."""
        places = np.flatnonzero(self.result.segment == number)
        hum = [f"{HUM} {value:.2g} mV" if value else USABLE for value in piece.hum_mv]
        for lead, reason in enumerate(piece.reasons):
            reason = (
                why_missing(self.lost, self.leads[lead], *self.windows[number].judged) if reason == MISSING else reason
            )
            self.result.reason[lead, places] = reason or hum[lead]
            self.result.unusable[lead, places] = reason != USABLE
        self.result.hum_mv[:, places] = piece.hum_mv[:, None]
        for name, values in piece.features.items():
            self.result.features[name][:, places] = values[:, None]
        for place, (first, last) in zip(places, self.parts[number], strict=True):
            if piece.counted is None:
                continue
            left_out = (~piece.counted[:, first:last]).sum(axis=-1)
            missing = left_out * (WINDOW_S / WIDTH)
            self.result.missing_s[:, place] = missing
            for row in np.flatnonzero((missing > TOLD_GAP_S) & (self.result.reason[:, place] == USABLE)):
                self.result.reason[row, place] = f"{missing[row]:.1f} s {MISSING}"
            nothing = (left_out == last - first) & ~self.result.unusable[:, place]
            self.result.unusable[nothing, place] = True
            for row in np.flatnonzero(nothing):
                self.result.reason[row, place] = why_missing(self.lost, self.leads[row], *self.windows[number].judged)

    def wants(self, lead: int, number: int) -> bool:
        """Says whether a lead is usable somewhere in a window that was judged, or its image is kept."""
        kept = self.result.levels is not None and number < self.result.levels.shape[1]
        return kept or not self.result.unusable[lead, self.result.segment == number].all()


@dataclass(frozen=True)
class _Item:
    """One lead in one window of a job, with its image, shape (32, 256), and which of its columns count; None: all."""

    job: _Job
    lead: int
    window: int
    image: Tensor
    counted: NDArray[np.bool_] | None

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which columns count, shape (256,)."""
        return np.ones(WIDTH, dtype=bool) if self.counted is None else self.counted


class Scorer:
    """Scores recordings.

    Args:
        model: Diffusion model of scalograms, on its device.
        process: How images are noised and restored.
        seed: Seed.
        batch_size: Images that the network takes at once; ValueError below 1.
        discretization: Whether images are compared by whole levels; None: as the model was trained.
        keep_images: Whether results hold the images.
        most_images: Of so many windows of each recording, the first ones; None: of all.
    """

    def __init__(
        self,
        model: ScalogramDiffusion,
        process: ReverseProcess | None = None,
        seed: int = 123,
        batch_size: int = 64,
        discretization: bool | None = None,
        keep_images: bool = False,
        most_images: int | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self.model = model.eval()
        if next(model.parameters()).device.type == "cpu":  # an eighth quicker there, and equal to rounding
            network: Any = model  # torch's types leave out the memory format
            network.to(memory_format=torch.channels_last)
        self.process = process or ReverseProcess()
        self.seed, self.batch_size, self.keep_images = seed, batch_size, keep_images
        self._most_images = most_images
        self.discretization = model.discretization if discretization is None else discretization

    def score(
        self,
        ecg: ArrayLike,
        sampling_rate: float,
        key: Key = 0,
        n_partitions: int = 1,
        leads: Sequence[str] | None = None,
        progress: Callable[[float], object] | None = None,
        lost: Sequence[Lost] = (),
    ) -> LeadScores:
        """Scores one recording.

        Args:
            ecg: ECG in mV, unfiltered, shape (C, L); missing samples (NaN) cost what lies near them (see
                `cut_signal`), infinite ones make a lead unusable in their window; read piece by piece.
            sampling_rate: Sampling rate in Hz, above 80 Hz.
            key: Key of the record, to which its random numbers belong.
            n_partitions: Scores of each window of ten seconds.
            leads: Names of the leads, to which the random numbers belong; by default the twelve, or numbers.
            progress: Called with the seconds of the recording that were transformed since the last time.
            lost: Stretches that were made missing, for the reason that is told of them: `Recording.lost`.

        Raises:
            ValueError: If the recording is not of shape (C, L) or too short, or a number is out of range.
        """
        job = self._job(key, ecg, sampling_rate, n_partitions, leads)
        job.lost = lost
        [(_, scores)] = self._run([job], progress)
        return scores

    def score_many(self, records: Iterable[Record], n_partitions: int = 1) -> Iterator[tuple[Key, LeadScores]]:
        """Scores many recordings, read as they are needed, whose leads share the network's batches.

        Yields the key of each record, in their order, and what `score` returns for it.
        """
        jobs = (
            self._job(key, ecg, rate, n_partitions, names[0] if names else None) for key, ecg, rate, *names in records
        )
        return self._run(jobs)

    def _job(
        self, key: Key, ecg: ArrayLike, sampling_rate: float, n_partitions: int, leads: Sequence[str] | None
    ) -> _Job:
        x = np.asarray(ecg)
        if x.ndim != 2 or not x.size:
            raise ValueError(f"record {key}: expected an ECG of shape (leads, samples), not {x.shape}")
        if not 1 <= n_partitions <= WIDTH:
            raise ValueError(f"n_partitions must lie between 1 and {WIDTH}, not {n_partitions}")
        names = lead_names(len(x)) if leads is None else tuple(leads)
        if len(names) != len(x):
            raise ValueError(f"record {key}: {len(names)} lead names for {len(x)} leads")
        windows = cut_windows(x.shape[1], sampling_rate)
        parts = [window.partitions(n_partitions) for window in windows]
        segment = np.repeat(np.arange(len(windows)), list(map(len, parts)))
        starts = np.array([window.start for window in windows])[segment] / sampling_rate
        columns = np.array([columns for part in parts for columns in part]) * WINDOW_S / WIDTH
        scored = (len(x), len(segment))
        shape = (len(x), len(windows[: self._most_images]), HEIGHT, WIDTH)
        result = LeadScores(
            **{name: np.full(scored, np.nan) for name in SCORE_NAMES},
            unusable=np.zeros(scored, dtype=bool),
            reason=np.full(scored, USABLE, dtype=object),
            missing_s=np.zeros(scored),
            hum_mv=np.zeros(scored),
            features={name: np.zeros(scored) for name in FEATURES},
            segment=segment,
            start_s=starts + columns[:, 0],
            stop_s=starts + columns[:, 1],
            levels=np.empty(shape, np.float32) if self.keep_images else None,
            cleaned=np.empty(shape, np.float32) if self.keep_images else None,
        )
        return _Job(key, x, sampling_rate, names, windows, parts, result, len(x) * len(windows))

    def _run(
        self, jobs: Iterable[_Job], progress: Callable[[float], object] | None = None
    ) -> Iterator[tuple[Key, LeadScores]]:
        """Sends the images of jobs through the network in full batches; yields each job when it is done."""
        open_jobs: deque[_Job] = deque()
        waiting: list[_Item] = []
        for job in jobs:
            open_jobs.append(job)
            n_windows = max(1, self.batch_size // len(job.ecg))
            for first in range(0, len(job.windows), n_windows):
                numbers = range(first, min(first + n_windows, len(job.windows)))
                waiting += self._items(job, numbers)
                if progress is not None:
                    progress(sum(job.windows[number].scored_s for number in numbers))
                while len(waiting) >= self.batch_size:
                    self._score_batch(waiting[: self.batch_size])
                    waiting = waiting[self.batch_size :]
            while open_jobs and not open_jobs[0].n_left:
                yield open_jobs[0].key, open_jobs.popleft().result
        if waiting:
            self._score_batch(waiting)
        for job in open_jobs:
            yield job.key, job.result

    def _items(self, job: _Job, numbers: range) -> list[_Item]:
        """Computes the images of the leads in some windows, but for those of which no score or image is asked for."""
        device = next(self.model.parameters()).device
        pieces = [cut_signal(job.ecg, job.windows[number], job.sampling_rate) for number in numbers]
        release(job.ecg)
        wanted = []
        for number, piece in zip(numbers, pieces, strict=True):
            job.judge(number, piece)
            wanted += [(number, piece, lead) for lead in range(len(job.ecg)) if job.wants(lead, number)]
        job.n_left -= len(numbers) * len(job.ecg) - len(wanted)
        if not wanted:
            return []
        signals = torch.from_numpy(np.stack([piece.signal[lead] for _, piece, lead in wanted])).to(device)
        images = scalogram_image(signals, job.sampling_rate, self.model.scalogram, self.model.discretization)
        items = []
        for (number, piece, lead), image in zip(wanted, images, strict=True):
            counted = None if piece.counted is None or piece.counted[lead].all() else piece.counted[lead]
            items.append(_Item(job, lead, number, image, counted))
        return items

    def _score_batch(self, items: Sequence[_Item]) -> None:
        """Restores images, compares, and writes the scores into their jobs."""
        images = torch.stack([item.image for item in items])[:, None]
        generators = [
            seeded_generator(self.seed, item.job.key, item.job.leads[item.lead], item.window) for item in items
        ]
        n = CPU_IMAGES if images.device.type == "cpu" else len(images)
        parts = [slice(first, first + n) for first in range(0, len(images), n)]
        restored = torch.cat([self.model.reconstruct(images[at], self.process, generators[at]) for at in parts])
        levels, cleaned = (image_levels(part[:, 0], self.discretization).cpu() for part in (images, restored))
        groups: dict[tuple[tuple[Columns, ...], bool], list[int]] = {}
        for index, item in enumerate(items):
            groups.setdefault((item.job.parts[item.window], item.counted is None), []).append(index)
        for (columns, whole), members in groups.items():
            counted = None if whole else np.stack([items[index].shown for index in members])
            scores = image_scores(levels[members], cleaned[members], columns, counted)
            for row, index in enumerate(members):
                _write(items[index], scores, row)
        for item, image, restored_image in zip(items, levels, cleaned, strict=True):
            item.job.n_left -= 1
            result = item.job.result
            if result.levels is not None and result.cleaned is not None and item.window < result.levels.shape[1]:
                result.levels[item.lead, item.window] = image.numpy()
                result.cleaned[item.lead, item.window] = restored_image.numpy()


def lead_names(n_leads: int) -> tuple[str, ...]:
    """Returns the names of leads that nobody named: the twelve where there are twelve, else numbers from 0."""
    return LEADS if n_leads == len(LEADS) else tuple(str(number) for number in range(n_leads))


def _write(item: _Item, scores: ImageScores, row: int) -> None:
    """Writes the scores of one lead in one window, where the lead is usable there."""
    places = np.flatnonzero(item.job.result.segment == item.window)
    usable = ~item.job.result.unusable[item.lead, places]
    for name in SCORE_NAMES:
        getattr(item.job.result, name)[item.lead, places[usable]] = getattr(scores, name)[row][usable]
