import numpy as np
import pytest

from preprocessing.leads import LEADS
from reconstruction.missingness import Missingness

INNER = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]


def test_lead_counts_observed_leads():
    observed = Missingness("lead", 2).observed([1, 2], 100, 0)
    assert observed.shape == (2, 12, 100)
    assert observed[:, :2].all()
    assert not observed[:, 2:].any()


def test_rm_hides_points_of_each_lead():
    observed = Missingness("rm", 30).observed([1, 2], 100, 0)
    assert (~observed[:, INNER]).sum(-1).tolist() == [[30] * 8] * 2
    assert not np.array_equal(observed[:, 0], observed[:, 1])


def test_blocks_lie_on_their_grid():
    separate, same = (Missingness(kind, 25).observed(range(20), 100, 0)[:, INNER] for kind in ("mnr", "bm"))
    for observed in (separate, same):
        starts = (~observed).argmax(-1)
        assert ((~observed).sum(-1) == 25).all()
        assert set(np.unique(starts)) == {0, 25, 50, 75}
    assert (same == same[:, :1]).all()
    assert not (separate == separate[:, :1]).all()


def test_a_derived_lead_is_hidden_with_its_sources():
    observed = Missingness("rm", 50).observed([1], 100, 0)[0]
    for lead in ("III", "aVR", "aVL", "aVF"):
        assert np.array_equal(observed[LEADS.index(lead)], observed[0] & observed[1])


def test_a_record_keeps_its_pattern_in_any_company():
    pattern = Missingness("rm", 10)
    assert np.array_equal(pattern.observed([5, 7], 50, 0)[1], pattern.observed([7], 50, 0)[0])
    assert not np.array_equal(pattern.observed([7], 50, 0), pattern.observed([7], 50, 1))


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [("leads", 1, "did you mean 'lead'"), ("lead", 12, "1 to 11"), ("bm", 0, "1 or more")],
)
def test_mistakes_are_told(kind, amount, message):
    with pytest.raises(ValueError, match=message):
        Missingness(kind, amount)


def test_hiding_everything_is_refused():
    with pytest.raises(ValueError, match="hide fewer"):
        Missingness("bm", 100).observed([1], 100, 0)
