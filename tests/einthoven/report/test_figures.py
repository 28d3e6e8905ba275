from pathlib import Path

import matplotlib.image

from einthoven.report import figures
from einthoven.report.figures import draw_loss_curve


def is_picture(path: Path) -> bool:
    picture = matplotlib.image.imread(path)
    return min(picture.shape[:2]) > 100 and float(picture[..., :3].std()) > 0.01


def test_loss_curve_takes_the_lines_of_a_run(tmp_path: Path):
    lines: list[dict[str, object]] = [{"step": step, "loss": 1.0 / (step + 1)} for step in range(300)]
    lines += [{"step": 100, "val/sigma_0.1": 0.5, "val": {"sigma_1": 0.2}, "note": "text"}, {"event": "resumed"}]
    lines += [{"step": 200, "loss": float("nan"), "val/sigma_0.1": 0.4}]
    draw_loss_curve(lines, tmp_path / "new" / "loss.png")
    assert is_picture(tmp_path / "new" / "loss.png")
    draw_loss_curve([], tmp_path / "empty.png")
    assert (tmp_path / "empty.png").is_file()


def test_loss_curve_says_what_each_of_its_curves_is(monkeypatch):
    saved = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: saved.append(figure))
    lines: list[dict[str, object]] = [{"step": step, "loss": 1.0} for step in range(20)]
    lines += [{"step": 10, "validation/lead_I/0.1": 0.5, "validation/noisy": 0.4, "validation/all_patterns": 0.3}]
    draw_loss_curve(lines, "loss.png")
    (axes,) = saved[0].axes
    assert axes.get_xlabel() == "training step" and "lower is better" in axes.get_ylabel()
    legend = axes.get_legend()
    assert "EMA" in legend.get_title().get_text()
    assert [text.get_text() for text in legend.get_texts()] == [
        "training, each logged step",
        "training, moving average",
        "validation, lead I measured, noise level 0.1",
        "validation, all leads measured with noise",
        "validation, all patterns",
    ]
