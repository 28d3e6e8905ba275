"""Makes the packaged limit beyond which an ECG is unlike the training data, anew for new weights.

python -m reconstruction.fit_familiarity dataset.store=STORE 'others=[OTHER_STORE]'
"""

from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.files import atomic_write
from einthoven.run.launch import script


@script("fit_familiarity")
def main(config: dict[str, Any]) -> Outcome:
    """Fits the limit on the training records of a store, and counts validation records that exceed it."""
    import torch

    from diffusion_prior.checkpoint import shared_denoiser
    from preprocessing.store.store import Store
    from reconstruction.calibration.fitting import fit_limit, losses_of

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    dataset, path = config["dataset"], Path(config["familiarity_path"])
    stores = {str(name): Store.open(name) for name in (dataset["store"], *config["others"])}
    denoiser, store = shared_denoiser(config["checkpoint"], config["device"]), stores[str(dataset["store"])]
    rows = store.rows("train", dataset["n_records"])
    fitted = fit_limit(denoiser, losses_of(denoiser, store, rows), f"training records of {store.path.name}")
    with atomic_write(path) as partial:
        partial.write_text(fitted.to_json(), encoding="utf-8")
    lines = [f"limit of {len(rows)} training records: {fitted.limit:g}"]
    for name, other in stores.items():
        losses = losses_of(denoiser, other, other.rows("val", config["n_others"]))
        share = (losses > fitted.limit).mean()
        lines.append(f"{Path(name).name}: {100 * share:.1f} % of {len(losses)} validation records are above it")
    return Outcome("\n".join(lines), [path], ["inpaint", "data=file", "data.path=RECORDING"])


if __name__ == "__main__":
    main()
