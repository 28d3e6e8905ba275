import numpy as np
import pandas as pd
import pytest
import torch

from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from preprocessing.cohorts.simulator import simulate_ecg
from reconstruction.measurement.missingness import Missingness, cut_segments
from reconstruction.measurement.operators import Resampling
from reconstruction.measurement.saturation import SaturatedLeads

INNER = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]


def test_lead_counts_observed_leads():
    observed = Missingness("lead", 2).observed([1, 2], 100, 0)
    assert observed.shape == (2, 12, 100)
    assert observed[:, :2].all()
    assert not observed[:, 2:].any()


def test_rm_hides_points_of_each_lead():
    observed = Missingness("rm", 30).observed([1, 2], 100, 0)
    assert (~observed[:, INNER]).sum(-1).tolist() == [[30] * 8] * 2
    assert not np.array_equal(observed[:, 0], observed[:, 1])


def test_blocks_lie_on_their_grid():
    separate, same = (Missingness(kind, 25).observed(range(20), 100, 0)[:, INNER] for kind in ("mnr", "bm"))
    for observed in (separate, same):
        starts = (~observed).argmax(-1)
        assert ((~observed).sum(-1) == 25).all()
        assert set(np.unique(starts)) == {0, 25, 50, 75}
    assert (same == same[:, :1]).all()
    assert not (separate == separate[:, :1]).all()


def test_a_derived_lead_is_hidden_with_its_sources():
    observed = Missingness("rm", 50).observed([1], 100, 0)[0]
    for lead in ("III", "aVR", "aVL", "aVF"):
        assert np.array_equal(observed[LEADS.index(lead)], observed[0] & observed[1])


def test_a_record_keeps_its_pattern_in_any_company():
    pattern = Missingness("rm", 10)
    assert np.array_equal(pattern.observed([5, 7], 50, 0)[1], pattern.observed([7], 50, 0)[0])
    assert not np.array_equal(pattern.observed([7], 50, 0), pattern.observed([7], 50, 1))


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [
        ("leads", 1, "did you mean 'lead'"),
        ("lead", 12, "1 to 11"),
        ("lead", "50%", "1 to 11"),
        ("random_lead", 8, "1 to 7"),
        ("bm", 0, "1 or more"),
        ("bm", "100%", "a share of them such as 50%"),
        ("rm", 0.5, "a share of them such as 50%"),
        ("rm", "half", "1 or more"),
        ("low_rate", 1, "2 to 10"),
        ("clip", 100, "1 to 99"),
        ("mask", 1, "mask_path and missingness_type=mask belong together"),
    ],
)
def test_mistakes_are_told(kind, amount, message):
    with pytest.raises(ValueError, match=message):
        Missingness(kind, amount)


def test_hiding_everything_is_refused():
    with pytest.raises(ValueError, match="hide fewer"):
        Missingness("bm", 100).observed([1], 100, 0)
    with pytest.raises(ValueError, match="hide fewer"):
        Missingness("bm", 100).check([1], 100)


def test_a_share_is_of_the_samples():
    assert Missingness("bm", "20%").n_hidden(256) == 51
    half, same = (Missingness("rm", amount).observed([3], 256, 0) for amount in ("50%", 128))
    assert np.array_equal(half, same)


def test_random_leads_are_a_records_own():
    observed = Missingness("random_lead", 2).observed(range(40), 10, 0)
    assert (observed[:, INNER].all(-1).sum(-1) == 2).all()
    assert (observed.any(-1) == observed.all(-1)).all()
    assert observed[:, INNER, 0].any(0).all()
    both_limb = observed[:, 0, 0] & observed[:, 1, 0]
    assert (observed[:, LEADS.index("aVF"), 0] == both_limb).all()
    assert np.array_equal(observed[7], Missingness("random_lead", 2).observed([7], 10, 0)[0])


def test_only_whole_leads_have_a_number():
    assert Missingness("lead", 3).n_leads == 3
    with pytest.raises(ValueError, match="data.leads"):
        _ = Missingness("rm", 3).n_leads


@pytest.fixture
def truth():
    return simulate_ecg(2, 100, 2.56)


def test_low_rate_measures_all_leads_at_a_lower_rate(truth):
    measurement = Missingness("low_rate", 2).measure([1, 2], truth, INDEPENDENT_LEADS, 0)
    assert measurement.leads == INDEPENDENT_LEADS
    assert measurement.y.shape == (2, 8, 128)
    assert measurement.length == 256
    torch.testing.assert_close(measurement.y, Resampling(1, 2, 256)(torch.from_numpy(truth[:, INNER])))
    torch.testing.assert_close(measurement.operator(torch.from_numpy(truth[:, INNER])), measurement.y)
    assert not measurement.known()[1].any()


