import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import wfdb
import yaml

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from evaluation.inpainting.runs import Reconstructions
from preprocessing.cohorts.simulator import simulate_ecg, simulate_store
from reconstruction.recording_report import leads_to_keep, reconstruct_recording
from reconstruction.samplers.amortised import AmortisedSampler
from reconstruction.samplers.ddnm import DDNM
from reconstruction.script_run import RestorationRun
from tests.paths import ROOT
from tests.scripts import run_script


def run(tmp_path, *overrides):
    return run_script("reconstruction.inpaint", "n_threads=1", f"paths.runs={tmp_path}", *overrides)


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["amortised", "mgps"])
def test_script_reconstructs_a_store_and_goes_on(algo, tiny_weights, tmp_path):
    simulate_store(tmp_path / "store", 12, 100, 2.5)
    overrides = [
        f"algo={algo}",
        "algo.n_samples=2",
        "algo.sampler.n_steps=3",
        f"dataset.store={tmp_path / 'store'}",
        "dataset.split=train",
        "dataset.n_records=2",
        f"checkpoint={tiny_weights}",
        f"inpaint.results_path={tmp_path / 'run'}",
    ]
    first = run(tmp_path, *overrides)
    assert first.returncode == 0, first.stderr
    assert "2 ECGs (2 of them now)" in first.stdout
    assert "network calls" in first.stdout
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["algo"]["missingness_type"] == "lead"
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["data_manifest_hash"]
    opened = Reconstructions.open(tmp_path / "run")
    assert opened.name == algo
    assert opened.samples.shape == (2, 2, 12, 250)
    assert opened.whole_leads() == ("I",)
    if algo == "amortised":
        assert "nothing to do" in run(tmp_path, *overrides).stdout
        other = run(tmp_path, *overrides, "algo.missingness=2")
        assert other.returncode == 2
        assert "other settings" in other.stderr


@pytest.mark.slow
def test_script_reconstructs_segments(tiny_weights, tmp_path):
    simulate_store(tmp_path / "store", 3, 100, 2.5)
    overrides = [
        "algo.missingness_type=bm",
        "algo.missingness=50%",
        "algo.n_samples=2",
        "algo.sampler.n_steps=2",
        f"dataset.store={tmp_path / 'store'}",
        "dataset.split=train",
        f"checkpoint={tiny_weights}",
        f"inpaint.results_path={tmp_path / 'run'}",
    ]
    done = run(tmp_path, *overrides, "dataset.segment_length=128")
    assert done.returncode == 0, done.stderr
    opened = Reconstructions.open(tmp_path / "run")
    assert opened.samples.shape[1:] == (2, 12, 128)
    assert ((~np.asarray(opened.observed)).sum(-1) == 64).all()
    refused = run(tmp_path, *overrides, "dataset.segment_length=251", f"inpaint.results_path={tmp_path / 'other'}")
    assert refused.returncode == 2
    assert "a record has 250 samples" in refused.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_script_reconstructs_a_wfdb_record(tiny_weights, tmp_path):
    ecg = simulate_ecg(1, 250, 4.0)[0].astype(np.float64)
    wfdb.wrsamp("mine", 250, ["mV"] * 12, list(LEADS), p_signal=ecg.T, fmt=["16"] * 12, write_dir=str(tmp_path))
    done = run(
        tmp_path,
        "data=wfdb",
        f"data.path={tmp_path / 'mine'}",
        f"checkpoint={tiny_weights}",
        f"inpaint.results_path={tmp_path / 'run'}",
    )
    assert done.returncode == 0, done.stderr
    assert "12 leads from I (amortised, 10 samples)" in done.stdout
    record = wfdb.rdrecord(str(tmp_path / "run" / "reconstruction"))
    with np.load(tmp_path / "run" / "reconstruction.npz", allow_pickle=False) as file:
        assert file["samples"].shape == (10, 12, 1000)
        np.testing.assert_allclose(record.p_signal.T, file["mean"], atol=6e-4)
        assert tuple(file["leads"]) == tuple(record.sig_name) == LEADS
    assert (tmp_path / "run" / "reconstruction.png").stat().st_size > 10_000


