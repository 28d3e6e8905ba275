"""What the networks of the trained rivals share: the backbone of our prior, and a checkpoint that says their kind.

Every rival has the prior's U-Net, without labels. So what is compared is what a network is trained for, and not how it
is built; each rival's own file says what is its paper's.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from diffusion_prior.model.unet import UNet1d
from einthoven.checked_files import intact
from einthoven.ecg.leads import INDEPENDENT_LEADS, canonical_leads
from einthoven.run.weights_file import HINT, find_weights, read_weights, write_weights


class RivalNetwork(nn.Module):
    """A U-Net that takes, and gives, some channels (`n_in`, `n_out`) for each lead.

    Args:
        spec: How to build it, plain data: `backbone` (arguments of `UNet1d`) and, where not the default, `leads`,
            `sampling_rate` (Hz) and `sigma_data` (standard deviation of the ECGs in mV). Subclasses add settings.

    Attributes:
        kind: Name of the rival, which its checkpoint carries.
        sigma_data: Standard deviation of the ECGs in mV, the unit that the network sees.
        facts: What the checkpoint says of it.
    """

    kind: ClassVar[str]
    n_in: ClassVar[int]
    n_out: ClassVar[int]

    def __init__(self, spec: Mapping[str, Any]) -> None:
        super().__init__()
        self.leads = canonical_leads(spec.get("leads", INDEPENDENT_LEADS))
        self.sampling_rate = float(spec.get("sampling_rate", 100.0))
        self.sigma_data = float(spec.get("sigma_data", 0.25))
        n_leads = len(self.leads)
        self.backbone = UNet1d(self.n_in * n_leads, self.n_out * n_leads, 0, **spec["backbone"])
        self.spec = json.loads(json.dumps({**spec, "kind": self.kind, "leads": list(self.leads)}))
        self.facts: dict[str, Any] = {}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Writes the weights, and how to build the network, to a safetensors file, atomically."""
        write_weights(path, self.backbone, self.spec, facts)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads a trained network, on the CPU, in float32 and evaluation mode, without gradients for its weights.

        The path is a safetensors file, or the run folder of `reconstruction.train_rival`; ValueError if it holds
        another.
        """
        file = find_weights(path)
        weights, spec, facts = read_weights(file)
        if spec.get("kind") != cls.kind:
            raise ValueError(
                f"{file} holds no weights of {cls.kind} (but of {spec.get('kind', 'another network')}): make them with "
                f"python -m reconstruction.train_rival rival={cls.kind}"
            )
        with intact(file, HINT):
            network = cls(spec)
            network.backbone.load_state_dict(weights)
        network.facts = facts
        return network.eval().requires_grad_(False)
