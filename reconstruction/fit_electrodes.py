"""Makes the packaged calibration of the check of electrodes.

python -m reconstruction.fit_electrodes calibration_path=calibration.json
"""

from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.files import atomic_write
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("fit_electrodes")
def main(config: dict[str, Any]) -> Outcome:
    """Looks at records of fold 9 and of other hospitals with swaps made on purpose; fits how probable each swap is."""
    import torch

    from diffusion_prior.checkpoint import find_prior, shared_denoiser
    from einthoven.run.weights_cache import hash_weights
    from reconstruction.electrodes.evidence import Judge
    from reconstruction.electrodes.fitting.calibrating import (
        CALIBRATION_FOLD,
        Settings,
        calibrate,
        fold_records,
        look_at,
        other_records,
        usual_covariance,
    )
    from reconstruction.electrodes.fitting.trials import Trials

    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    settings = Settings(**{name: config[name] for name in Settings.__dataclass_fields__})
    origin = {"prior": hash_weights(find_prior(config["checkpoint"]))}
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device=config["device"], files=origin)
    root, denoiser = Path(config["ptbxl_path"]), shared_denoiser(config["checkpoint"], config["device"])
    law = usual_covariance(root, settings.n_law)
    aside = [f"{ecg_id:05d}_lr" for ecg_id in settings.set_aside]
    paths = [path for path in fold_records(root, [CALIBRATION_FOLD], settings.seed) if path.name not in aside]
    others = other_records(Path(config["others_path"]), settings.n_others, settings.others_aside, settings.seed)
    trials, unusable = look_at(
        [*paths[: settings.n_records], *others], Trials(Judge(denoiser, law), run.path / "parts")
    )
    calibration = calibrate(trials, law, settings)
    path = Path(config["calibration_path"])
    with atomic_write(path) as partial:
        partial.write_text(calibration.to_json(), encoding="utf-8")
    text = f"{len(trials)} trials, {len(unusable)} records unusable; told where 'as recorded' is below"
    return Outcome(f"{text} {calibration.limit:g}", [path], ["check_electrodes", "FILE"])


if __name__ == "__main__":
    main()
