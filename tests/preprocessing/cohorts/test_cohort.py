"""A data set is one class: its store is prepared, taken as it is, and named by its settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.run.registry import Registry
from preprocessing.cohorts.cohort import DURATION_S, Cohort, prepare, prepare_run
from preprocessing.cohorts.registry import COHORTS
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.preparation import Inputs, Processed, RecordFile, read_file, wfdb_file
from preprocessing.store.store import Store
from tests.wfdb_files import write_wfdb


@dataclass(frozen=True)
class Mine(Cohort):
    """Records with numbers for names, halved or not."""

    standard: ClassVar[Mapping[str, Any]] = {"halved": False}
    halved: bool = False

    def inputs(self, raw_path):
        found = [wfdb_file(path.with_suffix(""), int(path.stem), 100) for path in sorted(Path(raw_path).glob("*.hea"))]
        table = pd.DataFrame({"ecg_id": [file.ecg_id for file in found], "source": "mine"})
        return Inputs(found, table, {"name": "mine", **asdict(self)}, {}, ("as recorded",))

    def reader(self, inputs):
        return self.read

    def read(self, file: RecordFile) -> Processed:
        return Processed(read_file(file, DURATION_S).ordered(LEADS) / (2 if self.halved else 1))


@pytest.fixture
def folder(tmp_path):
    for key, ecg in enumerate(simulate_ecg(3, 100, rhythm="sinus"), start=7):
        write_wfdb(tmp_path / "raw", str(key), ecg, 100)
    return tmp_path / "raw"


def test_a_class_is_all_that_a_data_set_needs(folder, tmp_path):
    summary = prepare(Mine(), folder, tmp_path / "store", n_workers=1)
    assert summary.store == tmp_path / "store" and summary.n_done == 3
    whole = Store.open(summary.store)
    assert whole.table["ecg_id"].tolist() == [7, 8, 9]
    assert prepare(Mine(), folder, tmp_path / "store", n_workers=1).up_to_date
    halved = prepare(Mine(halved=True), folder, tmp_path / "store", n_workers=1).store
    assert halved.name == "store-halved_true"
    np.testing.assert_allclose(Store.open(halved).read([0, 1, 2]), whole.read([0, 1, 2]) / 2, atol=1e-3)


def test_a_data_set_is_chosen_by_name():
    known = COHORTS | Registry("data set", {"mine": Mine})
    assert known.build({"name": "mine", "halved": True}) == Mine(halved=True)
    assert known.build({"name": "cinc2011", "sampling_rate": 250}).sampling_rate == 250
    with pytest.raises(ValueError, match="did you mean 'ptbxl'"):
        COHORTS.build({"name": "ptb-xl"})
    with pytest.raises(ValueError, match="do not fit"):
        COHORTS.build({"name": "cinc2011", "source_rate": 500})


def test_a_run_folder_says_which_data_were_made(folder, tmp_path):
    place = {"raw_path": str(folder), "database_path": str(tmp_path / "store")}
    config = {"seed": 0, "dataset": {**place, "n_workers": 1, "max_skipped": 0.0}}
    assert "3 records" in prepare_run(Mine(), config, tmp_path / "run").text
    assert (tmp_path / "run" / "provenance.json").is_file()


def test_a_record_of_another_length_or_rate_is_refused(folder):
    file = Mine().inputs(folder).files[0]
    with pytest.raises(ValueError, match="wrong length: 1000 samples, not 500"):
        read_file(file, 5.0)
    with pytest.raises(ValueError, match="wrong rate: 100 Hz, not 200 Hz"):
        read_file(RecordFile(7, file.path, 200.0, ""))
    with pytest.raises(ValueError, match="listed twice"):
        read_file(RecordFile(7, file.path, 100.0, "", "listed twice"))
