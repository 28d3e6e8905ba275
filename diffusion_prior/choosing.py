"""What generated ECGs are told beside their statements: age and sex, and how fast and how regularly the heart beats."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffusion_prior.model.denoiser import Denoiser
from diffusion_prior.rhythms import FACT, draw_rhythm
from einthoven.arguments import check_number
from einthoven.ecg.statements import decode
from einthoven.randomness import seeded_generator
from einthoven.run.registry import check_choice

SEXES = ("male", "female")
"""In the order of the covariate's values, 0 and 1."""
WORDS = {"age": "age", "sex": "sex", "rr_mean": "heart_rate", "rr_sd": "rr_sd"}
"""What users call the covariates."""


@dataclass(frozen=True)
class Told:
    """What generated ECGs are told beside their statements; None: nothing of it.

    Attributes:
        age: Age in years, 0 to 120; above 90 is as 90.
        sex: "male" or "female".
        heart_rate: In beats a minute, 20 to 250: 60 over the mean RR interval in s.
        rr_sd: Standard deviation of the RR intervals in ms, 0 to 1000.
    """

    age: float | None = None
    sex: str | None = None
    heart_rate: float | None = None
    rr_sd: float | None = None

    def __post_init__(self) -> None:
        for name, most in (("age", 120.0), ("heart_rate", 250.0), ("rr_sd", 1000.0)):
            if (value := getattr(self, name)) is not None:
                check_number(name, value, 20.0 if name == "heart_rate" else 0.0, most)
        if self.sex is not None:
            check_choice("sex", self.sex, SEXES)

    def facts(self) -> dict[str, Any]:
        """Returns what is told, for the manifest of a store."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return {"told": told} if told else {}

    def covariates(self) -> dict[str, float]:
        """Returns them as the network's covariates, NaN where not told."""
        return {
            "age": np.nan if self.age is None else float(self.age),
            "sex": np.nan if self.sex is None else float(SEXES.index(self.sex)),
            "rr_mean": np.nan if self.heart_rate is None else 60.0 / self.heart_rate,
            "rr_sd": np.nan if self.rr_sd is None else self.rr_sd / 1000.0,
        }


NOTHING_TOLD = Told()


def choose_covariates(
    denoiser: Denoiser,
    labels: NDArray[np.float32],
    keys: Sequence[int],
    seed: int,
    told: Told = NOTHING_TOLD,
    people: NDArray[np.floating] | None = None,
) -> NDArray[np.float32] | None:
    """Chooses what each ECG is told beside its statements.

    With weights that hold a table of rhythms (`fit_rhythms`) rate and irregularity are drawn where they are not told,
    and age and sex are those of `people`; with others nothing is told but what `told` says.

    Args:
        denoiser: The prior.
        labels: Multi-hot SCP statements, shape (N, 71).
        keys: Keys of the ECGs, from which with the seed the rhythms are drawn, length N.
        seed: Seed.
        told: What all of them are told.
        people: Age in years and sex (0 male, 1 female) of each, NaN where not known, shape (N, 2).

    Returns:
        Values of the prior's K covariates, NaN where not known, shape (N, K); None where nothing is told.

    Raises:
        ValueError: If something is told that the prior's network does not take.
    """
    common, table = told.covariates(), denoiser.facts.get(FACT)
    names = [name for name, value in common.items() if not np.isnan(value)]
    if missing := [WORDS[name] for name in names if name not in denoiser.covariates]:
        raise ValueError(f"these weights were trained without {', '.join(missing)}: leave that out, or give others")
    if not denoiser.covariates or not (names or table):
        return None
    rows = []
    for place, key in enumerate(keys):
        values = dict(common)
        if table:
            generator = seeded_generator(seed, int(key), FACT)
            given = values["rr_mean"], values["rr_sd"]
            values["rr_mean"], values["rr_sd"] = draw_rhythm(table, decode(labels[place]), given, generator)
            for name, own in zip(("age", "sex"), () if people is None else people[place], strict=False):
                values[name] = float(own) if np.isnan(values[name]) else values[name]
        rows.append([values[name] for name in denoiser.covariates])
    return np.array(rows, dtype=np.float32)
