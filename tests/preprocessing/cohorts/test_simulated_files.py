import pytest

from noise_quant.data.sources import ptbxl_labels
from preprocessing.cohorts.cinc2011 import read_labels
from preprocessing.cohorts.nstdb import NOISE_TYPES, read_nstdb
from preprocessing.cohorts.ptbxl import Ptbxl
from preprocessing.cohorts.simulated_files import write_synthetic_files


def test_folders_are_read_as_the_data_sets_are(tmp_path):
    folder = write_synthetic_files(tmp_path, 15)
    cohort = Ptbxl(100, "auto", True)
    inputs = cohort.inputs(folder / "ptb-xl")
    assert len(inputs.files) == 15 and {"train", "val", "test"} == set(inputs.table["split"])
    assert cohort.read(inputs.files[0]).values.shape == (12, 1000)
    _, labels = ptbxl_labels(folder / "ptb-xl")
    assert labels[["static", "baseline", "burst", "clean"]].any().all()
    records = read_labels(folder / "cinc2011")
    assert records.groupby("half")["acceptable"].nunique().eq(2).all()  # both kinds in both halves
    for noise_type in NOISE_TYPES:
        assert read_nstdb(folder / "nstdb", noise_type, 100, "fit").shape[0] == 2


def test_folders_that_are_there_stay_as_they_are(tmp_path):
    write_synthetic_files(tmp_path, 15)
    before = (tmp_path / "ptb-xl" / "ptbxl_database.csv").stat().st_mtime_ns
    write_synthetic_files(tmp_path, 15)
    assert (tmp_path / "ptb-xl" / "ptbxl_database.csv").stat().st_mtime_ns == before


def test_too_few_records_for_three_splits_are_told(tmp_path):
    with pytest.raises(ValueError, match="at least 15"):
        write_synthetic_files(tmp_path, 5)
