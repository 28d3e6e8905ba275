"""A reconstruction shows itself."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from einthoven.ecg.leads import LEADS
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Source
from reconstruction.result import MEDIAN_NOTE, Reconstruction, with_median


@pytest.fixture(scope="module")
def result():
    given = read(duration=3)
    mean = given.signal.astype(np.float32)
    observed = np.zeros(mean.shape, dtype=bool)
    observed[0], observed[1, :750] = True, True
    samples = mean + 0.1 * np.arange(-2, 3, dtype=np.float32)[:, None, None] * ~observed
    band = {"samples": samples, "mean": mean, "lower": samples[0], "upper": samples[-1]}
    calls = {"network_calls": 19, "gradient_calls": 0, "seconds": 1.23, "notes": ("filtered",)}
    given = replace(given, signal=given.signal[:2], leads=("I", "II"))
    return Reconstruction(
        **band, observed=observed, leads=LEADS, sampling_rate=500.0, method="amortised", given=given, **calls
    )


def test_repr_says_what_was_done(result):
    assert repr(result).splitlines() == [
        "Reconstruction of demo: 12 leads, 3.0 s at 500 Hz",
        "  observed   I, II 50 %",
        "  90 % band  0.40 mV wide where restored, widest lead 0.40 mV",
        "  method     amortised: 5 samples, 19 network calls, 1.2 s",
        "  notes      filtered",
    ]
    bare = replace(result, samples=None, given=None, observed=np.zeros_like(result.observed))
    assert "observed   none: all is estimated" in repr(bare)
    assert "method     amortised: 19 network calls" in repr(bare)
    noisy = replace(result, noise_level=np.array([0.1, 0.2] + [np.nan] * 10, dtype=np.float32))
    assert "noise      I 0.100, II 0.200 mV" in repr(noisy)


def test_the_mean_is_a_recording(result):
    recording = result.recording
    np.testing.assert_array_equal(recording.signal, result.mean)
    assert (recording.name, recording.leads, recording.source) == ("demo", LEADS, Source("reconstructed"))
    below = [text.get_text() for text in recording.plot().axes[0].texts]
    assert any("reconstructed: research only" in text for text in below)
    assert recording.notes == ("filtered",)
    assert replace(result, given=None).recording.name == ""


@pytest.mark.parametrize("layout", ["3x4+1", "6x2", "12x1"])
def test_plot_returns_the_figure(result, layout):
    assert isinstance(result.plot(layout=layout), Figure)
    assert isinstance(replace(result, samples=None).plot("V2", layout), Figure)


def test_plot_of_what_was_noisy_shows_the_recording(result):
    noisy = replace(result, noise_level=np.full(12, 0.1, dtype=np.float32))
    shown = noisy._noisy(["II", "V1"], start=0.0)
    assert np.isfinite(shown[0]).all() and np.isnan(shown[1]).all()
    assert np.abs(shown[0] - result.given.signal[1]).mean() < 0.1
    assert isinstance(noisy.plot(["II", "V1"], samples=0), Figure)


def test_all_arrays_are_saved(result, tmp_path):
    path = result.save(tmp_path / "result.npz")
    with np.load(path, allow_pickle=False) as file:
        for name in ("samples", "mean", "lower", "upper", "observed"):
            np.testing.assert_array_equal(file[name], getattr(result, name))
        assert (str(file["method"]), float(file["sampling_rate"])) == ("amortised", 500.0)
        assert "noise_level" not in file
    np.testing.assert_array_equal(read(path).signal, result.mean)


def test_other_files_hold_the_mean_or_the_picture(result, tmp_path):
    np.testing.assert_allclose(read(result.save(tmp_path / "mean.csv")).signal, result.mean, atol=1e-3)
    assert result.save(tmp_path / "picture.svg").read_text().startswith("<?xml")
    with pytest.raises(ValueError, match="a recording is written as"):
        result.save(tmp_path / "mean.txt")


def test_the_table_has_a_row_for_each_lead_and_time(result):
    table = result.to_data_frame()
    assert len(table) == result.mean.size
    row = table[table["lead"] == "II"].iloc[751]
    assert (row["time"], row["observed"]) == (pytest.approx(1.502), False)
    assert row["upper"] - row["lower"] == pytest.approx(0.4, abs=1e-5)


def test_xarray_and_html(result):
    assert "data:image/png" in result._repr_html_()
    assert result.to_xarray().samples.dims == ("sample", "lead", "time")


def test_the_estimate_can_be_the_median(result):
    skewed = result.samples.copy()
    skewed[-1] += ~result.observed
    median = with_median(replace(result, samples=skewed))
    np.testing.assert_array_equal(median.mean, np.median(skewed, axis=0))
    np.testing.assert_allclose(median.mean, result.mean, atol=1e-6)
    assert MEDIAN_NOTE in median.notes
    assert MEDIAN_NOTE in median.recording.notes
