"""Makes the packaged networks that judge a lead without a name, and leads I and II alone.

python -m reconstruction.fit_few_leads file=few_leads.npz
"""

from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.files import atomic_write
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("fit_few_leads")
def main(config: dict[str, Any]) -> Outcome:
    """Looks at the beats of PTB-XL's folds 1-9 and of other archives; fits, calibrates and writes the networks."""
    import numpy as np
    import torch

    from reconstruction.electrodes.fitting.few_leads import Settings, fit_few_leads, joined, look_at_beats, split_paths

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    settings = Settings(**{name: config[name] for name in Settings.__dataclass_fields__})
    paths = split_paths(Path(config["ptbxl_path"]), Path(config["others_path"]), config["archives"])
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    fitted, held_out = (
        joined([look_at_beats(own, run.path / f"{part}_{name}.npz") for name, own in sets.items()])
        for part, sets in zip(("fitted", "held_out"), paths, strict=True)
    )
    found = fit_few_leads(fitted, held_out, settings)
    path = Path(config["file"])
    with atomic_write(path) as partial, open(partial, "wb") as stream:
        np.savez_compressed(stream, **found.arrays())  # type: ignore[arg-type] # by name
    text = f"{found.facts['records']} records; held out: {found.facts['right']:.3f} of the leads named rightly"
    return Outcome(text, [path], ["name_lead", "FILE"])


if __name__ == "__main__":
    main()
