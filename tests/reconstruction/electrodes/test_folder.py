"""Recordings checked into a folder."""

from dataclasses import replace

import pandas as pd
import pytest

import einthoven
from reconstruction.electrodes.eight_leads import corrected_signal
from reconstruction.electrodes.folder import CORRECTED, TABLE, check_all
from reconstruction.electrodes.maps import hypotheses

SETTINGS = {"seed": 0, "weights": None, "device": "cpu"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A recording with RA and LA swapped, and a file that is none."""
    folder = tmp_path_factory.mktemp("recordings")
    demo = einthoven.read(einthoven.DEMO_ECG)
    signal = corrected_signal(demo, hypotheses()["RA/LA"].swap)[:, : round(3 * demo.sampling_rate)]
    written = replace(demo, signal=signal).save(folder / "swapped.csv")
    broken = folder / "broken.csv"
    broken.write_text("nothing", encoding="utf-8")
    return [written, broken]


def test_what_is_found_is_told_and_corrected_when_asked(files, tmp_path):
    done = check_all(files, tmp_path, SETTINGS, correct=True, suffix=None)
    table = pd.read_csv(tmp_path / TABLE)
    assert table["best"][0] == "RA/LA"
    assert isinstance(table["problem"][1], str)
    assert done.failed
    assert "in 1 something looks mixed up, 1 not usable" in done.text
    assert einthoven.read(tmp_path / CORRECTED / "swapped.csv").signal.shape[0] == 12


def test_the_only_recording_must_be_usable(files, tmp_path):
    with pytest.raises(ValueError, match="broken"):
        check_all(files[1:], tmp_path, SETTINGS, correct=False, suffix=None)
