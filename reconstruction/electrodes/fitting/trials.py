"""Swaps made on purpose in recordings, and the evidence on each: what the check is fitted and judged on.

A record is looked at as it is, with a few of the swaps that hospitals meet most, and with one other. Which ones is
drawn from its name, so that a run can be taken up again. Where the right leg's cable is on an arm, a twentieth of the
right ECG is left in every lead, as the legs' potentials differ a little.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.ecg.recording import Recording
from einthoven.run.files import atomic_write
from einthoven.run.hashing import hash_json
from reconstruction.electrodes.eight_leads import eight_leads
from reconstruction.electrodes.evidence import COMMON, Evidence, Judge
from reconstruction.electrodes.maps import AS_RECORDED, LEG, Hypothesis, hypotheses

HARDEST = "LA/LL"
"""Drawn twice as often as others."""
N_COMMON = 3
LEG_DIFFERENCE = 0.05


@dataclass(frozen=True)
class Trial:
    """One recording with one swap.

    Attributes:
        record: Name of the recording.
        truth: Name of the hypothesis that is true, as far as the recording itself was right.
        ecg: The eight leads that were looked at, with the swap, in mV, shape (8, L).
        evidence: What was found.
    """

    record: str
    truth: str
    ecg: NDArray[np.float32]
    evidence: Evidence


def drawn_swaps(record: str, seed: int) -> list[str]:
    """Draws the swaps of a record, by name."""
    rng = np.random.default_rng(int(hash_json([record, seed])[:12], 16))
    by_kind: dict[str, list[str]] = {}
    for one in hypotheses().values():
        by_kind.setdefault(one.kind, []).append(one.name)
    common = [name for kind in COMMON if kind != AS_RECORDED for name in by_kind[kind]]
    weights = np.array([2.0 if name == HARDEST else 1.0 for name in common])
    drawn = rng.choice(common, N_COMMON, replace=False, p=weights / weights.sum())
    rare = by_kind[rng.choice([kind for kind in by_kind if kind not in COMMON])]
    return [*map(str, drawn), str(rng.choice(rare))]


def swapped(ecg: NDArray[np.float32], one: Hypothesis) -> NDArray[np.float32]:
    """Returns what a mistake makes of the eight leads in mV, shape (8, L)."""
    swap = one.swap
    if one.kind == LEG:
        swap = (1 - LEG_DIFFERENCE) * swap + LEG_DIFFERENCE * np.eye(len(swap))
    return (swap @ ecg).astype(np.float32)


class Trials:
    """Looks at recordings, and keeps what was found in a folder, a file a record."""

    def __init__(self, judge: Judge, folder: Path, seed: int = 0) -> None:
        self.judge, self.folder, self.seed = judge, folder, seed
        self.known = [one for one in hypotheses().values() if one.undo is not None]

    def of(self, recording: Recording) -> list[Trial]:
        """Looks at a recording as it is and with its swaps, unless that was done before.

        Raises:
            ValueError: If it cannot be used, or one of the eight leads was not measured.
        """
        path = self.folder / f"{recording.name}.npz"
        if not path.is_file():
            self._look(recording, path)
        with np.load(path) as held:
            ecg, found = held["ecg"], zip(held["truth"], held["misfit"], held["loss"], strict=True)
            return [
                Trial(recording.name, str(truth), swapped(ecg, hypotheses()[str(truth)]), Evidence(misfit, loss))
                for truth, misfit, loss in found
            ]

    def _look(self, recording: Recording, path: Path) -> None:
        eight = eight_leads(recording, self.judge.denoiser.sampling_rate)
        if not bool(eight.measured.all()):
            lost = [lead for lead, there in zip(INDEPENDENT_LEADS, eight.measured, strict=True) if not there]
            raise ValueError(f"{recording.name}: {', '.join(lost)} was not measured")
        names, ecg = [AS_RECORDED, *drawn_swaps(recording.name, self.seed)], eight.ecg.numpy()
        found = []
        for name in names:
            x = torch.from_numpy(swapped(ecg, hypotheses()[name]))
            found.append(self.judge(x, eight.measured, self.known, recording.name))
        arrays = {part: np.stack([getattr(one, part) for one in found]) for part in ("misfit", "loss")}
        with atomic_write(path) as partial, open(partial, "wb") as stream:
            np.savez_compressed(stream, truth=names, ecg=ecg, **arrays)  # type: ignore[arg-type] # by name
