"""Small networks as plain arrays: fitted with torch, kept in an npz file with facts, evaluated with numpy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "few_leads.npz"
NAMING, LIMBS = "naming", "limbs"
"""The two sets of networks of a file."""
LARGEST_LIMIT = 0.75
"""No swap is told that is less probable than a quarter, as in the check of eight leads."""


@dataclass(frozen=True)
class Networks:
    """Perceptrons of one shape, whose outputs are averaged.

    Attributes:
        weights: Of each layer, shape (networks, outputs, inputs).
        biases: Of each layer, shape (networks, outputs).
        temperature: What outputs are divided by to be log odds.
    """

    weights: Sequence[NDArray[np.float32]]
    biases: Sequence[NDArray[np.float32]]
    temperature: float = 1.0

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns log odds of rows (..., inputs), shape (..., outputs)."""
        shape, x = features.shape[:-1], features.reshape(1, -1, features.shape[-1])
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight.transpose(0, 2, 1) + bias[:, None]
            x = np.maximum(x, 0.0) if number + 1 < len(self.weights) else x
        return np.asarray(x.astype(np.float64).mean(axis=0) / self.temperature).reshape(*shape, -1)

    def arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Returns all of it as arrays whose names begin with `name`, for a file; weights in half precision."""
        found: dict[str, NDArray[np.generic]] = {f"{name}_temperature": np.array(self.temperature)}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            found |= {f"{name}_w{number}": weight.astype(np.float16), f"{name}_b{number}": bias}
        return found

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], name: str) -> "Networks":
        """Takes them back."""
        n_layers = sum(key.startswith(f"{name}_w") for key in arrays)
        weights, biases = (
            [arrays[f"{name}_{part}{number}"].astype(np.float32) for number in range(n_layers)] for part in "wb"
        )
        return cls(weights, biases, float(arrays[f"{name}_temperature"]))


@dataclass(frozen=True)
class FewLeads:
    """What a file holds.

    Attributes:
        naming: Networks that say which of the twelve leads a beat is of.
        limbs: Networks that say how right beats of I and II look together.
        doubt: A swap of I and II cannot be excluded where the probability of "as recorded" is below this, as it is in
            few of the right records.
        facts: What they were fitted on, and how well they do on the records that were kept for choices.
    """

    naming: Networks
    limbs: Networks
    doubt: float
    facts: Mapping[str, Any]

    @property
    def limit(self) -> float:
        """A swap is told where the probability of "as recorded" is below this."""
        return min(LARGEST_LIMIT, self.doubt)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns all of it as arrays by name, for a file."""
        facts = np.array(json.dumps(self.facts, sort_keys=True))
        return {**self.naming.arrays(NAMING), **self.limbs.arrays(LIMBS), "doubt": np.array(self.doubt), "facts": facts}

    @classmethod
    def load(cls, path: str | Path | None = None) -> "FewLeads":
        """Reads a file of `arrays`; None: the packaged one."""
        return _load(str(path or FILE))


@lru_cache(maxsize=4)
def _load(path: str) -> FewLeads:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    naming, limbs = (Networks.of_arrays(arrays, name) for name in (NAMING, LIMBS))
    return FewLeads(naming, limbs, float(arrays["doubt"]), json.loads(str(arrays["facts"])))


def softmax(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the probabilities of log odds over the last axis."""
    shares = np.exp(log_odds - log_odds.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))
