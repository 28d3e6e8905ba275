"""PTB-XL's noise texts: hand-checked examples, what must not be guessed, and the real rows."""

import logging

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from noise_quant.data.noise_labels import (
    LABEL_COLUMNS,
    NOISE_TYPES,
    TYPE_COLUMNS,
    lead_labels,
    parse_noise,
    unread_texts,
)

LIMB = ["I", "II", "III", "aVR", "aVL", "aVF"]
PRECORDIAL = ["V1", "V2", "V3", "V4", "V5", "V6"]

EXAMPLES = {
    ", I-AVR,  ": ["I", "II", "III", "aVR"],
    ", I-AVF,  ": LIMB,
    ", II-V2": ["II", "III", "aVR", "aVL", "aVF", "V1", "V2"],
    ", II-AVL,AVF": ["II", "III", "aVR", "aVL", "aVF"],
    ", II,III,AVF-V6": ["II", "III", "aVF", *PRECORDIAL],
    ", I,III-AVR,  ": ["I", "III", "aVR"],
    "I,II,AVR,AVL.AVF,V1,": ["I", "II", "aVR", "aVL", "aVF", "V1"],
    ", alles,  ": list(LEADS),
    "alle, alle": list(LEADS),
    ", leicht,  ": list(LEADS),
    "sehr stark": list(LEADS),
    ", noisy recording,": list(LEADS),
    "V5 leicht": ["V5"],
    "v2,  ": ["V2"],
    ", V1,2": ["V1", "V2"],
    ", V3,5,6": ["V3", "V5", "V6"],
    "v5-6,  ": ["V5", "V6"],
    "v1-v3": ["V1", "V2", "V3"],
    ", V1V6": ["V1", "V6"],
    "V5;V6": ["V5", "V6"],
    "V123": ["V1", "V2", "V3"],
    "V 4": ["V4"],
    ", 1": ["V1"],
    "4-6": ["V4", "V5", "V6"],
    "I-AVF, 5, 6": [*LIMB, "V5", "V6"],
    "V1???": ["V1"],
    "V6-V4": ["V4", "V5", "V6"],
    "V1 \u2013 V3": ["V1", "V2", "V3"],
    "V1 bis V3 und aVF": ["aVF", "V1", "V2", "V3"],
    "I--AVR": ["I", "II", "III", "aVR"],
    "iii": ["III"],
    ", ,": [],
    "": [],
}
UNREADABLE = [
    "schwer zu sagen",
    "V7",
    "V0",
    "V16",
    "V",
    "V-",
    "I-",
    "-V3",
    "nicht V1",
    "12",
    "IV",
    "II,2",
    "aV",
    "V1*",
    "x",
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_reads_what_the_annotators_meant(text):
    label = parse_noise(text)
    assert label.unread == ()
    assert [LEADS[index] for index in label.leads] == sorted(EXAMPLES[text], key=LEADS.index)


@pytest.mark.parametrize("text", UNREADABLE)
def test_reports_what_it_cannot_read(text):
    assert parse_noise(text).unread


@pytest.mark.parametrize("text", [None, np.nan, float("nan"), "   "])
def test_nothing_written_is_nothing_noisy(text):
    assert parse_noise(text) == parse_noise("")
    assert parse_noise(text).leads == ()


def test_a_severity_beside_something_unreadable_is_no_label_for_all_leads():
    assert parse_noise("leicht in V9").leads == ()


def test_every_list_of_leads_is_read_back():
    rng = np.random.default_rng(0)
    for _ in range(50):
        chosen = np.flatnonzero(rng.random(12) < 0.4)
        text = ", ".join(LEADS[index].upper() for index in chosen)
        assert parse_noise(text).leads == tuple(chosen)


def table_of(**texts):
    n = len(next(iter(texts.values())))
    columns = {column: [np.nan] * n for column in TYPE_COLUMNS.values()}
    return pd.DataFrame({"ecg_id": range(10, 10 + n), **columns, **texts})


def test_long_form_has_a_row_per_lead_in_order():
    labels = lead_labels(table_of(static_noise=[", I-AVR,  ", ""], baseline_drift=["V6", np.nan]))
    assert list(labels["lead"]) == list(LEADS) * 2
    assert list(labels["ecg_id"]) == [10] * 12 + [11] * 12
    assert list(labels.loc[labels["static"], "lead"]) == ["I", "II", "III", "aVR"]
    assert list(labels.loc[labels["baseline"], "lead"]) == ["V6"]
    assert (labels["clean"] == ~labels[list(NOISE_TYPES)].any(axis=1)).all()
    assert labels["clean"].sum() == 24 - 5
    assert all(labels[column].dtype == bool for column in LABEL_COLUMNS)


def test_a_record_with_an_unreadable_text_is_neither_clean_nor_noisy(caplog):
    table = table_of(static_noise=["V1", "V1"], burst_noise=["hm", ""])
    with caplog.at_level(logging.WARNING):
        labels = lead_labels(table)
    assert "10: 'hm'" in caplog.text
    record = labels[labels["ecg_id"] == 10]
    assert record["unread"].all()
    assert not record[[*NOISE_TYPES, "clean"]].to_numpy().any()
    assert not labels.loc[labels["ecg_id"] == 11, "unread"].any()
    assert unread_texts(table).to_dict("records") == [{"ecg_id": 10, "column": "burst_noise", "text": "hm"}]


def test_no_records_give_no_rows():
    assert lead_labels(table_of(static_noise=[])).empty


def test_missing_columns_are_named():
    with pytest.raises(ValueError, match="burst_noise"):
        lead_labels(table_of(static_noise=[""]).drop(columns="burst_noise"))


@pytest.mark.data
def test_of_the_real_texts_99_percent_are_read(ecg_data):
    path = ecg_data / "ptb-xl" / "ptbxl_database.csv"
    if not path.is_file():
        pytest.skip("needs PTB-XL's table")
    table = pd.read_csv(path)
    rows = table[table["label_source"] == "original"] if "label_source" in table else table
    texts = pd.concat([rows[column] for column in TYPE_COLUMNS.values()]).dropna()
    labels = [parse_noise(text) for text in texts]
    assert len(texts) > 100
    assert np.mean([not label.unread for label in labels]) >= 0.99
    assert all(label.leads for label in labels if not label.unread)
