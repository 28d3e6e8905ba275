"""Fits the networks of `few_leads` on records of twelve leads: which lead a beat is of, and how right I and II look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.run.files import atomic_write
from einthoven.run.progress import show_progress
from reconstruction.electrodes.few_leads.beats import N_SAMPLES, WINDOW_S, beat_features
from reconstruction.electrodes.few_leads.limbs import (
    limb_evidence,
    limb_hypotheses,
    pair_features,
    undone,
    usual_log_odds,
)
from reconstruction.electrodes.few_leads.naming import naming_inputs
from reconstruction.electrodes.few_leads.networks import FewLeads, Networks, softmax
from reconstruction.electrodes.fitting.calibrating import CALIBRATION_FOLD, TRAINING_FOLDS, fold_records
from reconstruction.electrodes.maps import AS_RECORDED, LIMB

BATCH = 256
HIDDEN, GAIN = 0.5, 0.3
"""While networks are fitted sizes are hidden in this share of the beats, and vary in the others by this logarithm."""
Vary: TypeAlias = Callable[[Tensor], Tensor]
TEMPERATURES = np.geomspace(0.5, 3.0, 60)


@dataclass(frozen=True)
class Settings:
    """What is fitted; the keys of `configs/fit_few_leads.yaml`."""

    n_networks: int
    n_hidden: int
    dropout: float
    n_epochs: int
    n_limb_epochs: int
    learning_rate: float
    specificity: float
    seed: int


@dataclass(frozen=True)
class Beats:
    """Typical beats of records.

    Attributes:
        records: Their names.
        single: Features of each lead, shape (records, 12, features), NaN where it has no usable beats.
        pairs: Features of I and II with each mistake of `limb_hypotheses`, shape (records, mistakes, features), NaN
            likewise.
    """

    records: NDArray[np.str_]
    single: NDArray[np.float32]
    pairs: NDArray[np.float32]


def split_paths(
    ptbxl: Path, others: Path, archives: Mapping[str, int]
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Lists the records to fit on and those held out, by the set that they are of.

    Args:
        ptbxl: PTB-XL as downloaded: folds 1 to 8, and 9.
        others: Folder of the folders in `archives`.
        archives: Folders whose every so many-th record is fitted on; of those of every second the others are held out.

    Raises:
        ValueError: If there are none of some set.
    """
    fitted = {"ptbxl": fold_records(ptbxl, TRAINING_FOLDS)}
    held_out = {"ptbxl": fold_records(ptbxl, [CALIBRATION_FOLD])}
    for name, step in archives.items():
        paths = sorted(header.with_suffix("") for header in (others / name).rglob("*.hea"))
        fitted[name] = paths[::step]
        if step == 2:
            held_out[name] = paths[1::2]
    lacking = [name for sets in (fitted, held_out) for name, paths in sets.items() if not paths]
    if lacking:
        raise ValueError(f"there are no records of {', '.join(lacking)}: change ptbxl_path, others_path or archives")
    return fitted, held_out


def look_at_beats(paths: Sequence[Path], file: Path) -> Beats:
    """Looks at the first ten seconds of records, passing over unreadable ones; what was found is kept in a file."""
    if not file.is_file():
        names, single, pairs = [], [], []
        with show_progress(len(paths), "record", file.stem) as bar:
            for path in paths:
                bar.update()
                try:
                    recording = read(path, leads=LEADS)
                except ValueError:  # damaged, or without all twelve leads
                    continue
                rate = recording.sampling_rate
                ecg = recording.signal[:, : round(WINDOW_S * rate)]
                names.append(recording.name)
                single.append([_or_nan(beat_features, (ecg[[row]], rate, [lead]), 1) for row, lead in enumerate(LEADS)])
                pairs.append(mistaken_pairs(ecg[:2], rate))
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as partial, open(partial, "wb") as stream:
            np.savez_compressed(stream, records=names, single=np.array(single), pairs=np.array(pairs))
    with np.load(file) as held:
        return Beats(held["records"], held["single"], held["pairs"])


def joined(parts: Sequence[Beats]) -> Beats:
    """Puts the beats of several sets together."""
    return Beats(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("records", "single", "pairs")))


def mistaken_pairs(ecg: NDArray[np.float64], rate: float) -> NDArray[np.float32]:
    """Returns the features of I and II, (2, L), with each mistake, shape (mistakes, features), NaN without beats."""
    known = limb_hypotheses()
    right = _or_nan(pair_features, (ecg, rate), 2)
    found = []
    for one in known:
        if one.kind in (AS_RECORDED, LIMB):  # its R peaks are the same
            beats = one.swap[:2, :2] @ right[:-2].reshape(2, N_SAMPLES)
            found.append(np.append(beats / (beats.std(axis=-1).max() + 1e-6), right[-2:]))
        else:
            found.append(_or_nan(pair_features, (one.swap[:2, :2] @ ecg, rate), 2))
    return np.stack(found).astype(np.float32)


def _or_nan(look: Any, arguments: tuple[Any, ...], n_leads: int) -> NDArray[np.float32]:  # noqa: ANN401 (either function)
    try:
        return np.asarray(look(*arguments)[0])
    except ValueError:
        return np.full(n_leads * N_SAMPLES + 2, np.nan, dtype=np.float32)


