"""RhythmDiff's checkpoints: what network a state dictionary of its SaShiMi holds, and what its files do not say.

Two things are not in such a file. One is the order of the labels: the published tables have the statements in
alphabetical order (`einthoven.ecg.statements.LABEL_ORDER`), so the rows of the embedding are put into ours. The other
is whether the convolution kernels sum both of each pair of conjugate states, as its CUDA extension and KeOps do, or
one, as its plain fallback does: one set of weights is two networks. The one that finds the noise on ECGs better was
trained.

Reference:
    Bedin et al., Phil. Trans. R. Soc. A 383, 20240330, 2025 (RhythmDiff), and its code LisaBedin/Bayesian_ECG.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffusion_prior.model.epsilon import EpsilonDenoiser
from einthoven.ecg.leads import LEADS, NINE_LEADS
from einthoven.ecg.statements import LABEL_ORDER, STATEMENTS, encode
from einthoven.randomness import seeded_generator

STATE_KEY = "model_state_dict"
"""Where in a published checkpoint the weights stand."""
CHECKPOINTS = ("checkpoint.pkl", "checkpoint/checkpoint.pkl")
"""Where it lies in the folder of a published training."""

RECORD_LENGTH = 1000
"""Samples of the published records; longer segments end in zeros."""
STEPS: tuple[int, ...] = (100, 200, 400)
"""Steps at which the two networks are compared."""
_CLEARLY = 0.8
_EMBEDDING = "embedding.weight"
_SIZES = (
    "init_conv.0.conv.weight_v",
    "fc_t1.weight",
    "fc_t2.weight",
    "c_layers.0.ff.ff.0.conv.weight_v",
    "final_conv.2.conv.weight",
)
"""Weights whose shapes tell the sizes."""


def is_sashimi(weights: Mapping[str, Tensor]) -> bool:
    """Says whether weights have the names of a SaShiMi's."""
    return any(name.endswith(".layer.kernel.kernel.C") for name in weights)


