"""What is scored: which leads of which records, with which labels."""

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.formats.wfdb import read_wfdb
from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.writing import write
from noise_quant.data.sources import cinc2011_source, ptbxl_source, recording_source
from preprocessing.cohorts.cinc2011 import cinc2011_half


def leads_of(source):
    return {item.columns["ecg_id"]: item.leads for item in source.items}


def test_published_choice_is_clean_leads_of_fold_10_and_noisy_leads_of_all(noisy_ptbxl):
    source = ptbxl_source(noisy_ptbxl)
    assert leads_of(source) == {1: LEADS[:7], 2: ("V6",), 9: ("V1", "V2"), 10: LEADS, 12: LEADS}
    assert source.n_leads == 7 + 1 + 2 + 12 + 12
    assert source.keys == ["ecg_id"]


def test_other_choices(noisy_ptbxl):
    everything = ptbxl_source(noisy_ptbxl, include_all_folds=True)
    assert leads_of(everything) == dict.fromkeys(range(1, 13), LEADS)
    assert leads_of(ptbxl_source(noisy_ptbxl, split="val")) == {9: LEADS, 11: LEADS}
    few = ptbxl_source(noisy_ptbxl, include_all_folds=True, n_records=4)
    assert len(few.items) == 4
    assert few.items == ptbxl_source(noisy_ptbxl, include_all_folds=True, n_records=4).items
    for mistake in ({"split": "fit"}, {"split": "val", "include_all_folds": True}, {"n_records": 0}):
        with pytest.raises(ValueError, match=r"choose one|split=null|at least 1"):
            ptbxl_source(noisy_ptbxl, **mistake)


def test_only_clean_leads_of_the_training_folds_count_as_trained(noisy_ptbxl):
    labels = ptbxl_source(noisy_ptbxl).labels.set_index(["ecg_id", "lead"])
    assert len(labels) == 12 * 12
    trained = labels["trained"].groupby("ecg_id").sum()
    assert trained.to_dict() == {1: 5, 2: 11, 3: 0, **dict.fromkeys(range(4, 9), 12), **dict.fromkeys(range(9, 13), 0)}
    assert labels.loc[(9, "V1"), "baseline"]
    assert not labels.loc[(9, "V1"), "clean"]
    assert labels.loc[3, "unread"].all()


def test_signals_are_as_recorded_at_the_best_rate(noisy_ptbxl):
    source = ptbxl_source(noisy_ptbxl, include_all_folds=True)
    records = {item.columns["ecg_id"]: source.read(item) for item in source.items}
    rates = {key: record.sampling_rate for key, record in records.items()}
    assert rates == {key: 500.0 if key in (1, 2, 9, 10, 11, 12) else 100.0 for key in range(1, 13)}
    whole = read_wfdb(noisy_ptbxl / "records500/00000/00009_hr").ordered(LEADS)
    np.testing.assert_array_equal(records[9].signal, whole)
    [item] = [item for item in ptbxl_source(noisy_ptbxl).items if item.columns["ecg_id"] == 9]
    np.testing.assert_array_equal(source.read(item).signal, whole[6:8])


def test_cinc2011_has_its_labels(cinc2011_folder):
    source = cinc2011_source(cinc2011_folder)
    assert leads_of(source) == dict.fromkeys(range(1001, 1009), LEADS)
    labels = source.labels.drop_duplicates("ecg_id").set_index("ecg_id")
    assert labels.index[~labels["acceptable"]].tolist() == [1003, 1006]
    for key, row in labels.iterrows():
        assert row["half"] == cinc2011_half(key)
        assert row["trained"] == (row["acceptable"] and row["half"] == "fit")
    assert source.read(source.items[0]).signal.shape == (12, 5000)


def test_a_recording_of_the_user(noisy_ptbxl, tmp_path):
    source = recording_source(noisy_ptbxl / "records100/00000/00004_lr.hea")
    [item] = source.items
    assert item.columns == {"ecg_id": "00004_lr"}
    assert source.read(item).signal.shape == (12, 1000)
    write(read(None), tmp_path / "mine.csv")
    source = recording_source(tmp_path / "mine.csv")
    assert source.read(source.items[0]).signal.shape == (12, 5000)
    with pytest.raises(ValueError, match="record="):
        recording_source(None)
    with pytest.raises(ValueError, match="no header"):
        recording_source(noisy_ptbxl / "none")


@pytest.mark.data
def test_real_sources(ecg_data):
    published = ptbxl_source(ecg_data / "ptb-xl")
    pairs = [(item.columns["ecg_id"], lead) for item in published.items for lead in item.leads]
    chosen = published.labels.merge(pd.DataFrame(pairs, columns=["ecg_id", "lead"]))
    assert len(chosen) == published.n_leads
    assert not chosen["trained"].any()
    assert len(cinc2011_source(ecg_data / "cinc2011").items) == 687
