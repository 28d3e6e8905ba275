"""The whole way, with the bundled weights at few steps."""

import numpy as np
import pandas as pd
import pytest
import torch

import einthoven
from diffusion_prior.checkpoint import shared_denoiser
from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from einthoven.ecg.writing import write
from einthoven.run.fingerprint import fingerprint
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.repairs.finding.finder import Finder
from reconstruction.repairs.folder import write_repair
from reconstruction.repairs.repairing import Tools, repair
from reconstruction.repairs.result import DENOISED, KEPT, LEFT_MISSING, REBUILT, RESTORED
from reconstruction.repairs.windows import WindowRepairer

RATE = 100.0


@pytest.fixture(scope="module")
def tools():
    torch.set_num_threads(1)
    return Tools(Finder.load(), WindowRepairer(shared_denoiser(), n_samples=2, n_steps=3), None)


@pytest.fixture(scope="module")
def clean():
    return simulate_ecg(1, sampling_rate=RATE, seed=1, rhythm="sinus")[0].astype(np.float64)


@pytest.fixture(scope="module")
def damaged(clean):
    ecg = clean.copy()
    ecg[6, 300:600] = 0.0  # the electrode of V1 is off
    ecg[9, 100:500] += 0.5 * np.random.default_rng(0).standard_normal(400)
    return ecg


@pytest.fixture(scope="module")
def repaired(damaged, tools):
    return repair(damaged, RATE, LEADS, tools=tools)


def test_what_is_bad_is_repaired_and_the_rest_is_kept_to_the_bit(repaired, damaged, clean):
    assert (repaired.done[6, 310:590] == RESTORED).all()
    assert (repaired.done[9, 110:490] == DENOISED).mean() > 0.9
    kept = repaired.done == KEPT
    assert kept.mean() > 0.9
    np.testing.assert_array_equal(repaired.recording.signal[kept], damaged[kept])
    for row, span in ((6, slice(300, 600)), (9, slice(100, 500))):
        before, after = (
            np.square(x[row, span] - clean[row, span]).mean() for x in (damaged, repaired.recording.signal)
        )
        assert after < 0.5 * before
    assert (repaired.lower <= repaired.upper).all()
    np.testing.assert_array_equal(repaired.lower[kept], damaged[kept])


def test_samples_differ_where_it_was_repaired_and_give_measures_intervals(repaired):
    kept, samples = repaired.done == KEPT, repaired.samples
    assert samples.shape == (2, *repaired.done.shape)
    for sample in samples:
        np.testing.assert_array_equal(sample[kept], repaired.recording.signal[kept].astype(np.float32))
    assert (samples[0] != samples[1])[~kept].mean() > 0.9
    np.testing.assert_allclose(samples.mean(axis=0), repaired.recording.signal, atol=1e-4)
    measures = einthoven.measure(repaired)
    table = measures.table.set_index(["measure", "lead"])
    assert measures.n_samples == 2
    assert table.loc[("qt", ""), "lower"] <= table.loc[("qt", ""), "upper"]
    assert table.loc[("st_j", "V1"), "reason"] == "ST after a high-pass of 0.6 Hz"
    assert table.loc[("st_j", "I"), "reason"] == ""


def test_the_list_says_what_was_done(repaired):
    off = repaired.actions[repaired.actions["lead"] == "V1"].iloc[0]
    assert (off["kind"], off["reason"]) == ("restored", "flat")
    assert off["start_s"] == pytest.approx(3.0, abs=0.2)
    noisy = repaired.actions[repaired.actions["lead"] == "V4"].iloc[0]
    assert noisy["noise_mv"] == pytest.approx(0.5, rel=0.3)
    assert "restored" in repr(repaired)
    assert len(repr(repaired).split("\n")) <= 10
    assert "<table" in repaired._repr_html_()


def test_same_seed_same_result(repaired, damaged, tools):
    again = repair(Recording(damaged, RATE, LEADS), tools=tools)
    np.testing.assert_array_equal(again.recording.signal, repaired.recording.signal)


def test_absent_leads_are_rebuilt_on_request(clean, tools):
    result = repair(clean[[1, 0]], RATE, ["II", "I"], complete=True, tools=tools)
    assert result.recording.leads == LEADS
    np.testing.assert_array_equal(result.recording.signal[[1, 0]], clean[[1, 0]])
    assert set(np.unique(result.done[2])) == {REBUILT}
    np.testing.assert_allclose(result.recording.signal[2], clean[1] - clean[0], atol=0.1)


def test_a_long_recording_is_repaired_where_it_is_bad(clean, tools):
    ecg = np.tile(clean, 3)[:, :2500]
    ecg[7, 1900:2100] = 0.0
    result = repair(ecg, RATE, LEADS, tools=tools)
    assert (result.done[7, 1910:2090] == RESTORED).all()
    assert (result.done[:, :1000] == KEPT).mean() > 0.95


@pytest.mark.parametrize("rows", [[0], [0, 1, 6]])
def test_what_nothing_tells_of_stays_missing(clean, tools, rows):
    ecg = clean[rows].copy()
    ecg[:, 200:900] = np.nan
    result = repair(ecg, RATE, [LEADS[row] for row in rows], tools=tools)
    assert result.recording.signal.shape == ecg.shape
    assert set(np.unique(result.done[:, 250:850])) <= {RESTORED, LEFT_MISSING}
    left = result.done == LEFT_MISSING
    assert np.isnan(result.recording.signal[left]).all()


