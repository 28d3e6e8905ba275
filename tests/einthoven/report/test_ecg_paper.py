"""What can be measured on a sheet: true size, texts, rows that keep apart, what is measured, restored or lost."""

import threading
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from einthoven.report.ecg_paper import draw_ecg
from einthoven.report.layouts import LAYOUTS, place_strips, sheet_duration
from einthoven.report.sheet import BLUE, GREY, INK, MM_PER_INCH, Extent, Sheet

RATE = 100.0


def beats(n_leads: int = 12, length: int = 1000, height: float = 1.5) -> np.ndarray:
    times = np.arange(length) / RATE
    return np.linspace(0.5, height, n_leads)[:, None] * np.exp(-0.5 * (((times % 0.8) - 0.4) / 0.02) ** 2)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def lines(figure: Figure, colour: str, samples: int = 20) -> list[Line2D]:
    """Traces of a colour, without those of legend, pulses and marks, which have few points."""
    return [line for line in figure.axes[0].lines if line.get_color() == colour and len(line.get_xdata()) > samples]


def clip_box_mm(artist: Line2D) -> np.ndarray:
    box = artist.get_clip_box()
    assert box is not None
    return np.asarray(artist.axes.transData.inverted().transform(box.get_points()))


def test_standard_layout_is_that_of_a_printed_ecg():
    strips = place_strips(LEADS, 10.0)
    assert [LEADS[strip.lead] for strip in strips if strip.row == 0] == ["I", "aVR", "V1", "V4"]
    assert [(s.start, s.stop) for s in strips if s.row == 1] == [(0, 2.5), (2.5, 5), (5, 7.5), (7.5, 10)]
    assert [(LEADS[s.lead], s.start, s.stop) for s in strips if s.row == 3] == [("II", 0.0, 10.0)]
    two = place_strips(LEADS, 10.0, "6x2")
    assert [LEADS[strip.lead] for strip in two if strip.left > two[0].left] == ["V1", "V2", "V3", "V4", "V5", "V6"]
    assert place_strips(LEADS, 10.0, "3x4") == strips  # its former name


def test_layout_adapts_to_fewer_leads_and_other_lengths():
    eight = place_strips(INDEPENDENT_LEADS, 10.0)
    assert [INDEPENDENT_LEADS[s.lead] for s in eight if s.row == 0] == ["I", "V1", "V4"]
    assert place_strips(["V1", "II", "aVR", "V4"], 10.0)[-1].row == 2  # rows without a lead are left out
    short = place_strips(LEADS, 2.5)
    assert {(s.start, s.stop) for s in short} == {(0.0, 2.5)}
    assert [(s.row, s.start, s.stop) for s in place_strips(["I"], 25.0)] == [(0, 0, 10), (1, 10, 20), (2, 20, 25)]
    assert [s.lead for s in place_strips(["I", "II"], 12.0)] == [0, 1, 0, 1]
    assert place_strips(LEADS, 60.0, start=30.0)[-1].stop == 40.0
    assert place_strips(LEADS, 10.0, speed=50.0)[-1].stop == 5.0
    assert sheet_duration(1, "3x4+1") == 120.0
    assert sheet_duration(12, "3x4+1", 50.0) == 5.0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("speed", "gain"), [(25.0, 10.0), (50.0, 5.0)])
