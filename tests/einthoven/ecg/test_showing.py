"""A recording shows itself: a few lines, a table with a picture, files, and tables of other packages."""

import sys
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from einthoven.ecg.adapters import as_recording
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Patient, Recording


@pytest.fixture(scope="module")
def recording():
    return read(duration=3)


def test_repr_says_what_it_is(recording):
    assert repr(recording).splitlines() == [
        "Recording demo: 12 leads, 3.0 s at 500 Hz",
        "  leads   I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6",
        f"  range   {recording.signal.min():.2f} to {recording.signal.max():.2f} mV",
        "  source  bundled",
    ]


def test_repr_has_ten_lines_at_most(recording):
    signal = recording.signal.copy()
    signal[2, :150] = np.nan
    full = replace(
        recording,
        signal=signal,
        other_channels=("resp",),
        patient=Patient(63, "female"),
        start_time=datetime(2020, 5, 17, 12, 30),
        notes=tuple(f"note {number} " + 200 * "x" for number in range(9)),
    )
    lines = repr(full).splitlines()
    assert len(lines) == 10
    assert max(map(len, lines)) <= 110
    assert "missing   0.83 % of all samples, in III" in lines[2]
    assert "2020-05-17 12:30:00" in lines[5]
    assert "63 years, female" in lines[6]
    assert lines[-1].endswith("and 8 more in .notes") and "note 0" in lines[-2]


@pytest.mark.parametrize("signal", [np.zeros((1, 0)), np.full((1, 5), np.nan)])
def test_what_holds_nothing_has_a_repr(signal):
    assert repr(Recording(signal, 500.0, ("I",))).startswith("Recording: 1 lead, 0.0 s at 500 Hz")


def test_notebooks_show_a_table_and_a_picture(recording):
    page = ElementTree.fromstring(replace(recording, notes=("a < b",))._repr_html_())
    assert page.find("b").text == "Recording demo: 12 leads, 3.0 s at 500 Hz"
    rows = {row[0].text: row[1].text for row in page.find("table")}
    assert rows["note"] == "a < b"
    assert page.find("img").get("src").startswith("data:image/png;base64,")


@pytest.mark.parametrize("layout", ["3x4+1", "6x2", "12x1"])
def test_plot_returns_the_figure(recording, layout):
    assert isinstance(recording.plot(layout=layout), Figure)
    assert isinstance(recording.plot("v2", layout, speed=50, gain=5, start=1), Figure)


def test_plot_names_what_is_wrong(recording):
    with pytest.raises(ValueError, match="unknown lead 'X'"):
        recording.plot("X")
    with pytest.raises(ValueError, match="lacks lead"):
        replace(recording, signal=recording.signal[:1], leads=("I",)).plot(["I", "II"])


@pytest.mark.parametrize(("suffix", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_pictures_are_saved(recording, tmp_path, suffix, head):
    path = recording.save(tmp_path / f"new/ecg.{suffix}")
    assert path.read_bytes().startswith(head)


def test_files_are_saved_by_suffix(recording, tmp_path):
    for suffix in (".npz", ".csv"):
        path = recording.save(tmp_path / f"ecg{suffix}")
        np.testing.assert_allclose(read(path).signal, recording.signal, atol=1e-3)
    with pytest.raises(ValueError, match=r"a recording is written as \.hea"):
        recording.save(tmp_path / "ecg.xyz")


def test_a_table_comes_back_as_the_recording(recording):
    table = recording.to_data_frame()
    assert (table.index.name, table.index[-1]) == ("time", pytest.approx(2.998))
    again = as_recording(table, 500)
    np.testing.assert_array_equal(again.signal, recording.signal)
    assert again.leads == recording.leads


def test_mne_gets_volts(recording, monkeypatch):
    made = {}

    class RawArray:
        def __init__(self, signal, info, verbose):
            made.update(signal=signal, info=info)

        def set_meas_date(self, date):
            made["date"] = date

    mne = SimpleNamespace(create_info=lambda *facts: facts, io=SimpleNamespace(RawArray=RawArray))
    monkeypatch.setitem(sys.modules, "mne", mne)
    raw = replace(recording, start_time=datetime(2020, 5, 17)).to_mne()
    assert isinstance(raw, RawArray)
    np.testing.assert_allclose(made["signal"], recording.signal / 1000)
    assert made["info"] == (list(recording.leads), 500.0, "ecg")
    assert made["date"].isoformat() == "2020-05-17T00:00:00+00:00"


@pytest.mark.parametrize(("method", "package"), [("to_mne", "mne"), ("to_xarray", "xarray")])
def test_what_is_not_installed_is_named(recording, method, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"{package} is not installed: pip install .einthoven\[exchange\]."):
        getattr(recording, method)()


def test_xarray_has_names_and_units(recording):
    dataset = recording.to_xarray()
    np.testing.assert_array_equal(dataset.signal.sel(lead="V2"), recording.signal[7])
    assert dataset.attrs["unit"] == "mV"