@pytest.mark.parametrize(
    ("ecg", "why"),
    [
        (np.zeros((2, 1000)), "every lead is lost throughout"),
        (np.full((2, 1000), np.nan), "every lead is lost throughout"),
        (
            simulate_ecg(1, sampling_rate=RATE, seed=1)[0, :2, :120].astype(np.float64),
            "2.5 s, and the recording has 1.2",
        ),
    ],
)
def test_nothing_is_refused(ecg, why, tools):
    result = repair(ecg, RATE, ["I", "II"], tools=tools)
    assert result.recording.signal.shape == ecg.shape
    assert any(f"nothing could be restored: {why}" in note or f"that takes {why}" in note for note in result.notes)


@pytest.mark.slow
def test_a_file_without_any_heart_is_told_in_its_report(tools, tmp_path):
    folder = tmp_path / "result"
    write(Recording(np.zeros((12, 1000)), RATE, LEADS), tmp_path / "flat.csv")
    result = repair(read(tmp_path / "flat.csv"), tools=tools)
    assert (result.done == LEFT_MISSING).all()
    write_repair(result, folder, ".csv")
    page = (folder / "report.html").read_text()
    assert "every lead is lost throughout" in page
    assert "lead V6 is flat throughout" in page
    assert (folder / "report.pdf").stat().st_size > 100
    assert (folder / "actions.csv").read_text().count("left missing") == 12


@pytest.mark.data
def test_a_real_recording_without_any_heart_is_told(ecg_data, tools):
    result = repair(read(ecg_data / "cinc2011" / "set-a" / "1691516"), tools=tools)
    assert (result.done == LEFT_MISSING).all()
    assert any("every lead is lost throughout" in note for note in result.notes)
    assert any("is flat throughout" in note for note in result.notes)


def test_a_length_that_rounds_otherwise_at_another_rate(tools):
    ecg = simulate_ecg(1, sampling_rate=500.0, seed=1)[0, :2, :2749].astype(np.float64)
    result = repair(ecg, 500.0, ["I", "II"], tools=tools)
    assert result.findings.probability.shape == (2, 5)


def test_front_door():
    assert einthoven.repair is repair


def test_a_repair_is_saved_by_suffix(repaired, tmp_path):
    with np.load(repaired.save(tmp_path / "repair.npz"), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["done"], repaired.done)
    np.testing.assert_allclose(
        read(repaired.save(tmp_path / "repair.csv")).signal, repaired.recording.signal, atol=1e-3
    )
    assert repaired.save(tmp_path / "repair.png").read_bytes().startswith(b"\x89PNG")
    assert repaired.to_data_frame() is repaired.actions
    np.testing.assert_array_equal(repaired.to_xarray()["done"], repaired.done)


class Killed(Exception):
    pass


@pytest.mark.slow
def test_a_killed_repair_goes_on_in_its_folder_to_the_bit(clean, tools, tmp_path, monkeypatch):
    for module in ("repairing", "bad_parts", "hum"):
        monkeypatch.setattr(f"reconstruction.repairs.{module}.MEMORY_UP_TO_S", 15.0)
    ecg = np.tile(clean, 3)[:, :2500]
    ecg[7, 700:1900] = 0.0
    ecg[3, 1800:] = np.nan
    recording = Recording(ecg, RATE, LEADS, "long")
    whole = repair(recording, tools=tools)
    assert isinstance(whole.recording.signal, np.memmap)

    def kill(samples):
        done.append(samples)
        if len(done) == 2:
            raise Killed

    done: list[int] = []
    with pytest.raises(Killed):
        repair(recording, tools=tools, folder=tmp_path, progress=kill)
    for _ in range(2):  # goes on, and takes up what is finished
        again = repair(recording, tools=tools, folder=tmp_path)
        for name in ("lower", "upper", "done"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
        np.testing.assert_array_equal(again.recording.signal, whole.recording.signal)
        pd.testing.assert_frame_equal(again.actions, whole.actions)
    with pytest.raises(ValueError, match="other work"):
        repair(ecg[:, 1:], RATE, LEADS, tools=tools, folder=tmp_path)


def test_the_median_is_taken_where_it_is_asked_for(damaged, repaired):
    denoiser = shared_denoiser()
    tools = Tools(Finder.load(), WindowRepairer(denoiser, n_samples=2, n_steps=3, takes_median=True), None)
    median = repair(damaged, RATE, LEADS, tools=tools)  # that of two samples is their mean
    np.testing.assert_allclose(median.recording.signal, repaired.recording.signal, atol=1e-5)
    samples = np.array([0.0, 1.0, 5.0], dtype=np.float32)[:, None, None]
    assert tools.repairer.point_estimate(samples).item() == 1.0
    usual = WindowRepairer(denoiser, n_samples=2, n_steps=3)
    assert usual.point_estimate(samples).item() == 2.0
    assert fingerprint(usual) != fingerprint(tools.repairer)
