"""Long jobs, killed or finished, that are started again with other arguments, data or weights, or twice at once.

The scripts are called in this process; a second process is one that holds the folder's lock.
"""

import gc
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock

from diffusion_prior.checkpoint import build_denoiser, load_denoiser, save_denoiser
from diffusion_prior.generation import GenerationSettings, generate_ecgs
from einthoven.ecg.leads import LEADS
from einthoven.run.files import write_json
from einthoven.run.launch import plain
from einthoven.run.lock import LOCK
from noise_quant.data.noise_labels import LABEL_COLUMNS
from noise_quant.data.sources import Source, SourceItem, read_item
from noise_quant.model.checkpoint import build_model, load_model, save_model
from noise_quant.model.reverse_process import ReverseProcess
from noise_quant.scalogram.image import HEIGHT, WIDTH
from noise_quant.scalogram.store import PROBLEMS, ImageForm
from noise_quant.scoring.methods import DiffusionScoring
from noise_quant.scoring.score_table import score_source
from noise_quant.scoring.scorer import Scorer
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from preprocessing.store import builder
from preprocessing.store.builder import build_store
from preprocessing.store.files import SignalForm
from preprocessing.store.preparation import Inputs, Processed, wfdb_file
from preprocessing.store.store import Store
from reconstruction.batch import reconstruct_batch
from reconstruction.measurement.added_noise import AddNoise
from reconstruction.measurement.missingness import HideSamples, Missingness
from reconstruction.samplers.ddnm import DDNM
from tests.test_configs import compose
from tests.wfdb_files import write_wfdb

RATE = 100
CHANGES = ("arguments", "data", "weights")
BACKBONE = {"name": "unet1d", "channels": [8], "kernel_sizes": [3], "attention": [False], "n_blocks": 1}
NETWORKS = {"ae": {"width": 8, "latent_channels": 2, "n_blocks": 1}, "unet": {"in_channels": 2, "channels": [8, 16]}}


def write_data(place: Path, version: int) -> None:
    simulate_store(place / "store", 10, RATE, 2.56, seed=version)
    for key in (1, 2, 3):
        write_wfdb(place / "records", str(key), simulate_ecg(1, RATE, 12.0, seed=key + 10 * version)[0], RATE)
    recording = np.random.default_rng(version).standard_normal((2, 4000)).astype(np.float32)
    (place / "noise").mkdir(exist_ok=True)
    names = [f"{name}_{half}" for name in ("bw", "em", "ma") for half in ("fit", "test")]
    np.savez(place / "noise" / "noise.npz", **dict.fromkeys(names, recording))
    write_json(place / "noise" / "manifest.json", {"sampling_rate": RATE})


def write_weights(place: Path, version: int) -> None:
    torch.manual_seed(version)
    denoiser = build_denoiser({"backbone": BACKBONE})
    model = build_model({"kind": "latent", "scaling_factor": 1.0, **NETWORKS})
    for parameter in (*denoiser.parameters(), *model.parameters()):
        torch.nn.init.normal_(parameter, std=0.1)
    save_denoiser(place / "prior.safetensors", denoiser)
    save_model(place / "model.safetensors", model)


@pytest.fixture
def place(tmp_path):
    """A folder with the data and the weights that the jobs read."""
    write_data(tmp_path, 1)
    write_weights(tmp_path, 1)
    return tmp_path


def change(place: Path, what: str) -> None:
    if what == "data":
        write_data(place, 2)
    elif what == "weights":
        write_weights(place, 2)


class Kill:
    """Stops a job after its first chunk, as a kill does."""

    def __call__(self, _):
        raise KeyboardInterrupt


def inpaint(place, folder, changed=False, progress=None, batch_size=1):
    sampler = DDNM(load_denoiser(place / "prior.safetensors"), n_steps=2)
    task = HideSamples(Missingness("lead", 2 if changed else 1))
    rows, numbers = np.arange(3), {"n_samples": 2, "batch_size": batch_size}
    reconstruct_batch(Store.open(place / "store"), rows, sampler, folder, task, progress=progress, **numbers)
    return np.load(folder / "samples.npy")


def denoise(place, folder, changed=False, progress=None):
    sampler = DDNM(load_denoiser(place / "prior.safetensors"), n_steps=2)
    recordings = dict(np.load(place / "noise" / "noise.npz"))
    task = AddNoise({"em": recordings["em_fit"]}, "em", snr_db=6.0 if changed else 0.0)
    store = Store.open(place / "store")
    reconstruct_batch(store, np.arange(3), sampler, folder, task, n_samples=2, progress=progress)
    return np.load(folder / "samples.npy")


