"""Removes noise from ECGs: recorded noise that is added to clean records, or the noise of a recording itself.

python -m reconstruction.denoise denoising.noise_type=em denoising.snr_db=6
python -m reconstruction.denoise denoising.noise_type=bw denoising.power=2.0 algo=fourier_em
python -m reconstruction.denoise data=file data.path=my_record denoising.noise_type=auto
"""

from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.launch import run_path, script
from reconstruction.samplers.registry import ALL_METHODS


@script("denoise", groups={"algo": ALL_METHODS})
def main(config: dict[str, Any]) -> Outcome:
    """Denoises records of a store with noise added, one WFDB record, or the bundled ECG."""
    from reconstruction.script_run import RestorationRun

    data, dataset, noise = config["data"], config["dataset"], dict(config["denoising"])
    run = RestorationRun(config, run_path(config))
    if data["kind"] != "store":
        return run.restore_recording(run.load_recording(), noise=noise["noise_type"], keep=data["leads"])

    from preprocessing.cohorts.nstdb import load_noise
    from preprocessing.store.store import Store
    from reconstruction.measurement.added_noise import AddNoise

    store = Store.open(dataset["store"])
    rows, rate = store.rows(dataset["split"], dataset["n_records"]), store.sampling_rate
    recordings = load_noise(noise.pop("noise_path"), noise.pop("half"), rate)
    if noise["prefilter"] is None:
        noise["prefilter"] = run.name != "fourier_em"  # as published
    task = AddNoise(recordings, prior_leads=run.sampler.leads, sampling_rate=rate, seed=config["seed"], **noise)
    made = [run.folder / name for name in ("records.parquet", "samples.npy", "mean.npy")]
    return Outcome(run.restore_records(store, rows, task), made, ["evaluate_denoising", f"runs=[{run.folder}]"])


if __name__ == "__main__":
    main()