def fit_few_leads(train: Beats, held_out: Beats, settings: Settings) -> FewLeads:
    """Fits networks on beats, and their temperatures, the doubt, and how much can be told, on held out ones."""
    own, truth = _by_lead(train)
    naming = _fit(naming_inputs(own, True)[:, None], truth, len(LEADS), settings, settings.n_epochs, _sizes_hidden)
    pairs = train.pairs[np.isfinite(train.pairs).all(axis=(1, 2))]
    truth = np.tile(np.arange(pairs.shape[1]), len(pairs))
    limbs = _fit(undone(pairs.reshape(-1, pairs.shape[-1])), truth, 1, settings, settings.n_limb_epochs)
    own, truth = _by_lead(held_out)
    either = np.concatenate([naming_inputs(own, True), naming_inputs(own, False)])
    naming = _calibrated(naming, naming(either), np.tile(truth, 2))
    facts: dict[str, Any] = {**asdict(settings), "records": len(train.records), "held_out": len(held_out.records)}
    facts |= {"command": "einthoven fit_few_leads", "date": datetime.now(UTC).date().isoformat()}
    right = naming(either).argmax(axis=-1) == np.tile(truth, 2)
    facts["right"], facts["right_without_unit"] = (float(half.mean()) for half in np.split(right, 2))
    odds, truth = pair_evidence(held_out, limbs)
    limbs = _calibrated(limbs, odds, truth)
    shares = softmax(odds / limbs.temperature + usual_log_odds())
    found = FewLeads(naming, limbs, float(np.quantile(shares[truth == 0, 0], 1 - settings.specificity)), facts)
    told = np.where(shares[:, 0] < found.limit, 1 + shares[:, 1:].argmax(axis=-1), 0)
    names = [one.name for one in limb_hypotheses()]
    facts["told"] = {name: float((told[truth == at] == at).mean()) for at, name in enumerate(names)}
    return found


def _by_lead(beats: Beats) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Returns the usable features of single leads, (n, features), and the number of the lead of each, (n,)."""
    usable = np.isfinite(beats.single).all(axis=-1)
    return beats.single[usable], np.nonzero(usable)[1]


def pair_evidence(beats: Beats, networks: Networks) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns the log odds against "as recorded" of usable pairs with each mistake, (n, mistakes), and the mistake."""
    usable = np.isfinite(beats.pairs).all(axis=-1)
    odds = [limb_evidence(row[None], networks) for row in beats.pairs[usable]]
    return np.stack(odds), np.nonzero(usable)[1]


def _calibrated(networks: Networks, odds: NDArray[np.float64], truth: NDArray[np.int64]) -> Networks:
    """Divides what networks say by the temperature that makes the truth most probable."""
    place = np.arange(len(truth))
    surprise = [-np.log(softmax(odds / one)[place, truth] + 1e-12).mean() for one in TEMPERATURES]
    return Networks(networks.weights, networks.biases, networks.temperature * float(TEMPERATURES[np.argmin(surprise)]))


def _fit(
    features: NDArray[np.float32],
    truth: NDArray[np.int64],
    n_outputs: int,
    settings: Settings,
    n_epochs: int,
    vary: Vary | None = None,
) -> Networks:
    """Fits networks on rows of candidates, (n, candidates, features).

    With one output the truth is the candidate with the largest; else there is one candidate, and the truth the largest
    of its outputs.
    """
    x, y = torch.from_numpy(features), torch.from_numpy(truth)
    fitted = [_fit_one(x, y, n_outputs, settings, n_epochs, number, vary) for number in range(settings.n_networks)]
    layers = [[layer for layer in network if isinstance(layer, nn.Linear)] for network in fitted]
    weights = [np.stack([layer.weight.detach().numpy() for layer in same]) for same in zip(*layers, strict=True)]
    biases = [np.stack([layer.bias.detach().numpy() for layer in same]) for same in zip(*layers, strict=True)]
    return Networks(weights, biases)


def _fit_one(
    x: Tensor, y: Tensor, n_outputs: int, settings: Settings, n_epochs: int, number: int, vary: Vary | None
) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed + number)
        sizes = (x.shape[-1], settings.n_hidden, settings.n_hidden, n_outputs)
        layers: list[nn.Module] = []
        for one, two in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(one, two), nn.ReLU(), nn.Dropout(settings.dropout)]
        network = nn.Sequential(*layers[:-2])
        optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=0.01)
        n_steps = max(1, len(x) // BATCH) * n_epochs
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=n_steps)
        for _ in range(n_epochs):
            order = torch.randperm(len(x))
            for place in range(max(1, len(x) // BATCH)):
                rows = order[place * BATCH : (place + 1) * BATCH]
                outputs = network(x[rows] if vary is None else vary(x[rows])).flatten(1)
                loss = nn.functional.cross_entropy(outputs, y[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
    return network.eval()


def _sizes_hidden(inputs: Tensor) -> Tensor:
    """Hides the sizes of some beats, (n, 1, inputs), as in `naming_inputs`, and varies those of the others."""
    known = (torch.rand(inputs.shape[:-1]) > HIDDEN).float()
    sizes = known * (inputs[..., -2] + GAIN * torch.randn(known.shape))
    return torch.cat([inputs[..., :-2], sizes[..., None], known[..., None]], dim=-1)