def score(place, folder, changed=False, progress=None):
    files = [wfdb_file(place / "records" / str(key), key, RATE) for key in (1, 2, 3)]
    items = [SourceItem({"ecg_id": file.ecg_id}, LEADS[:2], file) for file in files]
    labels = pd.DataFrame({"ecg_id": np.repeat([1, 2, 3], 2), "lead": [*LEADS[:2]] * 3, "trained": False})
    scorer = Scorer(load_model(place / "model.safetensors"), ReverseProcess(20 if changed else 10, 10))
    score_source(Source(items, labels, read_item), DiffusionScoring(scorer), folder, 1, progress)
    return pd.read_parquet(folder / "scores.parquet")["psnr"].to_numpy()


def generate(place, folder, changed=False, progress=None):
    denoiser = load_denoiser(place / "prior.safetensors")
    settings = GenerationSettings(n_steps=3 if changed else 2, length=64, batch_size=1)
    keys = Store.open(place / "store").read([0])[0, 0, :3]  # of the data
    if progress is not None:
        settings = GenerationSettings(n_steps=2, length=64, batch_size=1)
        generate_ecgs(denoiser, np.zeros((1, 71), np.float32), [int(1e4 * abs(keys[0]))], settings, folder)
        raise KeyboardInterrupt
    return generate_ecgs(
        denoiser, np.zeros((3, 71), np.float32), [int(1e4 * abs(key)) for key in keys], settings, folder
    )


class Reader:
    """Reads a record of the folder; stops after so many."""

    def __init__(self, image: bool, n_left: int = 100):
        self.image, self.n_left = image, n_left

    def __call__(self, file):
        if self.n_left == 0:
            raise KeyboardInterrupt
        self.n_left -= 1
        record = read_item(SourceItem({"ecg_id": file.ecg_id}, LEADS, file))
        if not self.image:
            return Processed(record.signal)
        image = np.zeros((len(LEADS), HEIGHT, WIDTH), np.uint8) + (1e3 * abs(record.signal[:, :1, None])).astype(
            np.uint8
        )
        return Processed(image, {PROBLEMS: [""] * len(LEADS)})


def prepare(place, folder, changed=False, progress=None, image=False):
    files = [wfdb_file(place / "records" / str(key), key, RATE) for key in (1, 2, 3)]
    table = pd.DataFrame({"ecg_id": [1, 2, 3], "split": "train"})
    inputs = Inputs(files, table, {"filtered": changed}, {}, ())
    reader = Reader(image, 1 if progress else 100)
    if image:
        labels = pd.DataFrame({"ecg_id": np.repeat([1, 2, 3], 12), "lead": [*LEADS] * 3})
        form = ImageForm(labels.assign(**dict.fromkeys(LABEL_COLUMNS, False)), {})
        build_store(folder, inputs, reader, form, n_workers=1)
        return np.load(folder / "images.npy")
    build_store(folder, inputs, reader, SignalForm(1200, RATE), n_workers=1)
    return np.load(folder / "signals.npy")


def compute_scalograms(place, folder, changed=False, progress=None):
    return prepare(place, folder, changed, progress, image=True)


REFUSING = {"inpaint": inpaint, "denoise": denoise, "score": score}
JOBS = {**REFUSING, "generate": generate, "prepare": prepare, "compute_scalograms": compute_scalograms}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(builder, "CHUNK_RECORDS", 1)


@pytest.mark.parametrize("what", ["nothing", *CHANGES])
@pytest.mark.parametrize("name", JOBS)
def test_what_goes_on_after_a_kill_is_what_a_fresh_run_makes(place, name, what):
    job = JOBS[name]
    with pytest.raises(KeyboardInterrupt):
        job(place, place / "run", progress=Kill())
    change(place, what)
    resumed = job(place, place / "run", what == "arguments")
    fresh = job(place, place / "fresh", what == "arguments")
    np.testing.assert_array_equal(resumed, fresh)
    assert np.ptp(np.asarray(fresh, np.float64)) > 0


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("name", REFUSING)
def test_finished_results_are_not_those_of_other_work(place, name, what):
    job = REFUSING[name]
    first = job(place, place / "run")
    np.testing.assert_array_equal(job(place, place / "run"), first)
    change(place, what)
    with pytest.raises(ValueError, match="run holds finished results of other work"):
        job(place, place / "run", what == "arguments")


