"""Clean leads with recorded noise: ratios, shared noise, halves."""

import numpy as np
import pytest

from einthoven.ecg.formats.wfdb import read_wfdb
from einthoven.ecg.leads import LEADS
from noise_quant.data.mixtures import mixture_source


def test_mixtures_have_their_ratio_and_share_their_noise(noisy_ptbxl, nstdb_folder):
    source = mixture_source(noisy_ptbxl, nstdb_folder, "test")
    # Of fold 10, record 12 is noisy; lead III of record 10 is flat: listed, but not mixed.
    assert {item.columns["ecg_id"] for item in source.items} == {10}
    assert [(item.columns["noise_type"], item.columns["snr_db"]) for item in source.items] == [
        (noise, ratio) for noise in ("bw", "em", "ma") for ratio in (24.0, 18.0, 12.0, 6.0, 0.0, -6.0)
    ]
    x = read_wfdb(noisy_ptbxl / "records500/00000/00010_hr").ordered(LEADS)
    x = np.delete(x - x.mean(axis=1, keepdims=True), 2, axis=0)
    added = {}
    for item in source.items:
        record = source.read(item)
        assert record.leads == ("I", "II", *LEADS[3:])
        noise = record.signal - x
        power = 10 * np.log10((x**2).mean() / (noise**2).mean())
        assert power == pytest.approx(item.columns["snr_db"], abs=1e-9)
        added.setdefault(item.columns["noise_type"], []).append(noise / noise.std())
        assert item.seed_key == "10"
    for noise in added.values():
        np.testing.assert_allclose(noise, np.broadcast_to(noise[0], np.shape(noise)), atol=1e-9)
    assert abs(np.corrcoef(added["bw"][0].ravel(), added["em"][0].ravel())[0, 1]) < 0.5
    assert not source.labels.loc[source.labels["split"] == "test", "trained"].any()


def test_splits_take_different_halves_of_the_noise(noisy_ptbxl, nstdb_folder):
    val = mixture_source(noisy_ptbxl, nstdb_folder, "val", ["em"], [0])
    leads = {item.columns["ecg_id"]: item.leads for item in val.items}
    assert leads == {9: tuple(lead for lead in LEADS if lead not in ("V1", "V2")), 11: LEADS}
    assert val.read.half == "fit"
    assert mixture_source(noisy_ptbxl, nstdb_folder).read.half == "test"
    for mistake, message in (
        ({"split": "train"}, "val or test"),
        ({"noise_types": []}, "at least one"),
        ({"noise_types": ["mains"]}, "bw, em, ma"),
    ):
        with pytest.raises(ValueError, match=message):
            mixture_source(noisy_ptbxl, nstdb_folder, **mistake)
