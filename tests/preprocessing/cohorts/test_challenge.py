"""WFDB folders of the PhysioNet/CinC Challenges."""

import numpy as np
import pytest

from einthoven.ecg.filters import clean_signal
from einthoven.ecg.statements import check_statements
from einthoven.run.launch import plain
from preprocessing import prepare as prepare_script
from preprocessing.cohorts import cohort
from preprocessing.cohorts.challenge import (
    KEY_STEP,
    SCALES,
    STATEMENTS_OF_CODE,
    Challenge,
    read_header,
    statements_of,
)
from preprocessing.cohorts.simulator import simulate_ecg
from preprocessing.store.store import Store
from tests.test_configs import compose


def write(write_record, folder, name, ecg, rate, comments=()):
    path = write_record(folder, name, ecg, rate)
    with path.with_name(f"{name}.hea").open("a") as header:
        header.writelines(f"# {comment}\n" for comment in comments)
    return path


@pytest.fixture
def folder(tmp_path, write_record):
    """Records of 25, 10, 7 and 10 s; the last one has a flat lead."""
    root, ecgs = tmp_path / "cpsc2018", simulate_ecg(4, 500).astype(np.float64)
    long = np.concatenate([ecgs[0], ecgs[1], ecgs[2][:, :2500]], axis=1)
    flat = ecgs[3].copy()
    flat[6] = 0.3
    write(write_record, root, "A0007", long, 500, ["Age: 74", "Sex: Male", "Dx: AF,59118001,164865005"])
    write(write_record, root / "g2", "A0011", ecgs[1], 500, ["Age: NaN", "Sex: Female", "Dx: Normal"])
    write(write_record, root, "A0003", ecgs[2][:, :3500], 500)
    write(write_record, root, "A0020", flat, 500, ["Sex: Unknown"])
    return root


def prepare(folder, path, **settings):
    return cohort.prepare(Challenge(**settings), folder, path, n_workers=1, max_skipped=1.0)


def test_records_are_cut_into_pieces_with_age_sex_and_statements(folder, tmp_path):
    summary = prepare(folder, tmp_path / "store")
    store = Store.open(summary.store)
    table = store.table
    assert table["ecg_id"].tolist() == [7 * KEY_STEP, 7 * KEY_STEP + 1, 11 * KEY_STEP]
    assert table["record"].tolist() == ["A0007", "A0007", "A0011"] and table["piece"].tolist() == [0, 1, 0]
    assert table["age"].tolist()[:2] == [74, 74] and np.isnan(table["age"][2])
    assert table["sex"].tolist() == [0, 0, 1]
    assert table["statements"].tolist() == [["CRBBB", "AFIB"], ["CRBBB", "AFIB"], ["SR"]]
    assert set(table["split"]) == {"train"} and set(table["source"]) == {"cpsc2018"}
    assert dict(zip(summary.skipped["ecg_id"], summary.skipped["reason"], strict=True)) == {20_000: "flat lead V1"}
    assert summary.notes == {"records": 4, "records shorter than a piece": 1}
    assert prepare(folder, tmp_path / "store").up_to_date


def test_the_script_takes_the_archive_as_a_setting(folder, tmp_path, monkeypatch):
    settings = ["dataset.name=challenge", f"dataset.raw_path={folder}", "dataset.settings={archive: ptbdb}"]
    settings += ["dataset.max_skipped=1", "dataset.n_workers=1", f"paths.stores={tmp_path}/stores"]
    monkeypatch.setattr(prepare_script, "run_path", lambda config: tmp_path / "run")
    prepare_script.main.__wrapped__(plain(compose("prepare", settings)))
    assert set(Store.open(tmp_path / "stores" / "challenge-name_ptbdb").table["source"]) == {"ptbdb"}


def test_a_piece_is_a_part_of_the_record_filtered_whole(folder, tmp_path, write_record):
    ecg = np.concatenate([*simulate_ecg(2, 400).astype(np.float64)], axis=1)
    root = tmp_path / "code15"
    write_record(root, "41", ecg, 400)
    store = Store.open(prepare(root, tmp_path / "store", archive="code15", duration=7.3).store)
    assert store.n_samples == 730 and len(store) == 2
    whole = SCALES["code15"] * clean_signal(np.rint(ecg * 1000) / 1000, 400, 100)
    np.testing.assert_allclose(store.read([0, 1]), [whole[:, :730], whole[:, 730:1460]], atol=6e-4)