def test_other_batches_lose_no_record(place):
    with pytest.raises(KeyboardInterrupt):
        inpaint(place, place / "run", progress=Kill(), batch_size=2)
    assert len(inpaint(place, place / "run", batch_size=1)) == 3
    with pytest.raises(ValueError, match=r"other work \(batch_size differ\)"):
        inpaint(place, place / "run", batch_size=2)


@pytest.mark.parametrize("name", JOBS)
def test_a_second_process_is_refused(place, name):
    folder = place / "run"
    held = {"prepare": "run.chunks", "compute_scalograms": "run.chunks"}.get(name, "run")
    (place / held).mkdir()
    with (
        FileLock(place / held / LOCK, is_singleton=False),
        pytest.raises(ValueError, match=f"at work in {folder}: wait"),
    ):
        JOBS[name](place, folder)
    JOBS[name](place, folder)


TRAIN = [
    "train.n_steps=2",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "train.validate_every=2",
    "train.save_every=1",
]
SCRIPTS = {
    "reconstruction.inpaint": (
        ["dataset.store={}/store", "dataset.split=train", "dataset.n_records=2", "checkpoint={}/prior.safetensors"]
        + ["algo=ddnm", "algo.sampler.n_steps=2", "algo.n_samples=2", "inpaint.results_path={}/run"],
        "algo.sampler.n_steps=3",
        "prior",
    ),
    "reconstruction.denoise": (
        ["dataset.store={}/store", "dataset.split=train", "dataset.n_records=2", "checkpoint={}/prior.safetensors"]
        + ["algo=ddnm", "algo.sampler.n_steps=2", "algo.n_samples=2", "denoise.results_path={}/run"]
        + ["denoising.noise_path={}/noise", "denoising.snr_db=6"],
        "denoising.snr_db=3",
        "prior",
    ),
    "diffusion_prior.generate": (
        ["dataset.database_path={}/store", "dataset.training_class=train", "checkpoint={}/prior.safetensors"]
        + ["generate.n_ecgs=2", "generate.n_steps=2", "generate.length=64", "generate.results_path={}/run"],
        "generate.n_steps=3",
        "prior",
    ),
    "diffusion_prior.train": (
        ["model=tiny", "dataset.database_path={}/store", "dataset.segment_length=128", "train.results_path={}/run"]
        + ["model.backbone.channels=[8]", "model.backbone.kernel_sizes=[3]", "model.backbone.attention=[false]"]
        + ["model.backbone.patch=4", "checkpoint={}/prior.safetensors", *TRAIN],
        "train.learning_rate=0.1",
        "start",
    ),
    "reconstruction.train_rival": (
        ["dataset.database_path={}/store", "dataset.segment_length=128", "train.results_path={}/run", *TRAIN]
        + ["rival.model.backbone.channels=[8]", "rival.model.backbone.kernel_sizes=[3]"]
        + ["rival.model.backbone.attention=[false]", "rival.model.backbone.n_blocks=1"],
        "train.learning_rate=0.1",
        None,
    ),
    "noise_quant.score_noise": (
        ["source=recording", "record={}/records/1", "checkpoint={}/model.safetensors", "timestep=10"]
        + ["score.results_path={}/run"],
        "timestep=20",
        "model",
    ),
}


@pytest.mark.parametrize("module", SCRIPTS)
def test_a_script_takes_up_its_own_run_only(module, place, monkeypatch):
    overrides, other, role = SCRIPTS[module]
    overrides = [override.format(place) for override in overrides]
    script = importlib.import_module(module)
    monkeypatch.setattr(script, "run_path", lambda config: place / "run")  # which Hydra would know

    def start(*more):
        return script.main.__wrapped__(plain(compose(module.rpartition(".")[2], [*overrides, *more])))

    start()
    start()
    with pytest.raises(ValueError, match=r"run holds a run with other settings \(.*" + other.partition("=")[0]):
        start(other)
    if role is not None:
        change(place, "weights")
        with pytest.raises(ValueError, match=rf"run holds a run with other files \({role}\)"):
            start()
        write_weights(place, 1)
    change(place, "data")
    with pytest.raises(ValueError, match="run holds a run with other data"):
        start()
    write_data(place, 1)
    gc.collect()  # a trainer holds its folder as long as it lives
    with FileLock(place / "run" / LOCK, is_singleton=False), pytest.raises(ValueError, match="at work in .*run: wait"):
        start()
