"""Makes the packaged spectra that blind denoising starts from, and the covariance by which short gaps are filled.

python -m reconstruction.fit_spectra noise_path=... dataset.store=...
"""

from pathlib import Path
from typing import Any

from einthoven.command.ending import Outcome
from einthoven.run.files import atomic_write
from einthoven.run.launch import script


@script("fit_spectra")
def main(config: dict[str, Any]) -> Outcome:
    """Fits them to the first halves of the noise and the training records of a store, and writes them."""
    import numpy as np

    from einthoven.ecg.leads import INDEPENDENT_LEADS
    from preprocessing.cohorts.nstdb import load_noise
    from preprocessing.store.store import Store
    from reconstruction.measurement.linear_estimate import fit_covariance
    from reconstruction.measurement.noise_start import fit_spectra

    dataset, path, covariance_path = config["dataset"], Path(config["spectra_path"]), Path(config["covariance_path"])
    store = Store.open(dataset["store"])
    clean = store.read(store.rows("train", dataset["n_records"]), INDEPENDENT_LEADS)
    noise = load_noise(config["noise_path"], "fit", store.sampling_rate)
    with atomic_write(path) as partial:
        np.savez_compressed(partial, **fit_spectra(noise, clean, store.sampling_rate))  # type: ignore[arg-type]
    with atomic_write(covariance_path) as partial:
        np.savez_compressed(partial, covariance=fit_covariance(clean))
    return Outcome(
        f"spectra of bw, em, ma and {len(clean)} clean ECGs, and these ECGs' covariance", [path, covariance_path]
    )


if __name__ == "__main__":
    main()
