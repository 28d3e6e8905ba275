"""Sets the thresholds between clean, partly and heavily noisy leads, and the rule for whole records, from scores.

python -m noise_quant.calibrate runs=[<run of score_noise split=val>,<run of score_noise source=mixtures split=val>]
python -m noise_quant.calibrate acceptance_run=<run of score_noise source=cinc2011>
"""

import sys
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("calibrate")
def main(config: dict[str, Any]) -> Outcome:
    """Calibrates on the runs that the config names and prints the thresholds and the rule for records."""
    from noise_quant.scoring.calibration import ACCEPTANCE, THRESHOLDS, calibrate_acceptance, calibrate_runs

    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    runs, records, written = config["runs"], config["acceptance_run"], config["write_to"]
    found: list[str] = []
    made = [written] if written else []
    if runs or not records:
        found.append(calibrate_runs(runs, folder.path, written).describe())
        made.append(folder.path / THRESHOLDS)
    if records:
        found.append(calibrate_acceptance(records, folder.path, written, written if runs else None).describe())
        made.append(folder.path / ACCEPTANCE)
    then = (
        ["score_noise", f"checkpoint={written}"]
        if written
        else ["calibrate", *sys.argv[1:], "write_to=my_model.safetensors"]
    )
    return Outcome("\n".join(found), made, then)


if __name__ == "__main__":
    main()
