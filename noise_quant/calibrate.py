"""Sets the thresholds between clean, partly and heavily noisy leads, and the rules for leads and records, from scores.

python -m noise_quant.calibrate runs=[<run of score_noise split=val>,<run of score_noise source=mixtures split=val>]
python -m noise_quant.calibrate acceptance_run=<run of score_noise source=cinc2011>
python -m noise_quant.calibrate lead_noise_run=<run of score_noise source=ptbxl split=train>
"""

import sys
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("calibrate")
def main(config: dict[str, Any]) -> Outcome:
    """Calibrates on the runs that the config names and prints the thresholds and what the rules were fitted on."""
    from noise_quant.scoring.calibration import (
        ACCEPTANCE,
        LEAD_NOISE,
        THRESHOLDS,
        calibrate_acceptance,
        calibrate_lead_noise,
        calibrate_runs,
    )

    folder = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    runs, written = config["runs"], config["write_to"]
    records, leads = config["acceptance_run"], config["lead_noise_run"]
    found: list[str] = []
    made = [written] if written else []
    if runs or not (records or leads):
        found.append(calibrate_runs(runs, folder.path, written).describe())
        made.append(folder.path / THRESHOLDS)
    if records:
        found.append(calibrate_acceptance(records, folder.path, written, written if found else None).describe())
        made.append(folder.path / ACCEPTANCE)
    if leads:
        found.append(calibrate_lead_noise(leads, folder.path, written, written if found else None).describe())
        made.append(folder.path / LEAD_NOISE)
    then = (
        ["score_noise", f"checkpoint={written}"]
        if written
        else ["calibrate", *sys.argv[1:], "write_to=my_model.safetensors"]
    )
    return Outcome("\n".join(found), made, then)


if __name__ == "__main__":
    main()
