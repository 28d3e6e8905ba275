"""Training leads on the fly."""

import numpy as np
import pandas as pd
import pytest
import torch

from einthoven.ecg.leads import LEADS
from noise_quant.data.artefacts import Artefacts
from noise_quant.data.training_data import LeadData, clean_leads
from noise_quant.scalogram.image import ScalogramSettings, scalogram_image
from preprocessing.cohorts.cinc2011 import cinc2011_half
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.store import write_store

N_RECORDS = 8


def make_store(path, name="ptbxl", filtered=False, keys=None):
    ecgs = simulate_ecg(N_RECORDS, 100)
    ecgs[2, 4] = 0.0
    table = pd.DataFrame(
        {
            "ecg_id": keys or range(1, N_RECORDS + 1),
            "split": "train" if name == "cinc2011" else ["train"] * 5 + ["val"] * 2 + ["test"],
            "static_noise": "" if name == "cinc2011" else [" , I-III,  ", *[""] * (N_RECORDS - 1)],
        }
    )
    settings = {"name": name, "filtered": filtered}
    return write_store(path, ecgs, table, 100, LEADS, {"inputs": {"settings": settings}})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("leads") / "ptbxl")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_noisy_and_flat_leads_are_not_trained_on(store):
    leads = clean_leads(store)
    pairs = set(zip(leads["ecg_id"], leads["lead"], strict=True))
    assert len(pairs) == N_RECORDS * 12 - 4
    assert pairs.isdisjoint({(1, "I"), (1, "II"), (1, "III"), (3, "aVL")})
    data = LeadData([store], ScalogramSettings())
    assert len(data) == 5 * 12 - 4
    assert len(data.validation()["x"]) == 2 * 12


def test_images_are_those_of_the_leads(store):
    data = LeadData([store], ScalogramSettings(), max_validation=3)
    image = data.validation()["x"]
    row, lead = data.validated[["row", "index"]].iloc[0]
    assert torch.equal(image[0, 0], scalogram_image(store.read([row])[0, lead], 100))
    batch = data.batch(6, generator())
    assert set(batch) == {"x"} and batch["x"].shape == (6, 1, 32, 256)
    assert torch.equal(batch["x"], data.batch(6, generator())["x"])
    assert not torch.equal(batch["x"], data.batch(6, generator(1))["x"])


def test_artefacts_come_on_top_of_the_clean_image(store):
    data = LeadData([store], ScalogramSettings(), artefacts=Artefacts(clean_share=0.0, noise_share=1.0))
    batch = data.batch(8, generator())
    assert set(batch) == {"x", "noisy"}
    assert (batch["noisy"] != batch["x"]).flatten(1).any(1).all()
    assert batch["noisy"].mean() > batch["x"].mean()


def test_a_selection_limits_training_only(store, tmp_path):
    path = tmp_path / "selection.csv"
    pd.DataFrame({"ecg_id": [2, 2, 6, 1], "lead": ["I", "V3", "I", "I"]}).to_csv(path, index=False)
    with pytest.warns(UserWarning, match="2 of the 4 leads"):
        data = LeadData([store], ScalogramSettings(), selection=path)
    assert len(data) == 2
    assert len(data.validation()["x"]) == 24


def test_half_of_cinc2011_is_trained_on(store, tmp_path):
    keys = list(range(1000, 1000 + N_RECORDS))
    half = [key for key in keys if cinc2011_half(key) == "fit"]
    assert 0 < len(half) < N_RECORDS
    other = make_store(tmp_path / "cinc2011", "cinc2011", keys=keys)
    assert set(clean_leads(other)["ecg_id"]) == set(half)
    data = LeadData([store, other], ScalogramSettings())
    expected = (5 * 12 - 4) + len(half) * 12 - (keys[2] in half)
    assert len(data) == expected
    assert np.isin([0, 1], data.training["store"]).all()


def test_filtered_stores_and_mixed_forms_are_refused(store, tmp_path):
    with pytest.raises(ValueError, match="dataset.filtered=false"):
        LeadData([make_store(tmp_path / "filtered", filtered=True)], ScalogramSettings())
    path = tmp_path / "selection.csv"
    pd.DataFrame({"ecg_id": [99], "lead": ["I"]}).to_csv(path, index=False)
    with pytest.raises(ValueError, match="none of the 1 leads"):
        LeadData([store], ScalogramSettings(), selection=path)
