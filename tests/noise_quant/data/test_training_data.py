"""Which leads are trained on, and that a batch depends on its generator alone."""

import numpy as np
import pandas as pd
import pytest
import torch

from einthoven.ecg.leads import LEADS
from noise_quant.data.noise_labels import TYPE_COLUMNS, lead_labels
from noise_quant.data.training_data import ScalogramData, read_selection
from noise_quant.scalogram.image import ScalogramSettings
from noise_quant.scalogram.store import write_scalogram_store
from preprocessing.cohorts.splits import split_of

FOLDS = (1, 8, 9, 10, 9)


def make_store(path, first_key=1, folds=FOLDS, scalogram=None):
    """A store whose images have one level each, that of `level`; V6 of its first record is flat, V5 is noisy."""
    keys = np.arange(len(folds)) + first_key
    table = pd.DataFrame({"ecg_id": keys, "split": [split_of(fold) for fold in folds], "strat_fold": folds})
    texts = table.assign(**dict.fromkeys(TYPE_COLUMNS.values(), ""))
    texts.loc[0, "static_noise"] = "V5"
    images = np.zeros((len(folds), 12, 32, 256), dtype=np.uint8)
    images += np.array([[level(key, lead) for lead in range(12)] for key in keys], dtype=np.uint8)[..., None, None]
    problems = [[*[""] * 11, "flat" if row == 0 else ""] for row in range(len(folds))]
    return write_scalogram_store(path, images, table, lead_labels(texts), scalogram, problems)


def level(key, lead):
    return (key % 10) * 20 + lead


def levels_of(batch):
    """The one level of each image, and that it is one."""
    levels = (batch["x"] + 1) * 127.5
    assert (levels.amax((1, 2, 3)) - levels.amin((1, 2, 3))).abs().max() < 1e-3
    return levels[:, 0, 0, 0].round().int().tolist()


@pytest.fixture
def stores(tmp_path):
    return [make_store(tmp_path / "a"), make_store(tmp_path / "b", first_key=6, folds=(3,))]


def batch(data, n=400, seed=0):
    return data.batch(n, torch.Generator().manual_seed(seed))


def test_trains_on_clean_usable_leads_of_the_training_folds_only(stores):
    data = ScalogramData(stores)
    expected = {level(1, lead) for lead in range(10)} | {level(2, lead) for lead in range(12)}
    expected |= {level(6, lead) for lead in range(10)}
    assert len(data) == len(expected)
    drawn = batch(data)
    assert drawn["x"].shape == (400, 1, 32, 256)
    assert drawn["x"].dtype == torch.float32
    assert set(levels_of(drawn)) == expected


def test_validates_on_fold_9_always_the_same(stores):
    data = ScalogramData(stores, max_validation=5)
    assert set(data.validated["ecg_id"]) <= {3, 5}
    assert torch.equal(data.validation()["x"], ScalogramData(stores, max_validation=5).validation()["x"])
    everything = {level(key, lead) for key in (3, 5) for lead in range(12)}
    assert set(levels_of(ScalogramData(stores).validation())) == everything
    assert len(data.validation()["x"]) == 5


def test_a_batch_depends_on_the_generator_alone(stores):
    data = ScalogramData(stores)
    assert torch.equal(batch(data)["x"], batch(ScalogramData(stores))["x"])
    assert not torch.equal(batch(data)["x"], batch(data, seed=1)["x"])


def test_without_discretization_levels_are_spread_over_their_width(stores):
    exact, spread = (batch(ScalogramData(stores, discretization=value))["x"] for value in (True, False))
    difference = spread - exact
    assert difference.abs().max() <= 1 / 255 + 1e-6
    assert difference.std() > 0.4 / 255
    assert (spread.abs() <= 1).all()
    assert levels_of(ScalogramData(stores, discretization=False).validation())


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_selection_restricts_the_training_leads(stores, tmp_path, kind):
    table = pd.DataFrame({"ecg_id": [2, 6, 2], "lead": ["aVF", "I", "aVF"], "static_psnr": 1.0})
    path = tmp_path / f"selection.{kind}"
    table.to_parquet(path) if kind == "parquet" else table.to_csv(path, index=False)
    data = ScalogramData(stores, path)
    assert set(levels_of(batch(data))) == {level(2, LEADS.index("aVF")), level(6, 0)}
    assert len(data) == 2
    assert len(data.validated) == 24


def test_a_selection_never_adds_leads(stores, tmp_path):
    path = tmp_path / "selection.csv"
    pd.DataFrame({"ecg_id": [1, 1, 3, 4, 2], "lead": ["V5", "V6", "I", "I", "II"]}).to_csv(path, index=False)
    with pytest.warns(UserWarning, match="4 of the 5 leads"):
        data = ScalogramData(stores, path)
    assert set(levels_of(batch(data))) == {level(2, 1)}


def test_broken_selections_are_errors(stores, tmp_path):
    path = tmp_path / "selection.csv"
    for table, message in (
        ({"ecg_id": [1]}, "lacks column"),
        ({"ecg_id": [1], "lead": ["V9"]}, "unknown leads"),
        ({"ecg_id": [], "lead": []}, "selects no lead"),
    ):
        pd.DataFrame(table).to_csv(path, index=False)
        with pytest.raises(ValueError, match=message):
            read_selection(path)
    pd.DataFrame({"ecg_id": [999], "lead": ["I"]}).to_csv(path, index=False)
    with pytest.raises(ValueError, match="none of the 1 leads"):
        ScalogramData(stores, path)
    with pytest.raises(ValueError, match="no list of leads"):
        read_selection(tmp_path / "absent.parquet")


def test_stores_that_cannot_be_trained_on_are_errors(stores, tmp_path):
    with pytest.raises(ValueError, match=r"dataset\.stores"):
        ScalogramData([])
    with pytest.raises(ValueError, match="different scalogram settings"):
        ScalogramData([stores[0], make_store(tmp_path / "c", scalogram=ScalogramSettings(published=True))])
    with pytest.raises(ValueError, match="0 to"):
        ScalogramData([stores[1]])
