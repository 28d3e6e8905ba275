"""Measures recordings: rate, intervals, axes, amplitudes, ST levels, as they are, or repaired, rebuilt or denoised.

python -m reconstruction.measure my_record.dcm
python -m reconstruction.measure my_record.dcm after=reconstruct     # medians and intervals of its samples
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("measure", words="recordings")
def main(config: dict[str, Any]) -> Outcome:
    """Measures the recordings that the config names, or the bundled ECG, into a table and a picture of each."""
    import pandas as pd

    import einthoven
    from einthoven.report.tables import write_csv
    from einthoven.run.registry import check_choice

    after = config["after"]
    if after is not None:
        check_choice("after", after, ["repair", "reconstruct", "denoise"])
    recordings = [einthoven.read(place, leads=config["lead"]) for place in config["recordings"] or [None]]
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device=config["device"])
    settings = {"n_samples": config["n_samples"], "seed": config["seed"], "device": config["device"]}
    options = {name: config[name] for name in ("high_pass_hz", "paced", "start", "duration")}
    made, texts, tables = [run.path / "measures.csv"], [], []
    for number, recording in enumerate(recordings, start=1):
        ecg = recording if after is None else getattr(einthoven, after)(recording, **settings)
        measures = einthoven.measure(ecg, **options)
        name = recording.name or str(number)
        made.append(measures.save(run.path / f"{number}_{name.replace('/', '_')}.png"))
        tables.append(measures.table.assign(record=name))
        texts.append(str(measures))
    write_csv(pd.concat(tables), made[0])
    place = config["recordings"][0] if config["recordings"] else "RECORDING"
    return Outcome("\n\n".join(texts), made, ["repair", str(place)])


if __name__ == "__main__":
    main()
