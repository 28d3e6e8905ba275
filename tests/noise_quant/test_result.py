"""Noise scores show themselves."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from einthoven.ecg.reading import read
from noise_quant.result import NoiseScores
from noise_quant.scoring.lead_scores import NOISES


@pytest.fixture(scope="module")
def scores():
    given = read(leads=["I", "V2"])
    psnr = np.array([[30.0, 20.0], [np.nan, 29.0]])
    other = {name: psnr / 100 for name in ("ssim", "mse", "mae", "missing_s", "hum_mv")}
    return NoiseScores(
        psnr=psnr,
        **other,
        features={"beats": psnr / 100},
        unusable=np.isnan(psnr),
        reason=np.array([["", ""], ["flat", ""]], dtype=object),
        segment=np.array([0, 0]),
        start_s=np.array([0.0, 5.0]),
        stop_s=np.array([5.0, 10.0]),
        verdict=np.array([["clean", "heavily noisy"], ["unusable", "clean"]], dtype=object),
        leads=("I", "V2"),
        given=given,
        notes=("a note",),
    )


def test_repr_names_the_leads_that_are_not_clean(scores):
    assert repr(scores).splitlines() == [
        "NoiseScores of demo: 2 leads, 2 segments, 10.0 s",
        "  PSNR           I 25.0, V2 29.0 dB (higher is cleaner)",
        "  clean          2 of 4 segments",
        "  heavily noisy  1 of 4 segments: I",
        "  unusable       1 of 4 segments: V2",
        "  notes          a note",
    ]
    many = {name: np.repeat(getattr(scores, name), 4, axis=0) for name in ("psnr", "unusable", "verdict")}
    assert "PSNR           1 25.0 to 8 29.0 dB" in repr(replace(scores, leads=tuple("12345678"), **many))
    noise = {
        name: np.array([[0.1, value], [np.nan, 0.2]]) for name, value in zip(NOISES, (0.8, 0.3, 0.7, 0.1), strict=True)
    }
    assert "noise likely   I 0.80 (drift)\n" in repr(replace(scores, noise_probability=noise))
    lost = replace(scores, unusable=np.ones((2, 2), dtype=bool))
    assert "PSNR" not in repr(lost)


def test_the_table_has_a_row_for_each_lead_and_segment(scores):
    table = scores.to_data_frame()
    first = ["lead", "segment", "start", "end", "psnr", "verdict", "reason", "noisy_probability"]
    last = ["static_probability", "drift_probability", "burst_probability", "acceptable_probability"]
    assert list(table) == [*first, *last]
    assert table.iloc[2].tolist()[:4] == ["V2", 0, 0.0, 5.0]
    assert table.iloc[2]["reason"] == "flat"


def test_plot_is_a_band_for_each_lead(scores):
    figure = scores.plot()
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    assert len(axes.collections) == 4 and len(axes.lines) == 2
    assert [label.get_text() for label in axes.get_yticklabels()] == ["I", "V2"]
    assert len(replace(scores, given=None).plot("V2").axes[0].lines) == 0
    with pytest.raises(ValueError, match="lead.s. II were not scored; there are I, V2"):
        scores.plot("II")


def test_long_traces_are_thinned(scores):
    long = replace(scores.given, signal=np.tile(scores.given.signal, 20))
    (line, _) = replace(scores, given=long).plot().axes[0].lines
    assert len(line.get_xdata()) <= 5000
    assert line.get_xdata()[-1] == pytest.approx(200, abs=1)


def test_files_by_suffix(scores, tmp_path):
    table = pd.read_csv(scores.save(tmp_path / "scores.csv"))
    assert table["psnr"].tolist()[:2] == [30.0, 20.0]
    pd.read_parquet(scores.save(tmp_path / "scores.parquet"))
    with np.load(scores.save(tmp_path / "scores.npz"), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["psnr"], scores.psnr)
        assert file["verdict"].tolist() == scores.verdict.tolist()
    assert scores.save(tmp_path / "scores.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match="saved as .npz"):
        scores.save(tmp_path / "scores.edf")


def test_html_and_xarray(scores):
    assert "<th>heavily noisy</th>" in scores._repr_html_()
    assert scores.to_xarray().psnr.sel(lead="I").values.tolist() == [30.0, 20.0]
