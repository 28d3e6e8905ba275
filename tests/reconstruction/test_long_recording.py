import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction import long_recording, reconstruct
from reconstruction.result import MEDIAN_NOTE
from reconstruction.samplers.amortised import AmortisedSampler
from reconstruction.samplers.decoupled import DecoupledSampler
from reconstruction.windows.restorer import Settings, WindowRestorer
from reconstruction.windows.store import WindowStore

RATE = 250
SEVEN = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V4", "V5", "V6")]
MISSING = LEADS.index("V3")


@pytest.fixture(scope="module")
def ecg():
    return simulate_ecg(1, RATE, 26.0, seed=3)[0].astype(np.float64)


@pytest.fixture
def sampler(tiny_denoiser):
    return AmortisedSampler(tiny_denoiser, n_steps=2)


def restore(ecg, sampler, rows=SEVEN, rate=RATE, **settings):
    return reconstruct(ecg[rows], rate, [LEADS[row] for row in rows], 3, sampler=sampler, **settings)


def steps(x, place):
    return np.abs(x[..., place] - x[..., place - 1])


def test_a_long_recording_comes_back_at_its_rate_and_length(ecg, sampler):
    result = restore(ecg, sampler)
    assert result.samples.shape == (3, *ecg.shape)
    assert result.mean.shape == result.lower.shape == result.upper.shape == result.observed.shape == ecg.shape
    assert np.isfinite(result.samples).all()
    assert result.observed.all(axis=1).tolist() == [lead != "V3" for lead in LEADS]
    assert (result.lower <= result.upper).all()
    assert "3 windows of 10 s" in " ".join(result.notes)


def test_samples_go_on_where_the_window_before_ended(ecg, sampler):
    result = restore(ecg, sampler)
    layout = WindowRestorer(ecg, RATE, LEADS, lambda *_: ("", sampler), settings()).layout
    for window in layout.windows[1:]:  # of two seconds in common the first quarter of a second is the one's before
        assert (
            steps(result.samples[:, MISSING], window.first).max()
            < 3 * np.abs(np.diff(result.samples[:, MISSING])).max()
        )
    measured = np.delete(np.arange(12), MISSING)
    inside = np.abs(np.diff(result.mean[measured])).max(axis=-1)
    assert all((steps(result.mean[measured], window.first) <= inside).all() for window in layout.windows[1:])


@pytest.mark.slow
def test_the_step_at_borders_is_not_larger_than_within_windows(ecg):
    result = restore(ecg, None, method="amortised")
    x = result.samples[:, MISSING]
    borders = [2000 + 62, 4000 + 62]
    within = np.abs(np.diff(x)).mean()
    assert np.mean([steps(x, place) for place in borders]) < 2 * within
    # Where the overlap ends, what was observed goes over into what was drawn.
    assert np.mean([steps(x, place) for place in (2500, 4500)]) < 2 * within
    assert np.mean([steps(result.mean[MISSING], place) for place in borders]) < 2 * within


