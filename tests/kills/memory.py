"""`python -m tests.kills.memory`: many calls of the doors in one process, and what memory they take."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from einthoven.ecg.leads import LEADS
from einthoven.run.memory import resident_memory_mb
from noise_quant.api import score
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.api import reconstruct
from reconstruction.repairs.repairing import repair
from reconstruction.samplers.spec import SamplerSpec
from tests.kills.jobs import write_weights

RATE = 100


def doors(folder: Path) -> dict[str, Callable[[int], object]]:
    """Returns calls of the doors at a small size, with tiny weights; each gets a number, and with it another ECG."""
    write_weights(folder)
    prior, model = folder / "prior.safetensors", folder / "model.safetensors"
    sampler = SamplerSpec("ddnm", {"n_steps": 2}, str(prior)).build()
    ecgs = simulate_ecg(8, RATE, 10.0, seed=1).astype(np.float64)
    ecgs[:, 7, 200:300] = 0.0

    def one(number: int, seconds: float) -> np.ndarray:
        return ecgs[number % len(ecgs), :, : round(seconds * RATE)] * (1 + number % 7 / 100)

    return {
        "reconstruct": lambda n: reconstruct(one(n, 2.56)[:1], RATE, ["I"], 2, sampler=sampler, key=n),
        "score": lambda n: score(one(n, 10.0)[:2], RATE, LEADS[:2], weights=model, key=n),
        "repair": lambda n: repair(one(n, 4.0), RATE, LEADS, n_samples=2, weights=prior),
    }


def grow(call: Callable[[int], object], n_calls: int, every: int) -> list[float]:
    """Returns the resident memory in MB after every so many calls."""
    found = []
    for number in range(1, n_calls + 1):
        call(number)
        if number % every == 0:
            found.append(resident_memory_mb())
    return found


def main() -> None:
    """Prints a line for each door."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="calls of each (default: 1000)")
    parser.add_argument("--only", default="reconstruct,score,repair", help="doors, separated by commas")
    words = parser.parse_args()
    every = max(1, words.calls // 10)
    with tempfile.TemporaryDirectory() as folder:
        for name, call in doors(Path(folder)).items():
            if name in words.only.split(","):
                sizes = ", ".join(f"{size:.0f}" for size in grow(call, words.calls, every))
                sys.stdout.write(f"{name}: MB after every {every} calls: {sizes}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
