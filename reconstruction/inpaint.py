"""Reconstructs twelve leads from parts of them.

python -m reconstruction.inpaint algo.missingness_type=lead algo.missingness=1 algo.n_samples=10
python -m reconstruction.inpaint data=wfdb data.path=my_record
python -m reconstruction.inpaint data=demo
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from einthoven.ecg.recording import load_recording
from einthoven.run.chunks import ENGINES
from einthoven.run.launch import Outcome, run_path, script
from einthoven.run.run_folder import RunFolder
from preprocessing.store.store import Store
from reconstruction.batch import reconstruct_batch
from reconstruction.chunk_work import own_sampler
from reconstruction.measurement.missingness import Missingness, stretch_length
from reconstruction.measurement.task import HideSamples
from reconstruction.objective import mean_crps
from reconstruction.recording_report import leads_to_keep, reconstruct_recording
from reconstruction.samplers.registry import ALL_METHODS
from reconstruction.samplers.spec import SamplerSpec


@script("inpaint", groups={"algo": ALL_METHODS})
def main(config: dict[str, Any]) -> str | Outcome:
    """Reconstructs the records of a store, one WFDB record, or the bundled ECG."""
    algo, data, dataset, seed, device = (config[key] for key in ("algo", "data", "dataset", "seed", "device"))
    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    folder = Path(config["inpaint"]["results_path"] or run_path())
    engine, spec = ENGINES.build(config["engine"]), SamplerSpec.from_config(config)
    sampler = own_sampler(spec, device, engine, data["kind"])
    missingness = Missingness(algo["missingness_type"], algo["missingness"], algo["mask_path"])
    settings = {"n_samples": algo["n_samples"], "seed": seed, "sigma_y": algo["sigma_y"], "device": device}
    new_run = partial(RunFolder.create, folder, config, seed=seed, device=device, files=spec.identity()["weights"])
    if data["kind"] == "store":
        store = Store.open(dataset["store"])
        rows = store.rows(dataset["split"], dataset["n_records"])
        length = stretch_length(dataset["segment_length"], store.n_samples)
        missingness.check(store.table["ecg_id"].to_numpy()[rows].tolist(), length)
        run = new_run(data_manifest_hash=store.manifest_hash)
        task = HideSamples(missingness, sampler.leads, seed)
        settings |= {"batch_size": algo["batch_size"], "segment_length": length, "engine": engine}
        with tqdm(total=len(rows), unit="ECG") as bar:
            summary = reconstruct_batch(store, rows, spec, run.path, task, progress=bar.update, **settings)
        return Outcome(f"{algo['name']}: {summary.describe()}\nwritten to {folder}", objective=mean_crps(folder))
    recording = load_recording(data["path"], start=data["start"], duration=data["duration"])
    keep = data["leads"] or leads_to_keep(recording, missingness.n_leads)
    run = new_run()
    return reconstruct_recording(recording, run.path, sampler, keep=keep, **settings)


if __name__ == "__main__":
    main()
