"""One of each is added, as CONTRIBUTING.md says: a file of its own, and one line of a table."""

import importlib
import sys
import textwrap

import hydra
import numpy as np
import pandas as pd
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser
from einthoven.ecg.formats import registry
from einthoven.ecg.formats.registry import FORMATS, Format
from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.run import launch
from evaluation.inpainting.scores import METRICS
from evaluation.scores import Estimate, Metric, record_values
from preprocessing.cohorts.cohort import prepare
from preprocessing.cohorts.nstdb import NOISE_TYPES
from preprocessing.cohorts.registry import COHORTS
from preprocessing.store.store import Store
from reconstruction.measurement import noise_start
from reconstruction.measurement.added_noise import AddNoise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.noise_model import WhiteNoise
from reconstruction.measurement.operators import LeadSelection
from reconstruction.samplers.registry import ALL_METHODS
from reconstruction.samplers.spec import SamplerSpec

FILES = {
    "shrink.py": """
        import torch

        from reconstruction.samplers.base import Calls, Draws, PosteriorSampler


        class Shrink(PosteriorSampler):
            def __init__(self, denoiser, factor=0.5, name_of_it="shrink"):
                super().__init__(denoiser)
                self.factor = factor

            def __call__(self, likelihood, n_samples, generator):
                mean = self.factor * likelihood.operator.pinv(likelihood.y)
                return Draws(mean.expand(n_samples, *mean.shape), mean, Calls())
    """,
    "tables.py": """
        import numpy as np

        from einthoven.ecg.recording import Recording


        def matches(head, path):
            return head.startswith(b"my table")


        def read_table(path, options):
            rows = np.loadtxt(path, delimiter=",", skiprows=1)
            return Recording(rows.T, 250.0, ("I", "II"), str(path))
    """,
    "ramps.py": """
        from dataclasses import dataclass

        import numpy as np
        import pandas as pd

        from preprocessing.cohorts.cohort import Cohort
        from preprocessing.store.preparation import Inputs, Processed, RecordFile


        @dataclass(frozen=True)
        class Ramps(Cohort):
            slope: float = 0.1

            def inputs(self, raw_path):
                files = [RecordFile(key, f"{raw_path}/{key}", self.sampling_rate, "") for key in (1, 2)]
                table = pd.DataFrame({"ecg_id": [1, 2], "split": "train"})
                return Inputs(files, table, {"name": "ramps", "slope": self.slope}, {}, ())

            def reader(self, inputs):
                n_samples = round(10 * self.sampling_rate)
                return lambda file: Processed(np.full((12, n_samples), file.ecg_id * self.slope))
    """,
    "largest.py": """
        import numpy as np


        def largest_error(estimate):
            return np.where(estimate.scored, np.abs(estimate.mean - estimate.truth), 0.0).max(axis=-1)
    """,
    "greet.py": """
        from einthoven.run.launch import script


        @script("greet")
        def main(config):
            return f"hello {config['whom']}"


        if __name__ == "__main__":
            main()
    """,
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of someone who adds things."""
    (tmp_path / "additions").mkdir()
    for name, text in FILES.items():
        (tmp_path / "additions" / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "additions"]:
        del sys.modules[name]


def test_a_posterior_sampler(package, monkeypatch):
    monkeypatch.setitem(ALL_METHODS.places, "shrink", "additions.shrink.Shrink")
    launch.store_options({"algo": ALL_METHODS}, ["algo=shrink"])
    with hydra.initialize_config_dir(str(launch.CONFIGS), version_base="1.3"):
        config = launch.plain(hydra.compose("inpaint", ["algo=shrink", "algo.sampler.factor=0.25"]))
    assert config["algo"]["sampler"] == {"factor": 0.25, "name_of_it": "shrink"}
    assert config["algo"]["missingness_type"] == "lead" and config["algo"]["n_samples"] == 10
    backbone = {"name": "unet1d", "channels": [8], "kernel_sizes": [3], "attention": [False], "n_blocks": 1}
    sampler = SamplerSpec.from_config(config).on(build_denoiser({"backbone": backbone}))
    likelihood = GaussianLikelihood(LeadSelection(["I"]), torch.ones(1, 1, 64), WhiteNoise(torch.tensor(0.1)))
    draws = sampler(likelihood, 2, torch.Generator())
    assert draws.samples.shape == (2, 1, 8, 64) and draws.mean[0, 0, 0] == 0.25


def test_a_file_format(package, monkeypatch):
    mine = Format("my table", "additions.tables.matches", "additions.tables.read_table")
    monkeypatch.setattr(registry, "FORMATS", [mine, *FORMATS])
    ecg = np.stack([np.sin(np.arange(2500) / 20), np.cos(np.arange(2500) / 20)])
    np.savetxt(package / "mine.csv", ecg.T, delimiter=",", header="my table", comments="")
    recording = read(package / "mine.csv", start=1.0, duration=2.0)
    assert recording.leads == ("I", "II") and recording.sampling_rate == 250
    np.testing.assert_allclose(recording.signal, ecg[:, 250:750], atol=1e-6)


def test_a_type_of_noise(tmp_path, monkeypatch):
    monkeypatch.setitem(NOISE_TYPES, "hum", "hum of the mains")
    recorded = {"hum": np.sin(np.arange(3000) * 1.1) * np.ones((2, 1))}
    clean = 0.1 * np.random.default_rng(0).standard_normal((1, 12, 1000)).astype(np.float32)
    with pytest.raises(ValueError, match="no spectrum of hum is packaged: make it with python -m reconstruction.fit"):
        AddNoise(recorded, "hum", snr_db=0.0)([1], clean)
    spectra = dict(np.load(noise_start.SPECTRA)) | noise_start.fit_spectra(recorded, clean, 100.0)
    np.savez(tmp_path / "spectra.npz", **spectra)
    monkeypatch.setattr(noise_start, "SPECTRA", tmp_path / "spectra.npz")
    noise_start._load_spectra.cache_clear()
    try:
        measurement, extras = AddNoise(recorded, "hum", snr_db=0.0)([1], clean)
    finally:
        noise_start._load_spectra.cache_clear()
    assert extras["noisy"].shape == (1, 12, 1000) and measurement is not None


def test_a_data_set(package, monkeypatch):
    monkeypatch.setitem(COHORTS.places, "ramps", "additions.ramps.Ramps")
    cohort = COHORTS.build({"name": "ramps", "slope": 0.2})  # python -m preprocessing.prepare dataset.name=ramps
    store = Store.open(prepare(cohort, package, package / "store", n_workers=1).store)
    assert store.read([1])[0, 3, 7] == pytest.approx(0.4)


def test_a_metric(package):
    largest = Metric("largest", "largest error (mV)", 3, importlib.import_module("additions.largest").largest_error)
    truth = np.zeros((2, 12, 50))
    mean = truth + np.arange(12)[:, None]
    values = record_values(Estimate(mean, truth, np.ones(truth.shape, bool), 100.0), (*METRICS[:1], largest), LEADS)
    np.testing.assert_array_equal(values["largest"][:, :12], np.tile(np.arange(12.0), (2, 1)))


def test_a_script(package, monkeypatch, capsys):
    (package / "configs").mkdir()
    (package / "configs" / "greet.yaml").write_text("whom: world\nhydra: {output_subdir: null}\n")
    monkeypatch.setattr(launch, "CONFIGS", package / "configs")
    monkeypatch.setattr(sys, "argv", ["greet", "whom=Einthoven", f"hydra.run.dir={package}/run"])
    importlib.import_module("additions.greet").main()
    assert capsys.readouterr().out == "hello Einthoven\n"


def test_tables_name_what_is_there():
    for table in (ALL_METHODS, COHORTS):
        for name in table:
            assert callable(table[name])
    assert pd.Series(list(ALL_METHODS)).is_unique