def test_paper_has_its_true_size(layout: str, speed: float, gain: float):
    figure = draw_ecg(beats(), LEADS, RATE, layout=layout, speed=speed, gain=gain)
    axes, width_mm = figure.axes[0], figure.get_size_inches()[0] * MM_PER_INCH
    corners = axes.transData.transform([(0.0, 0.0), (1.0, 1.0)]) / figure.dpi * MM_PER_INCH
    np.testing.assert_allclose(corners[1] - corners[0], [1.0, 1.0], rtol=1e-6)
    assert width_mm == pytest.approx(280.0 if speed == 25.0 else 285.0)
    trace = lines(figure, INK)[0]
    x, y = (np.asarray(values) for values in trace.get_data())
    assert x[100] - x[0] == pytest.approx(speed)
    assert np.ptp(y) == pytest.approx(0.5 * gain, rel=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_keep_clear_of_each_other_at_3_mv(layout: str):
    ecg = beats(height=3.0) - 0.5 * np.roll(beats(height=3.0), 8, axis=-1)
    wide = 4.0 * np.ones_like(ecg)
    restored = np.arange(12)[:, None] % 2 == 0
    figure = draw_ecg(ecg, LEADS, RATE, lower=ecg - wide, upper=ecg + wide, observed=~restored, layout=layout)
    spans = {}
    for line in [*lines(figure, INK), *lines(figure, BLUE)]:
        y = np.asarray(line.get_ydata())
        (_, low), (_, high) = clip_box_mm(line)
        assert np.nanmin(y, initial=np.inf) >= low or np.isnan(y).all()  # no trace is cut
        assert np.nanmax(y, initial=-np.inf) <= high or np.isnan(y).all()
        spans[round(high, 3)] = low
    edges = [edge for high in sorted(spans, reverse=True) for edge in (high, spans[high])]
    assert len(spans) == {"3x4+1": 4, "6x2": 6, "12x1": 12}[layout]
    assert all(upper >= lower - 0.01 for upper, lower in pairwise(edges))  # rows lie below each other
    bands = [artist for artist in figure.axes[0].collections if artist.get_clip_box() is not None]
    assert {round(float(clip_box_mm(band)[1, 1]), 3) for band in bands if band.get_zorder() == 2} <= set(spans)
    assert any("cut at the edge of its row" in text for text in texts(figure))


def test_gain_falls_with_a_note_where_rows_would_not_fit():
    figure = draw_ecg(np.tile(beats(1, height=3.0) * 6.0, (12, 1)), LEADS, RATE, layout="12x1")
    assert any("5 mm/mV" in text and "gain lowered from 10 mm/mV" in text for text in texts(figure))
    assert figure.get_size_inches()[1] * MM_PER_INCH < 450.0
    artefact = beats()
    artefact[3, 300:310] = 40.0
    figure = draw_ecg(artefact, LEADS, RATE)
    assert any("10 mm/mV, cut beyond 5 mV" in text for text in texts(figure))


@pytest.mark.parametrize("at", [0.03, 0.12])
def test_names_are_clear_of_the_trace(at: float):
    ecg = np.zeros((12, 1000))
    ecg[6, 500 + round(at * RATE)] = 2.5  # just below the name of V1
    figure = draw_ecg(ecg, LEADS, RATE)
    (name,) = (text for text in figure.axes[0].texts if text.get_text() == "V1")
    peak = max(float(np.max(line.get_ydata())) for line in lines(figure, INK))
    assert name.get_position()[1] > peak
    assert name.get_position()[1] + 4.0 < figure.get_size_inches()[1] * MM_PER_INCH


def test_the_line_below_says_what_was_done():
    ecg = beats()
    plain = draw_ecg(ecg, LEADS, RATE)
    assert "25 mm/s, 10 mm/mV" in texts(plain)
    assert not any("research only" in text for text in texts(plain))
    restored = draw_ecg(ecg, LEADS, RATE, lower=ecg - 0.1, upper=ecg + 0.1)
    assert "25 mm/s, 10 mm/mV, 0.6-50 Hz, reconstructed: research only" in texts(restored)
    assert {"reconstructed (mean)", "90 % band"} < set(texts(restored))
    repaired = draw_ecg(
        ecg, LEADS, RATE, observed=np.zeros((12, 1)), made="repaired", note="measured samples as recorded"
    )
    assert any("measured samples as recorded, repaired: research only" in text for text in texts(repaired))
    repaired = draw_ecg(ecg, LEADS, RATE, observed=np.zeros((12, 1)), made="repaired")
    assert any("restored parts 0.6-50 Hz, the rest as recorded, repaired" in text for text in texts(repaired))
    assert any("denoised: research only" in t for t in texts(draw_ecg(ecg, LEADS, RATE, observed=[[False]], noisy=ecg)))
    long = draw_ecg(beats(length=3000) + 2.0, LEADS, RATE, start=10.0)
    assert any("10 to 20 s of 30 s" in text and "offset taken away: I, II" in text for text in texts(long))
    assert "from 20 s" in texts(draw_ecg(beats(1, 3000), ["I"], RATE))


def test_measured_restored_and_lost_stretches_differ():
    ecg = beats()
    observed = np.ones((12, 1000), bool)
    observed[1, 300:600] = observed[7] = False
    ecg[5] = np.nan
    ecg[10, 100:200] = np.nan
    figure = draw_ecg(
        ecg, LEADS, RATE, observed=observed, lower=ecg - 0.1, upper=ecg + 0.1, made="repaired", layout="12x1"
    )
    assert {"not recorded", "measured", "repaired (mean)"} < set(texts(figure))
    assert texts(figure).count("repaired") == 1  # V2; in lead II the stretch is tinted
    blue = [int(np.isfinite(line.get_ydata()).sum()) for line in lines(figure, BLUE)]
    assert sorted(blue) == [302, 1000]  # one sample beyond on each side, so that the lines meet
    black = [int(np.isfinite(line.get_ydata()).sum()) for line in lines(figure, INK)]
    assert sorted(black) == [0, 0, 700, 900, *[1000] * 8]
    (tint,) = (patch for patch in figure.axes[0].patches if patch.get_width() > 50.0)
    assert tint.get_width() == pytest.approx(75.0)


def test_truth_samples_and_recording_before_are_drawn():
    ecg = beats()
    curves = {"truth": ecg + 0.1, "samples": np.stack([ecg, ecg + 0.05]), "noisy": ecg + 0.3}
    with_all = draw_ecg(ecg, LEADS, RATE, lower=ecg - 0.1, upper=ecg + 0.1, **curves)
    assert {"true ECG, hidden from the method", "single samples", "recording", "denoised (mean)"} < set(texts(with_all))
    assert len(lines(with_all, GREY)) == len(lines(with_all, BLUE)) == 13
    thickness = {line.get_linewidth() for line in lines(with_all, BLUE)} | {0.4}
    assert thickness == {0.4, 1.0}


def test_a_sample_alone_between_missing_ones_is_a_dot():
    strip = place_strips(["I"], 1.0)[0]
    sheet = Sheet([strip], [Extent(0.0, 1.0, 0.0)])
    sheet.trace(strip, np.where(np.arange(100) % 5 == 0, 0.5, np.nan), RATE)
    dots = sheet.axes.lines[-1]
    assert dots.get_marker() == "."
    assert len(dots.get_xdata()) == 20


@pytest.mark.parametrize("length", [1, 3, 250, 1000, 1500])
@pytest.mark.parametrize("leads", [LEADS, INDEPENDENT_LEADS, ("II",), ("I real", "I generated")], ids=len)
def test_any_leads_and_lengths_are_drawn(tmp_path: Path, length: int, leads: tuple[str, ...]):
    figure = draw_ecg(beats(len(leads), length), leads, RATE, title="an ECG with a long title " * 6)
    assert set(leads) <= set(texts(figure))
    figure.savefig(tmp_path / "ecg.png", dpi=30)
    assert matplotlib.image.imread(tmp_path / "ecg.png").std() > 0.01


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_drawing_is_saved_to_the_same_bytes(tmp_path: Path, suffix: str):
    paths = [tmp_path / f"{k}.{suffix}" for k in range(2)]
    ecg = beats(length=250)

    def draw(path: Path) -> None:
        draw_ecg(ecg, LEADS, RATE, lower=ecg - 0.1, upper=ecg + 0.1).savefig(path)

    threads = [threading.Thread(target=draw, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 5000


def test_a_figure_shows_itself_in_a_notebook():
    assert draw_ecg(beats(1, 250), ["I"], RATE)._repr_png_().startswith(b"\x89PNG")


def test_drawing_errors_are_reported():
    ecg = beats()
    for message, change in (
        ("one name a lead", {"leads": LEADS[:8]}),
        ("choose one of 3x4", {"layout": "4x3"}),
        ("speed is 30: choose one of 25, 50", {"speed": 30}),
        ("gain is 1: choose one of 5, 10, 20", {"gain": 1}),
        ("start is 10 s", {"start": 10}),
        ("made is 'drawn'", {"made": "drawn"}),
        ("belong together", {"lower": ecg}),
        ("truth has shape", {"truth": ecg[:3]}),
        ("samples has shape", {"samples": ecg}),
        ("observed has shape", {"observed": np.ones((3, 1))}),
    ):
        with pytest.raises(ValueError, match=message):
            draw_ecg(**({"signal": ecg, "leads": LEADS, "sampling_rate": RATE} | change))