def test_the_scale_can_be_set(folder, tmp_path):
    plain = Store.open(prepare(folder, tmp_path / "store").store)
    scaled = Store.open(prepare(folder, tmp_path / "scaled", scale=0.5).store)
    np.testing.assert_allclose(scaled.read([0]), plain.read([0]) / 2, atol=1e-3)
    with pytest.raises(ValueError, match="a scale above 0"):
        Challenge(scale=0.0)


def test_validation_is_drawn_by_record(tmp_path, write_record):
    root, ecg = tmp_path / "set", np.concatenate([*simulate_ecg(2, 100).astype(np.float64)], axis=1)
    for number in range(30):
        write_record(root, f"Q{number:04d}", ecg, 100)
    table = Store.open(prepare(root, tmp_path / "store", archive="cpsc-extra", validation_share=0.5).store).table
    assert (table.groupby("record")["split"].nunique() == 1).all() and len(table) == 60
    assert 8 < (table.groupby("record")["split"].first() == "val").sum() < 22
    for path in list(root.glob("Q000*")):
        path.unlink()
    fewer = Store.open(prepare(root, tmp_path / "fewer", archive="cpsc-extra", validation_share=0.5).store).table
    assert fewer["split"].tolist() == table[table["record"].isin(fewer["record"])]["split"].tolist()


def test_codes_mean_known_statements_and_unsure_ones_none():
    check_statements(set(STATEMENTS_OF_CODE.values()))
    assert statements_of(["17338001", " PVC", "427172004", "426783006"]) == ("PVC", "SR")
    assert statements_of(["164865005", "426627000", "428750005", ""]) == ()


def test_a_broken_header_is_a_skipped_record(folder, tmp_path):
    (folder / "A0030.hea").write_text("A0030 12\n")
    assert "states no rate" in read_header(folder / "A0030.hea").problem
    reasons = prepare(folder, tmp_path / "store").skipped.set_index("ecg_id")["reason"]
    assert "states no rate" in reasons[30_000]


def test_set_up_is_checked(folder, tmp_path, write_record):
    with pytest.raises(ValueError, match=r"dataset\.raw_path"):
        prepare(tmp_path / "nothing", tmp_path / "store")
    with pytest.raises(ValueError, match="lower the duration"):
        prepare(folder, tmp_path / "store", duration=60.0)
    with pytest.raises(ValueError, match="validation_share"):
        Challenge(validation_share=1.5)
    write_record(folder, "B0007", simulate_ecg(1, 500)[0], 500)
    with pytest.raises(ValueError, match="two of one number"):
        prepare(folder, tmp_path / "store")
    write_record(folder, "nameless", simulate_ecg(1, 500)[0], 500)
    with pytest.raises(ValueError, match="end in a number"):
        prepare(folder, tmp_path / "store")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "duration", "n_pieces"),
    [("cpsc2018", 10, 219), ("cpsc-extra", 10, 60), ("ptbdb", 10, 102), ("code15", 7.3, 469)],
)
def test_the_real_folders(ecg_data, tmp_path, name, duration, n_pieces):
    summary = prepare(ecg_data / "more" / name, tmp_path / "store", archive=name, duration=duration)
    store = Store.open(summary.store)
    assert len(store) == n_pieces and store.table["age"].notna().all() and store.table["sex"].isin([0, 1]).all()
    assert store.labels().any() == (name != "code15")
    assert 0.1 < np.median(store.read(range(n_pieces), ["V3"]).std(axis=-1)) < 0.4


def test_archives_side_by_side_make_one_test_set(tmp_path, write_record):
    ecgs = simulate_ecg(3, 500).astype(np.float64)
    for name, ecg in zip(("georgia/E00001", "chapman/JS00001", "chapman/JS00002"), ecgs, strict=True):
        path = tmp_path / "external" / name
        write(write_record, path.parent, path.name, ecg, 500)
    table = Store.open(prepare(tmp_path / "external", tmp_path / "store", archive="external", is_test=True).store).table
    assert table["record"].tolist() == ["JS00001", "JS00002", "E00001"]
    assert table["ecg_id"].is_unique and set(table["split"]) == {"test"}
    with pytest.raises(ValueError, match="is_test"):
        Challenge(is_test=True, validation_share=0.5)