def test_clip_bounds_the_peaks(truth):
    measurement = Missingness("clip", 60).measure([1, 2], truth, INDEPENDENT_LEADS, 0)
    assert isinstance(measurement.operator, SaturatedLeads)
    inner = torch.from_numpy(truth[:, INNER])
    rail = 0.6 * inner.abs().amax(-1, keepdim=True)
    assert torch.equal(measurement.observed, inner.abs() < rail)
    assert torch.equal(measurement.lower > -torch.inf, inner >= rail)
    assert torch.equal(measurement.upper < torch.inf, inner <= -rail)
    twelve = measurement.complete(torch.zeros(3, 2, 8, 256))
    assert torch.equal(twelve[0], twelve[2])
    restored = twelve[0][:, INNER]
    torch.testing.assert_close(restored, inner.clamp(-rail, rail))
    torch.testing.assert_close(twelve[:, :, 2], twelve[:, :, 1] - twelve[:, :, 0])
    # Beyond the rails nothing is cut.
    beyond = measurement.complete(3 * inner[None])[0]
    torch.testing.assert_close(beyond[:, INNER], torch.where(measurement.observed, inner, 3 * inner))


def random_masks(n, length=20):
    return np.random.default_rng(0).random((n, 12, length)) < 0.5


@pytest.mark.parametrize("kind", ["npy", "npz", "csv"])
def test_one_mask_for_all_records(tmp_path, kind):
    mask, path = random_masks(1)[0], tmp_path / f"mask.{kind}"
    if kind == "npy":
        np.save(path, mask)
    elif kind == "npz":
        np.savez(path, observed=mask)
    else:
        mask[3:] = False
        pd.DataFrame(mask[2::-1].T.astype(int), columns=["iii", "II", "I"]).to_csv(path, index=False)
    observed = Missingness("mask", mask_path=path).observed([4, 5], 20, 0)
    assert np.array_equal(observed, np.stack([mask, mask]))


@pytest.mark.parametrize("kind", ["npz", "csv"])
def test_masks_go_by_key(tmp_path, kind):
    masks, keys, path = random_masks(3), [30, 10, 20], tmp_path / f"mask.{kind}"
    if kind == "npz":
        np.savez(path, observed=masks, ecg_id=keys)
    else:
        tables = [pd.DataFrame(mask.T, columns=LEADS).assign(ecg_id=key) for mask, key in zip(masks, keys, strict=True)]
        pd.concat(tables).to_csv(path, index=False)
    pattern = Missingness("mask", mask_path=path)
    assert np.array_equal(pattern.observed([10, 30], 20, 0), masks[[1, 0]])
    measurement = pattern.measure([10], np.ones((1, 12, 20), np.float32), INDEPENDENT_LEADS, 0)
    assert np.array_equal(measurement.observed[0], masks[1])
    with pytest.raises(ValueError, match="no mask for 1 record.*40"):
        pattern.check([10, 40], 20)
    with pytest.raises(ValueError, match="have 20 samples, the records 30.*segment_length"):
        pattern.check([10], 30)


def test_mistakes_in_mask_files_are_told(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "mask.npz", **arrays)
        return Missingness("mask", mask_path=tmp_path / "mask.npz")

    with pytest.raises(ValueError, match="no mask at"):
        Missingness("mask", mask_path=tmp_path / "absent.npy")
    with pytest.raises(ValueError, match="no array 'observed', but mask"):
        write(mask=random_masks(1)[0])
    with pytest.raises(ValueError, match="without their keys"):
        write(observed=random_masks(2))
    with pytest.raises(ValueError, match="N keys in ecg_id"):
        write(observed=random_masks(2), ecg_id=[1])
    with pytest.raises(ValueError, match=r"give \(12, L\)"):
        write(observed=np.ones((8, 20)))
    with pytest.raises(ValueError, match="other than 0 and 1"):
        write(observed=np.full((12, 20), 0.5))
    with pytest.raises(ValueError, match="hides all of 1 record"):
        write(observed=np.zeros((12, 20))).check([1], 20)
    pd.DataFrame({"I": [1, 1, 1], "ecg_id": [1, 1, 2]}).to_csv(tmp_path / "mask.csv", index=False)
    with pytest.raises(ValueError, match="different lengths"):
        Missingness("mask", mask_path=tmp_path / "mask.csv")


def test_a_stretch_belongs_to_its_record():
    ecg = np.arange(3 * 50, dtype=np.float32).reshape(3, 1, 50)
    cut = cut_segments(ecg, [1, 2, 3], 20, 0)
    assert cut.shape == (3, 1, 20)
    assert (np.diff(cut) == 1).all()
    assert np.array_equal(cut[1:2], cut_segments(ecg[1:2], [2], 20, 0))
    assert len({int(x) for x in cut[:, 0, 0] - ecg[:, 0, 0]}) > 1
    assert np.array_equal(cut_segments(ecg, [1, 2, 3], None, 0), ecg)
    assert np.array_equal(cut_segments(ecg, [1, 2, 3], 50, 0), ecg)
    with pytest.raises(ValueError, match="segment_length is 51, but a record has 50"):
        cut_segments(ecg, [1, 2, 3], 51, 0)


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".csv"])
def test_a_damaged_mask_is_one_line(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    if suffix == ".csv":
        path.write_bytes(b"\xff\xfe\x00")
    else:
        mask = np.ones((12, 1000), bool)
        np.savez(path, observed=mask) if suffix == ".npz" else np.save(path, mask)
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=f"mask{suffix}"):
        Missingness("mask", mask_path=path)
