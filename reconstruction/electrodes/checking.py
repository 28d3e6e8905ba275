"""`check_electrodes`: were electrodes swapped, or leads wrongly named, when this ECG was recorded?

Each mistake is a linear map of the leads (`maps`). The prior says how probable the ECG is as each of them has it
(`evidence`), and a calibration turns that into probabilities (`calibration`). Nothing is corrected unasked. Of a
recording that lacks some of the eight independent leads but has I and II these two tell of the limb electrodes
(`few_leads.limbs`); of one that lacks I or II nothing is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffusion_prior.checkpoint import shared_denoiser
from einthoven.arguments import check_seed
from einthoven.ecg.adapters import ECGLike, as_recording
from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.ecg.recording import Recording
from reconstruction.electrodes.calibration import Calibration, leg_log_odds, probabilities
from reconstruction.electrodes.eight_leads import EightLeads, eight_leads
from reconstruction.electrodes.evidence import Judge
from reconstruction.electrodes.few_leads.limbs import (
    describe_power,
    limb_evidence,
    limb_hypotheses,
    pair_features,
    usual_log_odds,
)
from reconstruction.electrodes.few_leads.networks import FewLeads
from reconstruction.electrodes.maps import AS_RECORDED, LEG, REVERSED, Hypothesis, hypotheses
from reconstruction.electrodes.result import Electrodes

FEW_LEADS = (
    "not all of I, II and V1 to V6 were measured, and not both I and II: nothing was fitted to that, so the "
    "probabilities are a hint, and no swap is told"
)


def check_electrodes(
    ecg: ECGLike,
    sampling_rate: float | None = None,
    leads: str | Sequence[str] | None = None,
    *,
    seed: int = 0,
    weights: str | Path | None = None,
    key: int | str | None = None,
    device: str | torch.device = "cpu",
) -> Electrodes:
    """Checks a recording for swapped electrodes and wrongly named leads: see the module.

    Args:
        ecg: A `Recording`, or what `as_recording` takes: an array in mV, shape (n_leads, L), NaN where missing, ...
        sampling_rate: Sampling rate in Hz; only for what does not know its own.
        leads: Lead names; only for what does not know its own.
        seed: Seed; the same seed and key give the same probabilities.
        weights: The prior's: a file or a training's folder; None: the bundled ones.
        key: Key of the record, to which its random numbers belong; None: its name, 0 where it has none.
        device: Device of the network.

    Raises:
        ValueError: If the recording is shorter than 2.5 s, in another unit, or has too few leads to tell anything.
    """
    recording = as_recording(ecg, sampling_rate, leads)
    check_seed(seed, key)
    denoiser = shared_denoiser(weights, device)
    if denoiser.leads != INDEPENDENT_LEADS or not denoiser.takes_measurements:
        raise ValueError(
            "check_electrodes needs weights of a prior of the eight independent leads: see the bundled ones"
        )
    if denoiser.distilled_levels:
        raise ValueError("check_electrodes needs the weights that distilled ones were made of")
    eight = eight_leads(recording, denoiser.sampling_rate)
    if bool(eight.measured[:2].all()) and not bool(eight.measured.all()):
        return judge_limbs(recording, eight, denoiser.sampling_rate, FewLeads.load())
    judge = Judge(denoiser, np.array(packaged().law), seed)
    return judge_recording(recording, eight, judge, packaged(), (recording.name or 0) if key is None else key)


def electrodes_note(
    recording: Recording, seed: int = 0, weights: str | Path | None = None, device: str | torch.device = "cpu"
) -> str:
    """Returns the note of `check_electrodes`; "" where nothing is told, or the recording cannot be checked."""
    try:
        return check_electrodes(recording, seed=seed, weights=weights, device=device).note
    except ValueError:
        return ""


@cache
def packaged() -> Calibration:
    """Returns the packaged calibration."""
    return Calibration.load()


def judge_recording(
    recording: Recording, eight: EightLeads, judge: Judge, calibration: Calibration, key: int | str
) -> Electrodes:
    """Judges a recording whose eight leads are prepared."""
    known = possible(eight.measured.numpy())
    if len(known) < 2:
        raise ValueError(
            f"the recording has {', '.join(recording.leads)}, of which too little is usable: the check takes two limb "
            "leads, or a few of V1 to V6"
        )
    evidence = judge(eight.ecg, eight.measured, known, key)
    odds = dict(zip((one.name for one in known), calibration.log_odds(evidence, known).tolist(), strict=True))
    told = {one.name: one for one in known}
    if not bool(eight.measured.all()):
        shares = probabilities({name: value for name, value in odds.items() if np.isfinite(value)})
        notes = (*recording.notes, *eight.notes, FEW_LEADS)
        return Electrodes(AS_RECORDED, shares, recording, "", told, notes, FEW_LEADS)
    return _decide(recording, eight, odds, told, calibration.limit)


def judge_limbs(recording: Recording, eight: EightLeads, sampling_rate: float, few_leads: FewLeads) -> Electrodes:
    """Judges a recording of which I and II, but not all eight leads, were measured; `eight` at a rate in Hz."""
    known, values = limb_hypotheses(), usual_log_odds()
    try:
        features = pair_features(eight.ecg[:2].cpu().double().numpy(), sampling_rate)
        values = values + limb_evidence(features, few_leads.limbs)
        remark = describe_power(few_leads)
    except ValueError as error:
        remark = f"of I and II no more than a flat lead can be told: {error}"
    odds = dict(zip((one.name for one in known), values.tolist(), strict=True))
    found = _decide(recording, eight, odds, {one.name: one for one in known}, few_leads.limit)
    if found.best == AS_RECORDED and found.probabilities[AS_RECORDED] < few_leads.doubt:
        other = next(name for name in found.probabilities if name != AS_RECORDED)
        remark = f"{other} cannot be excluded, probability {found.probabilities[other]:.2f}; {remark}"
    return replace(found, notes=(*found.notes, remark), remark=remark)


def _decide(
    recording: Recording,
    eight: EightLeads,
    odds: Mapping[str, float],
    told: Mapping[str, Hypothesis],
    limit: float,
) -> Electrodes:
    """Adds the right leg's swaps, and decides; `odds` are the log odds, and `told` the hypotheses, by name."""
    legs = [one for one in hypotheses().values() if one.kind == LEG]
    values = leg_log_odds(eight.ecg.cpu().numpy(), legs)
    odds = {**odds, **dict(zip((one.name for one in legs), values.tolist(), strict=True))}
    told = {**told, **{one.name: one for one in legs}}
    shares = probabilities({name: value for name, value in odds.items() if np.isfinite(value)})
    others = [name for name in shares if name != AS_RECORDED]
    best = others[0] if shares[AS_RECORDED] < limit else AS_RECORDED
    note = describe(told[best], shares[best])
    notes = (*recording.notes, *eight.notes, *([note] if note else []))
    return Electrodes(best, shares, recording, note, told, notes)


def possible(measured: NDArray[np.bool_]) -> list[Hypothesis]:
    """Returns the hypotheses that can be undone and seen in the measured ones, (8,), of the leads."""
    found = []
    for one in hypotheses().values():
        if one.undo is None:
            continue
        reaches_missing = bool(np.any(one.undo[measured][:, ~measured]))
        is_seen = bool(np.any((one.undo - np.eye(len(one.undo)))[measured]))
        if one.name == AS_RECORDED or (is_seen and not reaches_missing):
            found.append(one)
    return found


def describe(best: Hypothesis, probability: float) -> str:
    """Says in a sentence what was found; "" where nothing was."""
    if best.name == AS_RECORDED:
        return ""
    what = f"electrodes or leads look mixed up: {best.name} ({best.kind}), probability {probability:.2f}"
    if best.name == "RA/LA" or best.kind == REVERSED:
        what += "; or the heart lies on the right"
    return f"{what}; nothing was corrected"
