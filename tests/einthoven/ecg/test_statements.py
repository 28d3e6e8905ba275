"""The 71 statements and their order."""

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.statements import STATEMENTS, decode, encode


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
