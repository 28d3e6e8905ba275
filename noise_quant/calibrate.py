"""Sets the thresholds between clean, partly and heavily noisy leads from scores on validation data.

python -m noise_quant.calibrate runs=[<run of score_noise split=val>,<run of score_noise source=mixtures split=val>]
"""

import sys
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("calibrate")
def main(config: dict[str, Any]) -> Outcome:
    """Calibrates on the runs that the config names and prints the thresholds."""
    from noise_quant.scoring.calibration import calibrate_runs

    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    calibration = calibrate_runs(config["runs"], folder.path, config["write_to"])
    written = config["write_to"]
    then = (
        ["score_noise", f"checkpoint={written}"]
        if written
        else ["calibrate", *sys.argv[1:], "write_to=my_model.safetensors"]
    )
    return Outcome(calibration.describe(), [*([written] if written else []), folder.path / "thresholds.json"], then)


if __name__ == "__main__":
    main()
