"""CinC 2011's lists and the halves of its records."""

import pytest

from preprocessing.cohorts.cinc2011_labels import cinc2011_half, read_labels


def write_lists(folder, acceptable="12\n3\n", unacceptable="7\n"):
    (folder / "RECORDS-acceptable").write_text(acceptable)
    (folder / "RECORDS-unacceptable").write_text(unacceptable)


def test_reads_both_lists(tmp_path):
    write_lists(tmp_path)
    labels = read_labels(tmp_path)
    assert list(labels["ecg_id"]) == [3, 7, 12]
    assert list(labels["acceptable"]) == [True, False, True]
    assert labels["acceptable"].dtype == bool
    assert list(labels["half"]) == [cinc2011_half(key) for key in (3, 7, 12)]


def test_halves_are_about_equal_and_depend_on_the_record_alone():
    halves = [cinc2011_half(key) for key in range(1_000_000, 1_004_000)]
    assert abs(halves.count("fit") - 2000) < 4 * (4000 * 0.25) ** 0.5
    # Which records are held out must never change: models were trained on the others.
    assert [cinc2011_half(key) for key in (1002603, 1002867, 1004502, 1005639)] == ["fit", "test", "fit", "fit"]


@pytest.mark.parametrize(
    "acceptable, unacceptable, message",
    [("3\n3\n", "7\n", "twice|already"), ("3\n", "3\n", "already"), ("a\n", "7\n", "numbers")],
)
def test_broken_lists_are_errors(tmp_path, acceptable, unacceptable, message):
    write_lists(tmp_path, acceptable, unacceptable)
    with pytest.raises(ValueError, match=message):
        read_labels(tmp_path)


def test_a_missing_list_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="lacks RECORDS-acceptable"):
        read_labels(tmp_path)
