"""Removes noise from ECGs: recorded noise that is added to clean records, or the noise of a recording itself.

python -m reconstruction.denoise denoising.noise_type=em denoising.snr_db=6
python -m reconstruction.denoise denoising.noise_type=bw denoising.power=2.0 algo=fourier_em
python -m reconstruction.denoise data=wfdb data.path=my_record denoising.noise_type=auto
"""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from einthoven.ecg.recording import load_recording
from einthoven.run.chunks import ENGINES
from einthoven.run.launch import run_path, script
from einthoven.run.run_folder import RunFolder
from preprocessing.cohorts.nstdb import load_noise
from preprocessing.store.store import Store
from reconstruction.batch import reconstruct_batch
from reconstruction.chunk_work import own_sampler
from reconstruction.measurement.added_noise import AddNoise
from reconstruction.recording_report import reconstruct_recording
from reconstruction.samplers.registry import ALL_METHODS
from reconstruction.samplers.spec import SamplerSpec


@script("denoise", groups={"algo": ALL_METHODS})
def main(config: dict[str, Any]) -> str:
    """Denoises records of a store with noise added, one WFDB record, or the bundled ECG."""
    algo, data, dataset, seed, device = (config[key] for key in ("algo", "data", "dataset", "seed", "device"))
    if config["n_threads"]:
        torch.set_num_threads(config["n_threads"])
    folder = Path(config["denoise"]["results_path"] or run_path())
    engine, spec = ENGINES.build(config["engine"]), SamplerSpec.from_config(config)
    sampler = own_sampler(spec, device, engine, data["kind"])
    settings = {"n_samples": algo["n_samples"], "seed": seed, "sigma_y": algo["sigma_y"], "device": device}
    new_run = partial(RunFolder.create, folder, config, seed=seed, device=device, files=spec.identity()["weights"])
    noise = dict(config["denoising"])
    if data["kind"] != "store":
        recording = load_recording(data["path"], start=data["start"], duration=data["duration"])
        run = new_run()
        settings |= {"noise": noise["noise_type"], "keep": data["leads"]}
        return reconstruct_recording(recording, run.path, sampler, **settings)
    store = Store.open(dataset["store"])
    rows, rate = store.rows(dataset["split"], dataset["n_records"]), store.sampling_rate
    recordings = load_noise(noise.pop("noise_path"), noise.pop("half"), rate)
    if noise["prefilter"] is None:
        noise["prefilter"] = algo["name"] != "fourier_em"  # as published
    task = AddNoise(recordings, prior_leads=sampler.leads, sampling_rate=rate, seed=seed, **noise)
    run = new_run(data_manifest_hash=store.manifest_hash)
    settings |= {"batch_size": algo["batch_size"], "engine": engine}
    with tqdm(total=len(rows), unit="ECG") as bar:
        summary = reconstruct_batch(store, rows, spec, run.path, task, progress=bar.update, **settings)
    return f"{algo['name']}: {summary.describe()}\nwritten to {folder}"


if __name__ == "__main__":
    main()