def test_a_killed_run_goes_on_to_the_same_bits(ecg, sampler, tmp_path, monkeypatch):
    monkeypatch.setattr(long_recording, "_FLUSH_S", 0.0)
    whole = restore(ecg, sampler, folder=tmp_path / "whole")
    done = []

    def stop(seconds):
        done.append(seconds)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(ecg, sampler, folder=tmp_path / "killed", progress=stop)
    seconds = []
    resumed = restore(ecg, sampler, folder=tmp_path / "killed", progress=seconds.append)
    assert len(seconds) == 2  # what was there at once, and the last window
    assert sum(seconds) == pytest.approx(26.0)
    for name in ("samples", "mean", "lower", "upper", "observed"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
        assert isinstance(getattr(resumed, name), np.memmap)
    assert (resumed.notes, resumed.network_calls) == (whole.notes, whole.network_calls)
    with pytest.raises(ValueError, match="results of other work"):
        restore(ecg, sampler, folder=tmp_path / "killed", seed=1)


def settings(**change):
    return Settings(
        **(
            {"n_samples": 3, "seed": 0, "sigma_y": 0.01, "key": 0, "noise": None, "saturation": None, "device": "cpu"}
            | change
        )
    )


def test_a_window_can_be_restored_alone(ecg, sampler, tmp_path):
    whole = restore(ecg, sampler, folder=tmp_path)
    restorer = WindowRestorer(
        ecg[SEVEN], RATE, tuple(LEADS[row] for row in SEVEN), lambda *_: ("amortised", sampler), settings()
    )
    windows = restorer.layout.windows
    store = WindowStore.open(tmp_path)
    alone = restorer(windows[2], store.tail(windows[1]))
    np.testing.assert_array_equal(alone.samples, whole.samples[..., windows[2].first :])


def test_samples_are_kept_up_to_a_minute_or_on_request(ecg, sampler, monkeypatch):
    assert restore(ecg, sampler, keep_samples=False).samples is None
    monkeypatch.setattr(long_recording, "SAMPLES_UP_TO_S", 20.0)
    assert restore(ecg, sampler).samples is None
    assert restore(ecg, sampler, keep_samples=True).samples.shape[0] == 3


def test_a_temporary_folder_goes_with_the_result(ecg, sampler, monkeypatch, tmp_path):
    monkeypatch.setattr(long_recording, "MEMORY_UP_TO_S", 20.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = restore(ecg, sampler)
    assert isinstance(result.mean, np.memmap)
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["einthoven"]
    del result
    assert not list(tmp_path.iterdir())


def test_what_is_known_is_kept_and_what_nobody_measured_stays_missing(ecg, sampler):
    gap = ecg.copy()
    gap[MISSING, : 9 * RATE] = np.nan
    gap[:, 12 * RATE : 25 * RATE] = np.nan
    result = restore(
        np.pad(gap, ((0, 0), (0, 14 * RATE)), mode="reflect"),
        DecoupledSampler(sampler.denoiser, n_steps=2),
        rows=range(12),
    )
    unknown = np.isnan(result.mean)
    assert unknown.any()
    assert (unknown == unknown[:1]).all()
    assert not result.observed[unknown].any()
    assert any(note.startswith("nothing was measured and nothing is restored from") for note in result.notes)
    whole = restore(ecg, sampler, rows=range(12))
    assert (whole.network_calls, whole.seconds < 1) == (0, True)
    assert whole.observed.all()
    np.testing.assert_array_equal(whole.lower, whole.upper)


@pytest.mark.parametrize(("rate", "noise"), [(50, None), (250, "em"), (257.3, None), (99.9, "auto")])
def test_windows_are_faded_where_nothing_can_be_observed(rate, noise, tiny_denoiser):
    ecg = simulate_ecg(1, 500, 21.0, seed=5)[0].astype(np.float64)
    time = np.arange(round(21 * rate)) / rate
    ecg = np.stack([np.interp(time, np.arange(ecg.shape[-1]) / 500, row) for row in ecg])
    make = DecoupledSampler if rate == 50 else AmortisedSampler
    result = restore(ecg, make(tiny_denoiser, n_steps=2), rate=rate, noise=noise)
    assert result.mean.shape == ecg.shape
    assert np.isfinite(result.samples).all()
    assert (result.noise_level is None) == (noise is None)
    assert any("are taken for" in note for note in result.notes) == (rate in (257.3, 99.9))
    x, border = result.samples[:, MISSING], round(5.5 * rate) + round(0.25 * rate)
    assert steps(x, border).max() <= 3 * np.abs(np.diff(x)).max()


def test_a_wild_stretch_of_a_lead_is_lost_and_restored(ecg, sampler):
    wild = ecg.copy()
    wild[LEADS.index("V5"), 2500:5000] += 80 * np.sin(np.arange(2500) / 7)
    result = restore(wild, DecoupledSampler(sampler.denoiser, n_steps=2))
    assert np.abs(result.mean).max() < 20
    assert any(note.startswith("lead V5 is out of range") for note in result.notes)


def test_the_median_of_a_long_recording_leaves_all_else_as_it_is(ecg, sampler):
    mean, median = (restore(ecg, sampler, point_estimate=name) for name in ("mean", "median"))
    np.testing.assert_array_equal(mean.samples, median.samples)
    np.testing.assert_array_equal(median.mean, np.median(median.samples, axis=0))
    assert not np.array_equal(mean.mean, median.mean)
    assert MEDIAN_NOTE in median.notes
    assert MEDIAN_NOTE not in mean.notes
