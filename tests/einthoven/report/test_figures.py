from pathlib import Path

import matplotlib.image

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
