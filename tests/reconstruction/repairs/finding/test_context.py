import numpy as np

from reconstruction.repairs.finding.context import CONTEXT, piece_context


def test_the_context_of_a_piece_are_the_pieces_and_leads_beside_it():
    log_odds = np.arange(12.0).reshape(3, 4)
    rows = piece_context(log_odds, np.zeros((3, 4, 2)), ["I", "II", "V1"])
    assert rows.shape == (3, 4, len(CONTEXT) + 2)
    one = dict(zip(CONTEXT, rows[0, 1], strict=False))
    assert one["own"], one["before"] == (1.0, 0.0)
    assert (one["after"], one["two_after"], one["group"], one["worst"], one["usual"]) == (2.0, 3.0, 3.0, 3.0, 1.5)
    assert np.isnan(one["two_before"])
    assert np.isfinite(piece_context(log_odds[:, :1], np.zeros((3, 1, 2)), ["I", "II", "V1"])[..., 0]).all()
