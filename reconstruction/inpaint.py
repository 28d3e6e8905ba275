"""Reconstructs twelve leads from parts of them.

python -m reconstruction.inpaint algo.missingness_type=lead algo.missingness=1 algo.n_samples=10
python -m reconstruction.inpaint data=file data.path=my_record
python -m reconstruction.inpaint data=demo
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from reconstruction.samplers.registry import ALL_METHODS


@script("inpaint", groups={"algo": ALL_METHODS})
def main(config: dict[str, Any]) -> Outcome:
    """Reconstructs the records of a store, one recording, or the bundled ECG."""
    from reconstruction.measurement.missingness import HideSamples, Missingness, stretch_length
    from reconstruction.objective import mean_crps
    from reconstruction.recording_report import leads_to_keep
    from reconstruction.script_run import RestorationRun

    algo, data, dataset = config["algo"], config["data"], config["dataset"]
    run = RestorationRun(config, run_path(config))
    missingness = Missingness(algo["missingness_type"], algo["missingness"], algo["mask_path"])
    if data["kind"] == "store":
        from preprocessing.store.store import Store

        store = Store.open(dataset["store"])
        rows = store.rows(dataset["split"], dataset["n_records"])
        length = stretch_length(dataset["segment_length"], store.n_samples)
        missingness.check(store.table["ecg_id"].to_numpy()[rows].tolist(), length)
        task = HideSamples(missingness, run.sampler.leads, config["seed"])
        text = run.restore_records(store, rows, task, segment_length=length)
        made = [run.folder / name for name in ("records.parquet", "samples.npy", "mean.npy")]
        then = ["evaluate_reconstruction", f"run={run.folder}"]
        return Outcome(text, made, then, objective=mean_crps(run.folder))
    recording = run.load_recording()
    keep = data["leads"] or leads_to_keep(recording, missingness.n_leads)
    return run.restore_recording(recording, keep=keep)


if __name__ == "__main__":
    main()
