"""The three training scripts, end to end on a small store, and what they refuse."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from einthoven.ecg.leads import LEADS
from einthoven.run.run_folder import RunFolder
from noise_quant.data.noise_labels import NOISE_TYPES
from noise_quant.model.checkpoint import load_autoencoder, load_model, load_scalogram_model, save_model
from noise_quant.scalogram.store import write_scalogram_store
from noise_quant.training.training import (
    image_data,
    measure_scaling_factor,
    starting_model,
    train_scalogram_model,
    trainer_settings,
)
from preprocessing.cohorts.cohort import prepare
from preprocessing.cohorts.ptbxl import Ptbxl
from tests.scripts import run_script

SMALL = [
    "scalogram_model.ae.width=8", "scalogram_model.ae.n_blocks=1", "scalogram_model.latent_unet.channels=[8]",
    "scalogram_model.pixel_unet.channels=[8]", "train.n_steps=2", "train.batch_size=4", "train.validate_every=2",
    "dataset.max_validation=4",
]  # fmt: skip
CONFIG = {
    "scalogram_model": {
        "size": "small",
        "clip_sample": False,
        "max_timestep": 1000,
        "scaling_factor": None,
        "ae": {"width": 8, "n_blocks": 1},
        "latent_unet": {"channels": [8]},
        "pixel_unet": {"channels": [8], "patch": 4},
    },
    "discretization": True,
    "checkpoint": None,
    "autoencoder": None,
    "dataset": {"selection": None, "max_validation": 8, "scalogram": {}, "artefacts": None},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten records, one of each fold, all leads clean."""
    images = np.random.default_rng(0).integers(0, 256, (10, 12, 32, 256), dtype=np.uint8)
    table = pd.DataFrame({"ecg_id": range(1, 11), "strat_fold": range(1, 11), "split": ["train"] * 8 + ["val", "test"]})
    keys = [(key, lead) for key in table["ecg_id"] for lead in LEADS]
    labels = pd.DataFrame(keys, columns=["ecg_id", "lead"]).assign(**dict.fromkeys(NOISE_TYPES, False))
    labels = labels.assign(clean=True, unread=False)
    return write_scalogram_store(tmp_path_factory.mktemp("scalograms") / "store", images, table, labels)


def run(name, *overrides, check=True):
    return run_script(f"noise_quant.{name}", *SMALL, *overrides, check=check)


def with_stores(*stores, **changes):
    return {**CONFIG, "dataset": {**CONFIG["dataset"], "stores": [str(store.path) for store in stores]}, **changes}