def rhythmdiff_spec(weights: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """Finds from names and shapes the settings of `build_denoiser`, without `conjugate_pairs`.

    Raises:
        ValueError: If it is not a SaShiMi of RhythmDiff's, of 9 or 12 leads and 71 labels or none.
    """
    absent = [name for name in _SIZES if name not in weights]
    if not is_sashimi(weights) or absent:
        raise ValueError(
            f"{file} holds no checkpoint of RhythmDiff's SaShiMi: {len(absent)} of the weights that tell its sizes are "
            f"missing{f' ({absent[0]})' if absent else ''}. Give the checkpoint.pkl that its training writes"
        )
    d_model, n_channels = weights["init_conv.0.conv.weight_v"].shape[:2]
    n_out, leads = weights["final_conv.2.conv.weight"].shape[0], {9: NINE_LEADS, 12: LEADS}.get(n_channels)
    if leads is None or n_out != n_channels:
        raise ValueError(
            f"{file} holds a network of {n_channels} channels in and {n_out} out; RhythmDiff's have 9 (I, II, III, "
            "V1-V6) or all 12 leads: other ones cannot be named"
        )
    if _EMBEDDING in weights and len(weights[_EMBEDDING]) != len(STATEMENTS):
        raise ValueError(f"{file} knows {len(weights[_EMBEDDING])} labels, not PTB-XL's {len(STATEMENTS)} statements")
    pool, expand, top = _pooling(weights, d_model)
    backbone = {
        "name": "sashimi",
        "d_model": d_model,
        "n_layers": len(_layers(weights, "c_layers")),
        "pool": pool,
        "expand": expand,
        "ff": weights[_SIZES[3]].shape[0] // top,
        "unet": any(name.startswith("d_layers.") and name.endswith(".fc_t.weight") for name in weights),
        "label_embed_dim": weights[_EMBEDDING].shape[1] if _EMBEDDING in weights else 128,
        "diffusion_step_embed_dim_in": weights["fc_t1.weight"].shape[1],
        "diffusion_step_embed_dim_mid": weights["fc_t1.weight"].shape[0],
        "diffusion_step_embed_dim_out": weights["fc_t2.weight"].shape[0],
    }
    length = _length(weights, pool, file)
    return {
        "backbone": {**backbone, "L": length},
        "schedule": {"name": "discrete", "n_steps": 1000, "beta_min": 1e-4, "beta_max": 0.02},
        "leads": list(leads),
        "sampling_rate": 100.0,
        "sigma_data": 0.25,
        "unconditional": _EMBEDDING not in weights,
        "record_length": RECORD_LENGTH if length > RECORD_LENGTH else None,
        "segment_length": length,
    }


def our_label_order(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns published weights with the rows of the embedding in the order of `STATEMENTS`."""
    if _EMBEDDING not in weights:
        return dict(weights)
    order = torch.tensor([LABEL_ORDER.index(code) for code in STATEMENTS])
    return {**weights, _EMBEDDING: weights[_EMBEDDING][order]}


def _layers(weights: Mapping[str, Tensor], group: str) -> list[int]:
    """Returns the numbers of a group's layers, ascending."""
    return sorted({int(name.split(".")[1]) for name in weights if re.match(rf"{group}\.\d+\.", name)})


def _pooling(weights: Mapping[str, Tensor], d_model: int) -> tuple[list[int], int, int]:
    """Returns the factors of pooling, by which the width grows at each, and the width after the last."""
    pool, expand, width = [], 1, d_model
    for layer in _layers(weights, "d_layers"):
        w = weights.get(f"d_layers.{layer}.linear.conv.weight_v")
        if w is not None:
            pool.append(max(w.shape[1] // width, 1))
            expand, width = max(w.shape[0] // width, 1), w.shape[0]
    return pool, expand, width


def _length(weights: Mapping[str, Tensor], pool: Sequence[int], file: Path) -> int:
    """Returns the length that the outermost kernels were set up for."""
    kernels = {name: int(w) for name, w in weights.items() if name.endswith(".kernel.kernel.L") and w.numel() == 1}
    lengths = set(kernels.values())
    if not lengths or min(lengths) == 0:
        raise ValueError(
            f"{file} was saved before its network was first used: its kernels are not set up (kernel.L is "
            f"{'0' if lengths else 'missing'}), nothing was learnt yet. Give a later checkpoint of that training"
        )
    depth = int(np.prod(pool))
    if max(lengths) % depth or min(lengths) * depth != max(lengths):
        raise ValueError(
            f"{file} has kernels of {', '.join(map(str, sorted(lengths)))} samples, which do not belong together in a "
            f"network that pools by {', '.join(map(str, pool))}: it is damaged"
        )
    return max(lengths)


@torch.no_grad()
def denoising_loss(denoiser: EpsilonDenoiser, n_records: int = 2) -> float:
    """Returns the error of the noise that a prior finds on simulated ECGs, filtered and padded as it has learnt.

    It is the mean square over `STEPS`, leads and samples, always with the same noise: 1 says that it finds none.
    """
    # Only here: these import pandas and scipy, which priors of our own do without.
    from einthoven.ecg.filters import clean_signal
    from preprocessing.cohorts.simulator import simulate_ecg

    ecg = clean_signal(simulate_ecg(n_records, 500, rhythm="sinus"), 500, denoiser.sampling_rate)
    rows = [LEADS.index(lead) for lead in denoiser.leads]
    x = torch.zeros(n_records, len(rows), denoiser.segment_length)
    length = min(denoiser.record_length or denoiser.segment_length, denoiser.segment_length, ecg.shape[-1])
    x[..., :length] = torch.from_numpy(ecg[:, rows, :length]).float()
    label = torch.from_numpy(encode(["NORM", "SR"])).expand(n_records, -1) if denoiser.n_labels else None
    losses = []
    for step in STEPS:
        noise = torch.randn(x.shape, generator=seeded_generator("conjugate pairs", step))
        t = denoiser.schedule.time(torch.tensor(step))
        alpha, sigma = denoiser.schedule(t)
        losses.append(float((denoiser.noise(alpha * x + sigma * noise, t, label) - noise).square().mean()))
    return sum(losses) / len(losses)


def pairs_were_trained(with_pairs: float, without: float) -> bool:
    """Decides by the two losses: pairs only where these are clearly better, and better than finding no noise."""
    return with_pairs < _CLEARLY * min(without, 1.0)
