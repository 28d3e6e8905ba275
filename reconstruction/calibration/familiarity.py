"""Is an ECG like what the prior was trained on? Its denoising loss, against that of the training records.

The loss is that of the check of electrodes (`reconstruction.electrodes.evidence`), as a share of the noise that was
put in, averaged over the eight independent leads and at most ten seconds: one network call, whose random numbers are
its own. The limit, the training records' 99th percentile, belongs to weights: of others nothing is told. Nor is it of
recordings that lack some of the eight leads: the loss of what they have hardly tells noise from an ECG.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_prior.model.denoiser import ConditionalDenoiser, Denoiser
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.ecg.recording import Recording
from einthoven.run.fingerprint import fingerprint
from reconstruction.electrodes.eight_leads import eight_leads
from reconstruction.electrodes.evidence import denoising_losses
from reconstruction.result import Reconstruction
from reconstruction.samplers.base import PosteriorSampler

PACKAGED = Path(__file__).parent / "familiarity.json"
LOOKED_AT_S = 60.0
"""Of longer recordings ten seconds of the first minute are looked at."""
SEED = 17

_digests: "WeakKeyDictionary[Denoiser, str]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Familiarity:
    """What the losses of ECGs like the training data are.

    Attributes:
        weights: Hash of the prior's weights, as `weights_digest` has it.
        limit: Largest usual loss.
        facts: What it was fitted on.
    """

    weights: str
    limit: float
    facts: Mapping[str, object]

    @classmethod
    def load(cls, path: Path = PACKAGED) -> "Familiarity":
        """Reads one from a file; the packaged one by default."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def to_json(self) -> str:
        """Returns it as text for a file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def unlike_training(
    signal: NDArray[np.floating], sampling_rate: float, leads: Sequence[str], denoiser: Denoiser | None
) -> tuple[str, ...]:
    """Returns a note where an ECG is unlike the training data of a prior; none where nobody can tell.

    Args:
        signal: ECG in mV, shape (n_leads, L), NaN where missing; its first minute is read.
        sampling_rate: Its rate in Hz.
        leads: Names of its leads.
        denoiser: The prior.
    """
    known = _packaged()
    if denoiser is None or not can_tell(denoiser) or weights_digest(denoiser) != known.weights:
        return ()
    begin = np.array(signal[:, : round(LOOKED_AT_S * sampling_rate)], dtype=np.float64)
    try:
        eight = eight_leads(Recording(begin, sampling_rate, tuple(leads)), denoiser.sampling_rate)
    except ValueError:  # too short, or nothing of it is usable, which is said elsewhere
        return ()
    if not bool(eight.measured.all()):
        return ()
    loss = familiarity_loss(denoiser, eight.ecg.to(next(denoiser.parameters()).device))
    if loss <= known.limit:
        return ()
    return (
        f"unlike the training data: the prior's denoising loss is {loss / known.limit:.1f} times that which 99 % of "
        "the records it was trained on stay below; trust what it restores, and its band, less",
    )


def with_familiarity(result: Reconstruction, denoiser: Denoiser | None) -> Reconstruction:
    """Returns a result with the note, if there is one: on what was given, or on what is left without its noise."""
    given = result.given
    if given is None:
        return result
    signal: NDArray[np.floating] = given.signal
    if result.noise_level is not None:
        begin = result.mean[:, : round(LOOKED_AT_S * result.sampling_rate)]
        signal = begin[[result.leads.index(lead) for lead in given.leads]]
    note = unlike_training(signal, result.sampling_rate, given.leads, denoiser)
    return replace(result, notes=(*result.notes, *note)) if note else result


def can_tell(denoiser: Denoiser) -> bool:
    """Says whether a prior can be asked: one of the eight independent leads that takes measurements."""
    return denoiser.leads == INDEPENDENT_LEADS and denoiser.takes_measurements


def familiarity_loss(denoiser: Denoiser, ecg: Tensor) -> float:
    """Returns the loss of an ECG of the eight leads in mV, shape (8, L): a share of the noise that was put in."""
    measured = ecg.new_ones(len(ecg), dtype=torch.bool)
    return float(denoising_losses(denoiser, ecg[None], measured, SEED, "familiarity").mean() / ecg.shape[-1])


def prior_of(sampler: PosteriorSampler) -> Denoiser | None:
    """Returns the network that a sampler draws with; None where it does not say."""
    inner = getattr(sampler, "final", sampler)
    denoiser = getattr(inner, "denoiser", None)
    denoiser = denoiser.denoiser if isinstance(denoiser, ConditionalDenoiser) else denoiser
    return denoiser if isinstance(denoiser, Denoiser) else None


def weights_digest(denoiser: Denoiser) -> str:
    """Returns a hash of the weights of a prior."""
    if denoiser not in _digests:
        _digests[denoiser] = str(fingerprint(denoiser.backbone)["weights"])
    return _digests[denoiser]


@cache
def _packaged() -> Familiarity:
    return Familiarity.load()
