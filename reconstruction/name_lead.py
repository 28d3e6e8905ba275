"""Says which of the twelve leads a lead without a name probably is.

python -m reconstruction.name_lead my_watch.csv channel=ECG1
python -m reconstruction.name_lead channel=V2     # the bundled ECG's
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder


@script("name_lead", words="recordings")
def main(config: dict[str, Any]) -> Outcome:
    """Looks at a channel of the recordings that the config names, or of the bundled ECG."""
    import pandas as pd

    from einthoven.report.tables import write_csv
    from reconstruction.electrodes.few_leads.naming import name_lead, read_channel

    files, channel = config["recordings"] or [None], config["channel"]
    channel = None if channel is None else str(channel)
    recordings = [read_channel(file, channel, config["sampling_rate"]) for file in files]
    run = RunFolder.create(run_path(config), config, seed=config["seed"], device="cpu")
    made, texts, lines = [run.path / "leads.csv"], [], []
    for number, recording in enumerate(recordings, start=1):
        found = name_lead(recording)
        made.append(found.save(run.path / f"{number}_{recording.name.replace('/', '_')}.png"))
        texts.append(f"{recording.name}: {found}")
        lines.append({"recording": recording.name, "best": found.best, **found.probabilities})
    write_csv(pd.DataFrame(lines), made[0])
    then = ["measure", *map(str, config["recordings"][:1])]
    if config["sampling_rate"] is not None:  # which measure does not take
        then = ["serve"]
    elif channel is not None:
        then.append(f"lead={{{channel}: {lines[0]['best']}}}")
    return Outcome("\n\n".join(texts), made, then)


if __name__ == "__main__":
    main()
