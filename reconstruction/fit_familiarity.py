"""Makes the packaged limits beyond which an ECG is unlike the training data, anew for new weights.

python -m reconstruction.fit_familiarity dataset.store=STORE 'others=[OTHER_STORE]'
"""

from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.files import atomic_write
from einthoven.run.launch import script


@script("fit_familiarity")
def main(config: dict[str, Any]) -> Outcome:
    """Fits the limits on the training records of a store, and counts validation records that exceed them."""
    import torch

    from diffusion_prior.checkpoint import shared_denoiser
    from preprocessing.store.store import Store
    from reconstruction.calibration.fitting import exceeding, fit_limits, losses_of

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    dataset, path = config["dataset"], Path(config["familiarity_path"])
    stores = {str(name): Store.open(name) for name in (dataset["store"], *config["others"])}
    denoiser, store = shared_denoiser(config["checkpoint"], config["device"]), stores[str(dataset["store"])]
    rows = store.rows("train", dataset["n_records"])
    fitted = fit_limits(
        denoiser, losses_of(denoiser, store, rows), f"training records of {Path(dataset['store']).name}"
    )
    with atomic_write(path) as partial:
        partial.write_text(fitted.to_json(), encoding="utf-8")
    lines = [f"limits of {len(rows)} records: {', '.join(f'{n} leads {x:g}' for n, x in fitted.limits.items())}"]
    for name, other in stores.items():
        found = exceeding(fitted, losses_of(denoiser, other, other.rows("val", config["n_others"]), (1, 8)))
        shares = ", ".join(f"{100 * share:.1f} % of {number} leads" for number, share in found.items())
        lines.append(f"{Path(name).name}, validation: above them {shares}")
    return Outcome("\n".join(lines), [path], ["inpaint", "data=file", "data.path=RECORDING"])


if __name__ == "__main__":
    main()
