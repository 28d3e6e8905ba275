"""Makes the packaged finder of what is bad in a recording, with which repair begins.

python -m reconstruction.fit_finder finder_path=finder.npz
"""

from functools import cache, partial
from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.extras import extra
from einthoven.run.files import atomic_write
from einthoven.run.launch import script


@script("fit_finder")
def main(config: dict[str, Any]) -> Outcome:
    """Fits the finder on training records of PTB-XL damaged with the first halves of NSTDB, and writes it."""
    import numpy as np
    import torch

    from preprocessing.damage import damage_noise
    from reconstruction.repairs.fitting.finder import FOLD_9, Settings, finder_arrays, fit_finder, training_records
    from reconstruction.repairs.repairing import Tools

    with extra("train"):
        import sklearn  # noqa: F401  # before the long work
    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    settings = Settings(**{name: config[name] for name in Settings.__dataclass_fields__})
    path = Path(config["finder_path"])
    noise = cache(partial(damage_noise, config["nstdb_path"], half="fit"))
    noise(100.0)  # before the long work
    records = training_records(Path(config["ptbxl_path"]), settings, Path(config["others_path"]))
    tools = Tools.load(weights=config["checkpoint"], device=config["device"])
    finder, facts = fit_finder(records, noise, tools.repairer, tools.scorer, settings)
    with atomic_write(path) as file:
        np.savez_compressed(file, **finder_arrays(finder, facts))  # type: ignore[arg-type]
    limits = f"bad from {finder.begin:g}, beside bad from {finder.go_on:g}"
    found = ", ".join(f"{name} {value:.3g}" for name, value in facts[FOLD_9].items())
    return Outcome(f"{limits}; fold 9: {found}", [path])


if __name__ == "__main__":
    main()
