"""Names and algebra of the leads."""

from itertools import combinations

import numpy as np
import pytest
import torch

from einthoven.ecg.leads import (
    INDEPENDENT_LEADS,
    LEADS,
    LIMB_COEFFICIENTS,
    NINE_LEADS,
    canonical_leads,
    consistent_matrix,
    independent_part,
    lead_matrix,
    to_twelve,
)


def test_names_are_understood_in_any_case_and_order():
    assert canonical_leads(["avr", "V6", "lead ii", " i "]) == ("aVR", "V6", "II", "I")


@pytest.mark.parametrize(("names", "message"), [(["V7"], "V"), (["aVX"], "aV"), (["I", "i"], "twice")])
def test_unknown_and_repeated_names_are_told(names, message):
    with pytest.raises(ValueError, match=message):
        canonical_leads(names)


def test_matrix_gives_the_textbook_equations():
    i, ii = np.random.default_rng(0).standard_normal((2, 50))
    derived = lead_matrix(["III", "aVR", "aVL", "aVF"], ["I", "II"]) @ np.stack([i, ii])
    np.testing.assert_array_equal(derived, [ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2])


@pytest.mark.parametrize("pair", list(combinations(LIMB_COEFFICIENTS, 2)))
def test_any_two_limb_leads_give_all(pair):
    twelve = to_twelve(np.random.default_rng(1).standard_normal((8, 30)))
    limb = list(LIMB_COEFFICIENTS)
    sources = twelve[[LEADS.index(lead) for lead in pair]]
    np.testing.assert_allclose(lead_matrix(limb, pair) @ sources, twelve[:6], atol=1e-14)


def test_a_lead_that_is_given_is_copied():
    matrix = lead_matrix(LEADS, LEADS)
    np.testing.assert_array_equal(matrix, np.eye(12))


@pytest.mark.parametrize(("to", "frm"), [("II", ["I"]), ("V2", ["V1", "V3", "I", "II"]), ("aVF", ["V1", "I"])])
def test_what_cannot_be_derived_is_an_error(to, frm):
    with pytest.raises(ValueError, match="cannot be derived"):
        lead_matrix([to], frm)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_twelve_leads_agree_with_the_matrix_for_numpy_and_torch(dtype):
    x = np.random.default_rng(2).standard_normal((3, 8, 40)).astype(dtype)
    twelve = to_twelve(x)
    assert twelve.dtype == dtype
    assert twelve.shape == (3, 12, 40)
    np.testing.assert_allclose(twelve, lead_matrix(LEADS) @ x, rtol=1e-5, atol=1e-6)
    tensor = to_twelve(torch.from_numpy(x))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), twelve)


def test_missing_samples_stay_in_their_leads():
    x = np.zeros((8, 5))
    x[1, 2] = np.nan
    missing = np.isnan(to_twelve(x))
    assert missing[1:6, 2].all()
    assert missing.sum() == 5


def test_another_number_of_leads_is_an_error():
    with pytest.raises(ValueError, match=", ".join(INDEPENDENT_LEADS)):
        to_twelve(np.zeros((9, 10)))


@pytest.mark.parametrize("leads", [NINE_LEADS, LEADS, ("V1", "III", "aVF", "I")])
def test_consistent_matrix_is_the_best_fit_of_leads_that_contradict_each_other(leads):
    projection = consistent_matrix(leads, leads)
    independent = lead_matrix(leads, independent_part(leads))
    np.testing.assert_allclose(projection, independent @ np.linalg.pinv(independent), atol=1e-15)
    np.testing.assert_allclose(projection @ independent, independent, atol=1e-15)
    limb = [lead for lead in leads if lead in LIMB_COEFFICIENTS]
    np.testing.assert_allclose(
        consistent_matrix(limb, leads), consistent_matrix(limb, ["I", "II"]) @ consistent_matrix(["I", "II"], leads)
    )
    # Other leads are copied exactly.
    np.testing.assert_array_equal(consistent_matrix(["V1"], leads), lead_matrix(["V1"], leads))


@pytest.mark.parametrize("leads", [INDEPENDENT_LEADS, ("III", "aVR", "V2"), ("V3",), ("aVL",)])
def test_leads_that_cannot_contradict_each_other_are_derived_as_ever(leads):
    assert independent_part(leads) == leads
    np.testing.assert_array_equal(consistent_matrix(leads, leads), np.eye(len(leads)))
    if len(leads) > 1:
        np.testing.assert_array_equal(consistent_matrix(LEADS[:6], leads), lead_matrix(LEADS[:6], leads))
    with pytest.raises(ValueError, match="cannot be derived"):
        consistent_matrix(["V4", "II"], leads[:1])


def test_independent_part_of_redundant_leads():
    assert independent_part(NINE_LEADS) == independent_part(LEADS) == INDEPENDENT_LEADS
    assert independent_part(["v2", "aVR", "iii", "aVL"]) == ("I", "II", "V2")
