import numpy as np

from reconstruction.repairs.estimate import overlapping_windows
from reconstruction.repairs.finding.finder import windows
from reconstruction.repairs.pieces import piece_edges, runs, spread_pieces


def test_pieces_last_about_a_second():
    assert piece_edges(1000, 100.0).tolist() == list(range(0, 1001, 100))
    assert np.diff(piece_edges(1049, 100.0)).tolist().count(105) == 9
    assert piece_edges(30, 100.0).tolist() == [0, 30]


def test_runs():
    assert runs([True, True, False, True]) == [(0, 2), (3, 4)]
    assert runs([False, False]) == []


def test_each_sample_has_the_value_of_its_piece():
    assert spread_pieces(np.array([[True, False]]), np.array([0, 2, 5])).tolist() == [[True, True] + [False] * 3]


def test_windows_cover_a_recording():
    for length in (200, 1000, 1001, 3333):
        parts = windows(length, 100.0)
        assert parts[0][0] == 0
        assert parts[-1][1] == length
        assert all(last == first for (_, last), (first, _) in zip(parts[:-1], parts[1:], strict=True))
        assert max(last - first for first, last in parts) <= 1010
        overlapping = overlapping_windows(length, 100.0)
        assert overlapping[0][0] == 0
        assert overlapping[-1][1] == length
        assert all(first <= last - 200 for (_, last), (first, _) in zip(overlapping[:-1], overlapping[1:], strict=True))
