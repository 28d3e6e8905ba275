"""Arrays in files: NPY, NPZ, MAT and Parquet."""

import io
import zipfile

import numpy as np
import pandas as pd
import scipy.io

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import DEMO_ECG, read
from preprocessing.cohorts.simulator import simulate_ecg
from tests.damaged_files import check_refused, check_truncated

ECG = np.round(simulate_ecg(1, 250, 4.0)[0].astype(np.float64), 4)


def test_npy_in_either_orientation(tmp_path):
    for array in (ECG, ECG.T, ECG.T.astype(np.float32)):
        np.save(tmp_path / "rec.npy", array)
        recording = read(tmp_path / "rec.npy", sampling_rate=250)
        assert recording.leads == LEADS
        np.testing.assert_allclose(recording.signal, ECG, atol=1e-6)
    np.save(tmp_path / "one.npy", ECG[1])
    one = read(tmp_path / "one.npy", sampling_rate=250, leads="II")
    assert one.leads == ("II",) and one.signal.shape == (1, 1000)
    check_refused(tmp_path / "one.npy", "sampling_rate")
    check_refused(tmp_path / "one.npy", "leads=", sampling_rate=250)
    assert read(tmp_path / "one.npy", sampling_rate=250, leads={"row 1": "V3"}).leads == ("V3",)


def test_npz_and_the_bundled_one(tmp_path):
    np.savez_compressed(tmp_path / "rec.npz", ecg=ECG[[1, 6]], leads=["II", "V1"], fs=250, other=np.zeros(9))
    recording = read(tmp_path / "rec.npz")
    assert recording.leads == ("II", "V1") and recording.sampling_rate == 250
    np.testing.assert_array_equal(recording.signal, ECG[[1, 6]])
    np.testing.assert_array_equal(read(DEMO_ECG).signal, read().signal)


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "rec.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    check_refused(tmp_path / "rec.npy", sampling_rate=250)
    np.savez(tmp_path / "rec.npz", ecg=np.array([{"a": 1}], dtype=object))
    check_refused(tmp_path / "rec.npz", sampling_rate=250)


def test_mat(tmp_path):
    scipy.io.savemat(tmp_path / "val.mat", {"val": ECG * 1000})
    recording = read(tmp_path / "val.mat", sampling_rate=250, unit="uV")
    np.testing.assert_allclose(recording.signal, ECG, atol=1e-9)
    struct = {"ECG": {"sex": "Female", "age": 61, "data": ECG[:2].T}, "fs": 250.0}
    scipy.io.savemat(tmp_path / "struct.mat", struct, do_compression=True)
    recording = read(tmp_path / "struct.mat", leads=("I", "II"))
    assert (recording.patient.age, recording.patient.sex) == (61, "female")
    np.testing.assert_allclose(recording.signal, ECG[:2], atol=1e-9)
    (tmp_path / "new.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    check_refused(tmp_path / "new.mat", "-v7")


def test_parquet(tmp_path):
    table = pd.DataFrame({"time": np.arange(1000) / 250, "I": ECG[0], "V1 (uV)": ECG[6] * 1000, "who": "nobody"})
    table.to_parquet(tmp_path / "rec.parquet")
    recording = read(tmp_path / "rec.parquet")
    assert recording.leads == ("I", "V1") and recording.sampling_rate == 250
    np.testing.assert_allclose(recording.signal, ECG[[0, 6]], atol=1e-9)


def test_damage_is_told_in_a_line(tmp_path):
    np.save(tmp_path / "rec.npy", ECG)
    check_truncated(tmp_path / "rec.npy", sampling_rate=250)
    np.savez(tmp_path / "rec.npz", ecg=ECG, fs=250)
    check_truncated(tmp_path / "rec.npz")
    scipy.io.savemat(tmp_path / "rec.mat", {"val": ECG, "fs": 250.0})
    check_truncated(tmp_path / "rec.mat", shares=(0.02, 0.3, 0.7))
    pd.DataFrame({"I": ECG[0]}).to_parquet(tmp_path / "rec.parquet")
    check_truncated(tmp_path / "rec.parquet", sampling_rate=250)


def test_absurd_shapes_take_no_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (12, 10**12)})
    (tmp_path / "rec.npy").write_bytes(header.getvalue() + bytes(96))
    check_refused(tmp_path / "rec.npy", sampling_rate=250)
    with zipfile.ZipFile(tmp_path / "rec.npz", "w") as archive:
        archive.writestr("ecg.npy", header.getvalue() + bytes(96))
    check_refused(tmp_path / "rec.npz", "states", sampling_rate=250)
