import threading
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from einthoven.report.ecg_paper import GAIN, SPEED, new_page, place_strips, trace_points
from einthoven.report.figures import draw_ecg, draw_loss_curve, draw_reconstruction

RATE = 100.0


def beats(n_leads: int = 12, length: int = 1000) -> np.ndarray:
    times = np.arange(length) / RATE
    return np.linspace(0.5, 1.5, n_leads)[:, None] * np.exp(-0.5 * (((times % 0.8) - 0.4) / 0.02) ** 2)


def is_picture(path: Path) -> bool:
    picture = matplotlib.image.imread(path)
    return min(picture.shape[:2]) > 100 and float(picture[..., :3].std()) > 0.01


def test_standard_layout_is_that_of_a_printed_ecg():
    strips = place_strips(LEADS, 10.0, "3x4")
    assert [LEADS[strip.lead] for strip in strips if strip.row == 0] == ["I", "aVR", "V1", "V4"]
    assert [LEADS[strip.lead] for strip in strips if strip.row == 3] == ["II"]
    assert [(strip.start, strip.stop) for strip in strips if strip.row == 1] == [
        (0, 2.5),
        (2.5, 5),
        (5, 7.5),
        (7.5, 10),
    ]
    assert strips[-1].stop - strips[-1].start == 10.0


@pytest.mark.parametrize("layout", ["3x4", "12x1"])
@pytest.mark.parametrize("dpi", [72, 150])
def test_paper_has_its_true_size(layout: str, dpi: int):
    strips = place_strips(LEADS, 10.0, layout)
    page = new_page(strips, [(-0.3, 1.0)] * len(strips), 25.0)
    width_mm, height_mm = np.array(page.figure.get_size_inches()) * 25.4
    # One mm of the drawing is one mm of the printout, in both directions.
    corner = page.axes.transData.transform([(0.0, 0.0), (SPEED, GAIN)]) / page.figure.dpi * 25.4
    np.testing.assert_allclose(corner[1] - corner[0], [25.0, 10.0], rtol=1e-6)
    assert (page.width, page.height) == pytest.approx((width_mm, height_mm))
    x, y = trace_points(strips[0], np.arange(1000) * 0.001, page.baselines[0], RATE)
    assert (x[100] - x[0], y[100] - y[0]) == pytest.approx((25.0, 1.0))


def test_drawn_ecg_has_the_pixels_of_its_size(tmp_path: Path):
    draw_ecg(tmp_path / "ecg.png", beats(), RATE, title="simulated", dpi=100)
    picture = matplotlib.image.imread(tmp_path / "ecg.png")
    assert picture.shape[1] == pytest.approx((10 * SPEED + 30) / 25.4 * 100, abs=1)


@pytest.mark.parametrize("layout", ["3x4", "12x1"])
@pytest.mark.parametrize("length", [250, 1000, 1500])
def test_reconstruction_is_drawn_with_and_without_truth(tmp_path: Path, layout: str, length: int):
    mean = beats(length=length)
    observed = np.zeros((12, 1), bool)
    observed[0] = True
    for name, truth in (("known", mean + 0.1), ("unknown", None)):
        path = tmp_path / f"{name}.png"
        draw_reconstruction(
            path, mean, mean - 0.1, mean + 0.1, RATE, truth=truth, observed=observed, layout=layout, dpi=60
        )
        assert is_picture(path)


def test_the_band_and_the_mean_are_blue_and_the_observed_is_black(tmp_path: Path):
    mean = beats()
    for name, observed in (("all", True), ("none", False)):
        draw_reconstruction(
            tmp_path / f"{name}.png", mean, mean - 0.2, mean + 0.2, RATE, observed=np.full((12, 1), observed), dpi=60
        )
    pictures = {name: matplotlib.image.imread(tmp_path / f"{name}.png")[:-30, :, :3] for name in ("all", "none")}
    blue = {name: (p[..., 2] > p[..., 0] + 0.2).sum() for name, p in pictures.items()}
    assert blue["all"] == 0
    assert blue["none"] > 1000


def test_the_recording_before_its_noise_was_removed_is_grey(tmp_path: Path):
    mean = beats()
    noisy = mean + 0.3
    noisy[2:] = np.nan
    for name, before in (("with", noisy), ("without", None)):
        draw_reconstruction(tmp_path / f"{name}.png", mean, mean - 0.1, mean + 0.1, RATE, noisy=before, dpi=60)
    pictures = {name: matplotlib.image.imread(tmp_path / f"{name}.png")[..., :3] for name in ("with", "without")}
    pale = {name: (np.ptp(p, axis=-1) < 0.1) & (np.abs(p.mean(axis=-1) - 0.65) < 0.15) for name, p in pictures.items()}
    assert pale["with"].sum() > pale["without"].sum() + 500


def test_figures_are_drawn_from_several_threads(tmp_path: Path):
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    threads = [threading.Thread(target=draw_ecg, args=(path, beats(), RATE), kwargs={"dpi": 50}) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({path.read_bytes() for path in paths}) == 1


def test_drawing_errors_are_reported(tmp_path: Path):
    with pytest.raises(ValueError, match="twelve leads"):
        draw_ecg(tmp_path / "a.png", beats(8), RATE, leads=LEADS[:8])
    with pytest.raises(ValueError, match="one name a lead"):
        draw_ecg(tmp_path / "a.png", beats(8), RATE)
    with pytest.raises(ValueError, match="3x4 or 12x1"):
        draw_ecg(tmp_path / "a.png", beats(), RATE, layout="6x2")
    draw_ecg(tmp_path / "a.png", beats(8), RATE, leads=LEADS[:8], layout="12x1", dpi=50)
    assert is_picture(tmp_path / "a.png")


def test_loss_curve_takes_the_lines_of_a_run(tmp_path: Path):
    lines: list[dict[str, object]] = [{"step": step, "loss": 1.0 / (step + 1)} for step in range(300)]
    lines += [{"step": 100, "val/sigma_0.1": 0.5, "val": {"sigma_1": 0.2}, "note": "text"}, {"event": "resumed"}]
    lines += [{"step": 200, "loss": float("nan"), "val/sigma_0.1": 0.4}]
    draw_loss_curve(lines, tmp_path / "new" / "loss.png")
    assert is_picture(tmp_path / "new" / "loss.png")
    draw_loss_curve([], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").is_file()
