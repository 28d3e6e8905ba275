"""The 71 statements and their order."""

import ast

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.statements import MEANINGS, STATEMENTS, check_compatible, decode, encode, list_statements


def test_order_is_fixed():
    assert len(STATEMENTS) == len(set(STATEMENTS)) == 71
    assert [STATEMENTS.index(code) for code in ("NDT", "NORM", "AFIB", "TRIGU")] == [0, 4, 60, 70]


@pytest.mark.data
def test_order_is_that_of_the_data_set(ecg_data):
    codes = pd.read_csv(ecg_data / "ptb-xl" / "scp_statements.csv", index_col=0).index
    assert tuple(codes) == STATEMENTS


def test_encoding_and_decoding_are_inverse():
    label = encode(["SR", "NORM"])
    assert label.shape == (71,)
    assert label.dtype == np.float32
    assert label.sum() == 2
    assert decode(label) == ("NORM", "SR")
    assert encode([]).sum() == 0


def test_unknown_statement_names_near_ones():
    with pytest.raises(ValueError, match="AFIB"):
        encode(["AFIBB"])
    with pytest.raises(ValueError, match="71"):
        decode(np.zeros(70))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (["AFIB", "SR"], r"SR \(sinus rhythm\) and AFIB \(atrial fibrillation\) exclude each other: an ECG has one"),
        (["STACH", "SBRAD"], "exclude each other"),
        (["SR", "SARRH"], "exclude each other"),
        (["AFIB", "AFLT"], "exclude each other"),
        (["NORM", "IMI"], r"NORM \(normal ECG\) and IMI \(inferior myocardial infarction\) exclude each other"),
        (["AFIBB"], "near names: AFIB"),
    ],
)
def test_contradictions_are_refused_with_the_reason(codes, message):
    with pytest.raises(ValueError, match=message):
        check_compatible(codes)


@pytest.mark.parametrize(
    "codes", [[], ["SR", "NORM"], ["NORM", "IRBBB", "PVC"], ["SR", "BIGU"], ["SBRAD", "SARRH"], ["AFIB", "PACE", "LVH"]]
)
def test_what_goes_together_is_taken(codes):
    assert check_compatible(codes) == tuple(codes)


@pytest.mark.data
def test_no_training_record_is_a_contradiction(ecg_data):
    table = pd.read_csv(ecg_data / "ptb-xl" / "ptbxl_database.csv")
    for text in table["scp_codes"][table["strat_fold"] <= 8]:
        check_compatible(ast.literal_eval(text))


def test_list_gives_each_statement_its_meaning():
    lines = list_statements().splitlines()
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == sorted(STATEMENTS)
    assert "  AFIB     atrial fibrillation" in lines and len(MEANINGS) == 71
    assert max(map(len, lines)) <= 100
