"""One default for each setting: what a config writes is what the class that it is for takes by itself.

Where a config differs on purpose, the table says for which keys; a key that no longer differs is an error too. The
training loop's defaults are those of the default prior; what is trained otherwise writes its own.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import pytest
from omegaconf import OmegaConf

from diffusion_prior.model.sashimi import Sashimi
from diffusion_prior.model.schedule import DiscreteSchedule, EDMSchedule
from diffusion_prior.model.unet import UNet1d
from diffusion_prior.training.augmentation import Augmentation
from diffusion_prior.training.noise_objective import NoiseObjective
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.training.observation import ObservationPatterns
from diffusion_prior.training.settings import TrainerSettings
from evaluation.classification.xresnet1d import XResNet1d
from noise_quant.data.training_data import ScalogramData
from reconstruction.samplers.mgps import GradientSchedule
from reconstruction.samplers.spec import ALL_METHODS
from tests.test_configs import compose

CASES: list[tuple[str, list[str], str, Any, set[str]]] = [
    ("train", [], "train", TrainerSettings, set()),
    ("train", [], "augmentation", Augmentation, set()),
    ("train", [], "objective", DenoisingObjective, set()),
    ("train", [], "objective.noise_levels", NoiseLevels, set()),
    ("train", [], "objective.patterns", ObservationPatterns, set()),
    ("train", [], "model.schedule", EDMSchedule, set()),
    ("train", [], "model.backbone", UNet1d, {"dropout"}),  # only a training wants any
    ("train", ["backbone=sashimi"], "objective", NoiseObjective, set()),
    ("train", ["backbone=sashimi"], "model.schedule", DiscreteSchedule, set()),
    ("train", ["backbone=sashimi"], "model.backbone", Sashimi, set()),
    ("train_rival", [], "augmentation", Augmentation, set()),
    ("train_autoencoder", [], "dataset", ScalogramData, set()),
    ("downstream_classifier", [], "model.network", XResNet1d, set()),
    ("inpaint", ["algo=mgps"], "algo.sampler.gradients", GradientSchedule, set()),
    *(("inpaint", [f"algo={name}"], "algo.sampler", method, set()) for name, method in ALL_METHODS.items()),
]


def plain(value: object) -> object:
    """Returns a value as YAML would hold it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def defaults(of: Any) -> dict[str, object]:
    """Returns the arguments of a class or function that have a default, and these."""
    found = {name: p.default for name, p in inspect.signature(of).parameters.items() if p.default is not p.empty}
    if dataclasses.is_dataclass(of):
        made = {
            f.name: f.default_factory() for f in dataclasses.fields(of) if f.default_factory is not dataclasses.MISSING
        }
        found |= made
    return {name: plain(value) for name, value in found.items()}


def agree(written: object, default: object) -> bool:
    """Tells whether a config's value is the default; of nested settings it may write some.

    A part that is an object of its own, None by default, is compared in a line of its own.
    """
    if isinstance(written, Mapping) and default is None:
        return True
    if isinstance(written, Mapping) and isinstance(default, Mapping):
        return all(key in default and agree(value, default[key]) for key, value in written.items())
    return written == default


@pytest.mark.parametrize(("root", "overrides", "key", "of", "differing"), CASES, ids=lambda case: str(case)[:30])
def test_a_config_writes_the_defaults_of_the_class(root, overrides, key, of, differing):
    settings = OmegaConf.to_container(OmegaConf.select(compose(root, overrides), key), resolve=True)
    known = defaults(of)
    found = {name for name, value in settings.items() if name in known and not agree(value, known[name])}
    assert found == differing, {name: (settings[name], known[name]) for name in found}