def test_one_recording_is_reconstructed_without_what_tables_take():
    code = (
        "import sys, reconstruction.script_run, reconstruction.samplers.amortised\n"
        "import reconstruction.recording_report, einthoven.ecg.writers.wfdb\n"
        "assert not {'pandas', 'wfdb', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_whole_recording_is_reconstructed_from_its_first_leads():
    assert leads_to_keep(read(None), 1) == ("I",)


def test_report_compares_with_what_is_known(tiny_denoiser, tmp_path):
    part = read(None, start=1.0, duration=3.0)
    text = reconstruct_recording(part, tmp_path, AmortisedSampler(tiny_denoiser), keep=["I"], n_samples=3)
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["I"] == ["100", "%", "-", "-", "-", "-"]
    assert set(LEADS) <= lines.keys()
    assert abs(float(lines["V3"][2])) <= 1
    assert float(lines["V3"][3]) > 0
    assert "19 network calls" in text


def test_report_says_where_nothing_is_known(tiny_denoiser, tmp_path):
    ecg = simulate_ecg(1, 200, 3.0)[0, :2].astype(np.float64)
    ecg[1, 100:300] = np.nan
    recording = Recording(ecg, 200.0, ("I", "II"), "two leads")
    assert leads_to_keep(recording, 1) is None
    text = reconstruct_recording(recording, tmp_path, AmortisedSampler(tiny_denoiser), n_samples=3)
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["V1"][2:5] == ["?", "?", "?"]
    assert "two leads: 12 leads from I, II" in text


def test_report_of_a_noisy_recording_shows_it_beside_the_result(tiny_denoiser, tmp_path):
    ecg = simulate_ecg(1, 200, 3.0)[0, [0, 1, 7]].astype(np.float64)
    ecg += 0.2 * np.random.default_rng(0).standard_normal(ecg.shape)
    recording = Recording(ecg, 200.0, ("I", "II", "V2"), "noisy")
    text = reconstruct_recording(recording, tmp_path, AmortisedSampler(tiny_denoiser), noise="ma", n_samples=3)
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert "noisy: 12 leads from I, II, V2, noise removed (ma) (amortised, 3 samples)" in text
    assert float(lines["V2"][0]) > 0
    assert lines["V1"][:2] == ["-", "-"]
    with np.load(tmp_path / "reconstruction.npz", allow_pickle=False) as file:
        assert np.isfinite(file["noisy"]).all(axis=-1).tolist() == [lead in (*LEADS[:6], "V2") for lead in LEADS]
        assert np.isnan(file["truth"]).all()
        assert np.isfinite(file["noise_level"]).tolist() == [lead in ("I", "II", "V2") for lead in LEADS]
    assert (tmp_path / "reconstruction.png").stat().st_size > 10_000


def test_report_of_a_low_rate(tiny_denoiser, tmp_path):
    recording = Recording(simulate_ecg(1, 50, 3.0)[0].astype(np.float64), 50.0, LEADS, "slow")
    sampler = DDNM(tiny_denoiser, n_steps=2)
    text = reconstruct_recording(recording, tmp_path, sampler, keep=["I"], n_samples=2)
    with np.load(tmp_path / "reconstruction.npz", allow_pickle=False) as file:
        assert file["samples"].shape == (2, 12, 150)
        assert np.isfinite(file["truth"]).all()
        assert "noisy" not in file
    assert "0.6-25 Hz" in text


def test_report_of_a_long_recording(tiny_denoiser, tmp_path, monkeypatch):
    recording = Recording(simulate_ecg(1, 100, 14.0)[0].astype(np.float64), 100.0, LEADS, "long")
    sampler = AmortisedSampler(tiny_denoiser, n_steps=2)
    seconds = []
    text = reconstruct_recording(recording, tmp_path / "a", sampler, keep=["I"], n_samples=2, progress=seconds.append)
    assert sum(seconds) == pytest.approx(14)
    assert {path.name for path in (tmp_path / "a").glob("*.png")} == {"reconstruction.png", "reconstruction_0010s.png"}
    with np.load(tmp_path / "a" / "reconstruction.npz", allow_pickle=False) as file:
        assert file["samples"].shape == (2, 12, 1400)
    assert "2 windows of 10 s" in text
    monkeypatch.setattr("reconstruction.recording_report.MEMORY_UP_TO_S", 12.0)
    reconstruct_recording(recording, tmp_path / "b", sampler, keep=["I"], n_samples=2)
    assert not (tmp_path / "b" / "reconstruction.npz").exists()
    mean = np.load(tmp_path / "b" / "reconstruction" / "mean.npy", mmap_mode="r")
    assert wfdb.rdrecord(str(tmp_path / "b" / "reconstruction")).p_signal.shape == mean.T.shape == (1400, 12)


def test_a_recording_as_people_have_them(tiny_denoiser, tmp_path):
    ecg = np.round(read(None, start=1.0, duration=4.0).signal, 3)
    ecg[8] = 0.0
    columns = ["I", "MLII", "III", "-aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    ecg[3] *= -1
    np.savetxt(tmp_path / "mine.csv", 1e3 * ecg.T, delimiter=",", header=",".join(columns), comments="", fmt="%.0f")
    data = {"kind": "file", "path": tmp_path / "mine.csv", "start": 0.0, "sampling_rate": 500, "unit": "uV"}
    script = SimpleNamespace(data={**data, "duration": None, "channels": None, "leads": None})
    recording = RestorationRun.load_recording(script)
    assert recording.leads == LEADS and np.isnan(recording.signal[8]).all()
    assert leads_to_keep(recording, 1) is None
    text = reconstruct_recording(recording, tmp_path, AmortisedSampler(tiny_denoiser), noise="auto", n_samples=2)
    for note in (
        "lead V3 is flat throughout",
        "-aVR is read as aVR, with its sign turned",
        "MLII, a modified limb lead",
    ):
        assert note in text