@pytest.mark.slow
def test_scripts_train_an_autoencoder_and_both_diffusions(store, tmp_path):
    stores = f"dataset.stores=[{store.path}]"
    done = run("train_autoencoder", stores, f"train.results_path={tmp_path}/ae")
    assert f"made: {tmp_path}/ae/weights.safetensors" in done.stdout
    latent = [stores, f"autoencoder={tmp_path}/ae"]
    run("train_latent_diffusion", *latent, f"train.results_path={tmp_path}/latent")
    pd.DataFrame({"ecg_id": [1, 2], "lead": ["I", "V6"]}).to_csv(tmp_path / "selection.csv", index=False)
    selection = [f"dataset.selection={tmp_path}/selection.csv", f"train.results_path={tmp_path}/pixel"]
    run("train_pixel_diffusion", stores, *selection)
    for name in ("ae", "latent", "pixel"):
        model = load_scalogram_model(tmp_path / name)
        assert model.facts["steps"] == 2 and model.scalogram == store.scalogram
        assert model.facts["data_manifest_hashes"] == [store.manifest_hash]
        assert (tmp_path / name / "loss.png").stat().st_size > 1000
        provenance = json.loads((tmp_path / name / "provenance.json").read_text())
        assert provenance["data_manifest_hash"] == store.manifest_hash
    assert load_model(tmp_path / "pixel").facts["n_training_leads"] == 2
    model, autoencoder = load_model(tmp_path / "latent"), load_autoencoder(tmp_path / "ae")
    for ours, theirs in zip(model.ae.parameters(), autoencoder.ae.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    config = RunFolder.open(tmp_path / "latent").config
    config |= {"autoencoder": None, "checkpoint": str(tmp_path / "latent"), "dry_run": False}
    config["train"]["results_path"] = None
    assert "t/30" in train_scalogram_model("latent", config, tmp_path / "again")
    assert load_model(tmp_path / "again").scaling_factor == model.scaling_factor


def test_dry_run_needs_no_data(tmp_path):
    done = train_scalogram_model("pixel", {**CONFIG, "dry_run": True}, tmp_path / "run")
    assert "parameters" in done and "ScalogramDiffusion" in done and not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_latent_model_without_an_autoencoder_is_done_in_one_line():
    refused = run("train_latent_diffusion", check=False)
    assert refused.returncode == 2 and "give autoencoder=" in refused.stderr and "Traceback" not in refused.stderr


def test_latents_of_the_training_images_get_unit_variance(store, tmp_path):
    save_model(tmp_path / "ae.safetensors", starting_model("autoencoder", CONFIG))
    data = image_data(with_stores(store))
    config = with_stores(store, autoencoder=str(tmp_path / "ae.safetensors"))
    model = starting_model("latent", config, data.scalogram)
    measure_scaling_factor(model, data)
    latents = model.encode(data.batch(64, torch.Generator().manual_seed(1))["x"])
    assert float(latents.detach().std()) == pytest.approx(1, rel=0.05)
    assert model.spec["scaling_factor"] == model.scaling_factor != 0.18215
    fixed = {**config, "scalogram_model": {**CONFIG["scalogram_model"], "scaling_factor": 2.0}}
    assert starting_model("latent", fixed, data.scalogram).scaling_factor == 2.0


def test_what_does_not_belong_together_is_refused(store, tmp_path):
    scalogram = store.scalogram.__class__(k_sd=3.0)
    for kind in ("autoencoder", "pixel"):
        save_model(tmp_path / f"{kind}.safetensors", starting_model(kind, CONFIG, scalogram))
        with pytest.raises(ValueError, match="other scalograms"):
            starting_model(kind, {**CONFIG, "checkpoint": str(tmp_path / f"{kind}.safetensors")}, store.scalogram)
    with pytest.raises(ValueError, match="other scalograms"):
        starting_model("latent", {**CONFIG, "autoencoder": str(tmp_path / "autoencoder.safetensors")}, store.scalogram)
    with pytest.raises(ValueError, match="pixel model"):
        starting_model("latent", {**CONFIG, "checkpoint": str(tmp_path / "pixel.safetensors")})
    published = {**CONFIG["scalogram_model"], "size": "published"}
    config = {**CONFIG, "scalogram_model": published, "autoencoder": str(tmp_path / "autoencoder.safetensors")}
    with pytest.raises(ValueError, match="scalogram_model=small"):
        starting_model("latent", config)
    with pytest.raises(ValueError, match="unfiltered ECGs"):
        dataset = with_stores(store)["dataset"]
        image_data({**CONFIG, "dataset": {**dataset, "artefacts": {}}})


def test_epochs_take_the_place_of_steps():
    train = {"n_steps": 7, "n_epochs": None, "batch_size": 32, "results_path": None}
    assert trainer_settings({"train": train, "seed": 3}, 1000).n_steps == 7
    settings = trainer_settings({"train": {**train, "n_epochs": 2}, "seed": 3}, 1000)
    assert settings.n_steps == 63 and settings.seed == 3


def test_images_of_ecgs_are_made_as_they_are_drawn_with_artefacts(noisy_ptbxl, tmp_path):
    prepare(Ptbxl(filtered=False), noisy_ptbxl, tmp_path / "ecgs", n_workers=1)
    folder = next(tmp_path.glob("ecgs*/manifest.json")).parent
    config = with_stores()
    config["dataset"] = {**config["dataset"], "stores": [str(folder)], "artefacts": {"clean_share": 0.0}}
    data = image_data(config)
    batch = data.batch(3, torch.Generator().manual_seed(0))
    assert batch["x"].shape == batch["noisy"].shape == (3, 1, 32, 256)
    assert not torch.equal(batch["x"], batch["noisy"])
