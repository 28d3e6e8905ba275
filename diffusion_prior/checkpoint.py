"""Checkpoints of the prior: one safetensors file that holds the weights and, as JSON, how to build the network.

RhythmDiff's own checkpoints are read too, as its training pickles them (`rhythmdiff_checkpoint`).
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from diffusion_prior.model.acceleration import accelerate_denoiser
from diffusion_prior.model.covariates import check_covariates
from diffusion_prior.model.denoiser import Denoiser
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.preconditioned import PreconditionedDenoiser
from diffusion_prior.model.sashimi import Sashimi
from diffusion_prior.model.schedule import DiscreteSchedule, EDMSchedule
from diffusion_prior.model.unet import UNet1d
from diffusion_prior.rhythmdiff_checkpoint import (
    CHECKPOINTS,
    STATE_KEY,
    denoising_loss,
    is_sashimi,
    our_label_order,
    pairs_were_trained,
    rhythmdiff_spec,
)
from einthoven.checked_files import intact
from einthoven.ecg.checks import check_rate
from einthoven.ecg.leads import INDEPENDENT_LEADS, NINE_LEADS, canonical_leads
from einthoven.ecg.statements import STATEMENTS
from einthoven.run.weights_cache import load_cached
from einthoven.run.weights_file import (
    HINT,
    PICKLES,
    WEIGHTS,
    find_weights,
    read_pickled_weights,
    read_weights,
    weight_differences,
    write_weights,
)

PRETRAINED = Path(__file__).parent / "pretrained" / "ptbxl_8leads_100Hz.safetensors"
"""The bundled prior."""
DISTILLED = PRETRAINED.with_stem(f"{PRETRAINED.stem}_distilled")
"""The bundled prior, distilled to four network calls a sample."""

_COVARIATES = "backbone.embed_covariates.weight"
"""A weight that starts at zero: checkpoints of networks that take no covariates lack it."""

BACKBONES: dict[str, type[nn.Module]] = {"unet1d": UNet1d, "sashimi": Sashimi}


def build_denoiser(spec: Mapping[str, Any]) -> Denoiser:
    """Builds a denoiser with fresh weights; its `spec` attribute keeps the settings for the checkpoint.

    Args:
        spec: Plain data: `backbone` (a mapping with `name` and the backbone's arguments), and optionally `schedule`
            (arguments of `EDMSchedule`; for sashimi `name: discrete` and arguments of `DiscreteSchedule`), `leads`,
            `sampling_rate`, `sigma_data`, `unconditional`; for unet1d also `covariates`; for sashimi also
            `record_length`, `segment_length`, `gain`.

    Raises:
        ValueError: If the backbone or a setting is not known, or the schedule is not the backbone's.
    """
    backbone, schedule = dict(spec["backbone"]), dict(spec.get("schedule", {}))
    name = backbone.pop("name")
    if name not in BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; known are {', '.join(BACKBONES)}")
    kind = "discrete" if name == "sashimi" else "edm"
    if schedule.pop("name", kind) != kind:
        raise ValueError(f"the backbone {name} has the schedule {kind}: choose model={name}, and change what it says")
    leads = canonical_leads(spec.get("leads", NINE_LEADS if name == "sashimi" else INDEPENDENT_LEADS))
    rate, sigma_data = check_rate(float(spec.get("sampling_rate", 100.0))), float(spec.get("sigma_data", 0.25))
    if not 0 < sigma_data < math.inf:
        raise ValueError(f"sigma_data is {sigma_data:g}: give the standard deviation of the ECGs in mV")
    unconditional = bool(spec.get("unconditional", False))
    n_labels = 0 if unconditional else len(STATEMENTS)
    denoiser: Denoiser
    try:
        if name == "sashimi":
            network: nn.Module = Sashimi(len(leads), len(leads), unconditional, **backbone)
            own = {key: spec[key] for key in ("record_length", "segment_length", "gain") if key in spec}
            levels = DiscreteSchedule(**schedule)
            denoiser = EpsilonDenoiser(network, levels, leads, rate, sigma_data, n_labels, **own)
        else:
            covariates = check_covariates(spec.get("covariates", ()))
            backbone |= {"n_covariates": 2 * len(covariates)}
            network = BACKBONES[name](3 * len(leads), len(leads), n_labels, **backbone)
            edm = EDMSchedule(**schedule)
            denoiser = PreconditionedDenoiser(network, edm, leads, rate, sigma_data, n_labels, covariates)
    except TypeError as error:
        raise ValueError(f"the settings of model do not fit the backbone {name}: {error}") from error
    denoiser.spec = json.loads(json.dumps({**spec, "leads": list(leads)}))
    return denoiser


def save_denoiser(path: Path, denoiser: Denoiser, facts: Mapping[str, Any] | None = None, half: bool = False) -> None:
    """Writes a denoiser that `build_denoiser` built, atomically, and facts of it (steps, data, ...), plain data."""
    write_weights(path, denoiser.backbone, denoiser.spec, facts or {}, half)


def add_facts(weights: str | Path | None, path: Path, facts: Mapping[str, Any]) -> None:
    """Copies weights that `load_denoiser` reads to another file, of the same precision, with further facts."""
    denoiser = load_denoiser(weights)
    half = all(bool((weight.half().float() == weight).all()) for weight in denoiser.backbone.state_dict().values())
    save_denoiser(path, denoiser, {**denoiser.facts, **facts}, half)


def find_prior(path: str | Path | None) -> Path:
    """Returns the file of weights that `load_denoiser` reads; raises ValueError if there is none."""
    return find_weights(PRETRAINED if path is None else path, (WEIGHTS, *CHECKPOINTS))


def shared_denoiser(
    path: str | Path | None = None,
    device: str | torch.device = "cpu",
    *,
    published_offset: bool = False,
    conjugate_pairs: bool | None = None,
    precision: str = "float32",
    compiled: bool = False,
) -> Denoiser:
    """Returns the one denoiser that all users of the same weights share on a device: not to be changed.

    Arguments and errors are those of `load_denoiser` and `accelerate_denoiser`.
    """
    switches = {"published_offset": published_offset, "conjugate_pairs": conjugate_pairs, "compiled": compiled}
    for name, value in switches.items():
        if not (isinstance(value, bool) or (value is None and name == "conjugate_pairs")):
            raise ValueError(f"{name} is {str(value)[:40]!r}: give true or false")
    if not isinstance(precision, str):
        raise ValueError(f"precision is {str(precision)[:40]!r}: give float32, bf16 or auto")
    settings = (published_offset, conjugate_pairs, precision, compiled)

    def load() -> Denoiser:
        denoiser = load_denoiser(path, published_offset=published_offset, conjugate_pairs=conjugate_pairs)
        return accelerate_denoiser(denoiser, precision, compiled)

    return load_cached("prior", load, find_prior(path), device, *settings)


def load_denoiser(
    path: str | Path | None = None, *, published_offset: bool = False, conjugate_pairs: bool | None = None
) -> Denoiser:
    """Reads a denoiser, in float32 and evaluation mode, without gradients for its weights.

    Args:
        path: Safetensors file, a training's folder, RhythmDiff's `checkpoint.pkl`, or None for the bundled prior.
        published_offset: For a SaShiMi: whether the noise level is one step behind the network's (`DiscreteSchedule`).
        conjugate_pairs: Of RhythmDiff's weights: whether they were trained with the CUDA extension or KeOps
            (`rhythmdiff_checkpoint`); None finds it out, which takes two network calls.

    Returns:
        The denoiser, on the CPU; `facts` holds what the file says of it and what was found out.

    Raises:
        ValueError: If there is no such file, it holds no denoiser that is known here, or the settings are not for it.
    """
    file = find_prior(path)
    if file.suffix in PICKLES:
        denoiser = _load_rhythmdiff(file, read_pickled_weights(file, STATE_KEY), conjugate_pairs)
    else:
        weights, spec, facts = read_weights(file)
        if isinstance(spec.get("backbone"), dict):
            denoiser = _load_ours(file, weights, spec, facts, conjugate_pairs)
        elif is_sashimi(weights):
            denoiser = _load_rhythmdiff(file, weights, conjugate_pairs)
        else:
            raise ValueError(f"{file} does not say how to build its network: diffusion_prior.train did not write it")
    if published_offset:
        if not denoiser.finds_noise:
            raise ValueError("published_offset is for a SaShiMi: leave it false for these weights")
        settings = {**denoiser.spec.get("schedule", {}), "published_offset": True}
        settings.pop("name", None)
        denoiser.schedule = DiscreteSchedule(**settings)
    return denoiser.eval().requires_grad_(False)


def _load_ours(
    file: Path, weights: dict[str, Tensor], spec: dict[str, Any], facts: dict[str, Any], conjugate_pairs: bool | None
) -> Denoiser:
    if conjugate_pairs is not None:
        if spec["backbone"].get("name") != "sashimi":
            raise ValueError("conjugate_pairs is for a SaShiMi: leave it null for these weights")
        spec["backbone"]["conjugate_pairs"] = facts["conjugate_pairs"] = conjugate_pairs
    with intact(file, HINT):
        denoiser = build_denoiser(spec)
    _fill(denoiser, weights, file)
    denoiser.facts = facts
    return denoiser


def _load_rhythmdiff(file: Path, weights: dict[str, Tensor], conjugate_pairs: bool | None) -> Denoiser:
    with intact(file, HINT):
        spec = rhythmdiff_spec(weights, file)
        weights = our_label_order(weights)

    def build(pairs: bool) -> EpsilonDenoiser:
        with intact(file, HINT):
            fresh = build_denoiser({**spec, "backbone": {**spec["backbone"], "conjugate_pairs": pairs}})
        denoiser = cast(EpsilonDenoiser, fresh)  # as its spec says
        _fill(denoiser, weights, file)
        return denoiser.eval().requires_grad_(False)

    facts: dict[str, Any] = {"published": True}
    built = {pairs: build(pairs) for pairs in (False, True) if conjugate_pairs in (None, pairs)}
    if conjugate_pairs is None:
        without, with_pairs = map(denoising_loss, built.values())
        conjugate_pairs = pairs_were_trained(with_pairs, without)
        facts["denoising_losses"] = {"conjugate_pairs": with_pairs, "without": without}
    denoiser = built[conjugate_pairs]
    denoiser.facts = {**facts, "conjugate_pairs": conjugate_pairs}
    return denoiser


def _fill(denoiser: Denoiser, weights: Mapping[str, Tensor], file: Path) -> None:
    problems = weight_differences(weights, denoiser.backbone.state_dict())
    if problems:
        raise ValueError(f"{file} does not fit its network, {denoiser.spec['backbone']}: {problems}")
    denoiser.backbone.load_state_dict(weights)


def take_weights(denoiser: Denoiser, path: str | Path) -> None:
    """Copies the weights of a checkpoint into a denoiser, to go on training; ValueError if its network is another.

    A network that takes covariates may go on from one that takes none: nothing changes until it has learnt them.
    """
    loaded = load_denoiser(path)
    theirs, ours = ({name: w.shape for name, w in d.state_dict().items()} for d in (loaded, denoiser))
    pairs, wanted = (bool(d.spec["backbone"].get("conjugate_pairs", False)) for d in (loaded, denoiser))
    weights = loaded.state_dict()
    if _COVARIATES in ours and _COVARIATES not in theirs:
        weights[_COVARIATES] = torch.zeros(ours[_COVARIATES])
        theirs[_COVARIATES] = ours[_COVARIATES]
    same = not loaded.covariates or loaded.covariates == denoiser.covariates
    if theirs != ours or pairs != wanted or not same:
        raise ValueError(f"the weights at {path} are of another network: give the settings of {loaded.spec}")
    denoiser.load_state_dict(weights)
