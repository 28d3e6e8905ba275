"""RhythmDiff's checkpoints, as its training pickles them: the golden states, and what is wrong with others."""

import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from diffusion_prior.checkpoint import build_denoiser, load_denoiser, save_denoiser, take_weights
from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.rhythmdiff_checkpoint import denoising_loss, pairs_were_trained
from einthoven.ecg.leads import LEADS, NINE_LEADS
from einthoven.ecg.statements import LABEL_ORDER, STATEMENTS, encode
from tests.diffusion_prior.training.test_objective import TINY
from tests.paths import GOLDEN

KINDS = ("conditional", "unconditional")
SIZES = {
    "d_model": 12, "n_layers": 2, "pool": [2, 1], "expand": 3, "ff": 1, "unet": False, "label_embed_dim": 16,
    "diffusion_step_embed_dim_in": 8, "diffusion_step_embed_dim_mid": 20, "diffusion_step_embed_dim_out": 24, "L": 32,
}  # fmt: skip
"""Sizes that differ from all defaults."""


def made_up(**settings):
    """A published state with sizes of its own: its labels are taken to be in the published order."""
    torch.manual_seed(0)
    spec = {"backbone": {"name": "sashimi", **SIZES}, "schedule": {"name": "discrete"}, "segment_length": 32}
    denoiser = build_denoiser({**spec, "record_length": None, **settings})
    with torch.no_grad():
        denoiser.backbone.final_conv[2].conv.weight.normal_()
    return denoiser.backbone.state_dict()


def pickled(path, state, **others):
    torch.save({"model_state_dict": state, **others}, path)
    return path


@pytest.fixture(params=KINDS)
def golden(request):
    """A small published state, with inputs and what the published network makes of them."""
    if not GOLDEN.is_dir():
        pytest.skip("needs the golden files beside the repository")
    with np.load(GOLDEN / f"sashimi_{request.param}_io.npz") as arrays:
        arrays = {name: torch.from_numpy(arrays[name]) for name in arrays}
    return load_file(GOLDEN / f"sashimi_{request.param}_state.safetensors"), arrays


@pytest.mark.parametrize("suffix", [".pkl", ".pth", ".safetensors", "bare.pt", "folder"])
def test_the_published_network_is_read_whatever_its_file(golden, tmp_path, suffix):
    state, arrays = golden
    file = tmp_path / f"checkpoint{suffix}"
    if suffix == "folder":
        file, _ = tmp_path, pickled(tmp_path / "checkpoint.pkl", state, optimizer_state_dict={"state": {}})
    elif suffix == ".safetensors":
        save_file(state, file)
    elif suffix == "bare.pt":
        torch.save(state, file)
    else:
        pickled(file, state, optimizer_state_dict={"state": {}, "param_groups": [{"lr": 2e-4}]})
    denoiser = load_denoiser(file, conjugate_pairs=False)
    assert denoiser.leads == NINE_LEADS and denoiser.sampling_rate == 100 and not denoiser.training
    assert denoiser.segment_length == 256 and denoiser.record_length is None
    label = None
    if "embedding.weight" in state:
        label = arrays["label"][:, [LABEL_ORDER.index(code) for code in STATEMENTS]].float()
    t = denoiser.schedule.time(arrays["t"][:, 0])
    epsilon = denoiser.noise(arrays["x"], t, label)
    torch.testing.assert_close(epsilon, arrays["epsilon"], rtol=0, atol=5e-7)


def test_rows_of_the_embedding_are_put_into_our_order(golden, tmp_path):
    state, _ = golden
    backbone = load_denoiser(pickled(tmp_path / "c.pkl", state), conjugate_pairs=False).backbone.state_dict()
    for name, weight in state.items():
        if name != "embedding.weight":
            assert torch.equal(backbone[name], weight), name
            continue
        # RhythmDiff's own numbers of some statements (its data loader)
        for code, row in {"NORM": 46, "SR": 61, "CRBBB": 12, "CLBBB": 11, "SBRAD": 59, "AFIB": 4}.items():
            assert torch.equal(torch.from_numpy(encode([code])) @ backbone[name], weight[row])


def test_untrained_weights_are_taken_as_the_golden_files_are_and_both_losses_are_told(golden, tmp_path):
    denoiser = load_denoiser(pickled(tmp_path / "c.pkl", golden[0]))
    assert denoiser.facts["conjugate_pairs"] is False and denoiser.spec["backbone"]["conjugate_pairs"] is False
    losses = denoiser.facts["denoising_losses"]
    assert losses["without"] == denoising_loss(denoiser)
    pairs = load_denoiser(tmp_path / "c.pkl", conjugate_pairs=True)
    assert pairs.facts == {"published": True, "conjugate_pairs": True} and pairs.spec["backbone"]["conjugate_pairs"]
    assert losses["conjugate_pairs"] == denoising_loss(pairs) != losses["without"]


@pytest.mark.parametrize(
    ("with_pairs", "without", "pairs"),
    [(0.05, 0.9, True), (0.05, 5.0, True), (0.5, 0.6, False), (0.9, 0.05, False), (0.9, 9.0, False), (1.0, 1.0, False)],
)
def test_pairs_are_only_taken_where_they_find_the_noise_clearly_better(with_pairs, without, pairs):
    assert pairs_were_trained(with_pairs, without) is pairs


def test_the_network_that_finds_the_noise_is_chosen(tmp_path, monkeypatch):
    losses = {False: 0.9, True: 0.1}
    monkeypatch.setattr(
        "diffusion_prior.checkpoint.denoising_loss", lambda d: losses[d.spec["backbone"]["conjugate_pairs"]]
    )
    denoiser = load_denoiser(pickled(tmp_path / "c.pkl", made_up()))
    assert denoiser.spec["backbone"]["conjugate_pairs"] is True and denoiser.facts["conjugate_pairs"] is True
    assert denoiser.facts["denoising_losses"] == {"conjugate_pairs": 0.1, "without": 0.9}


@pytest.mark.parametrize("unconditional", [False, True])
def test_sizes_are_inferred(tmp_path, unconditional):
    state = made_up(unconditional=unconditional)
    denoiser = load_denoiser(pickled(tmp_path / "c.pkl", state), conjugate_pairs=False)
    expected = {**SIZES, "label_embed_dim": 128} if unconditional else SIZES
    assert denoiser.spec["backbone"] == {"name": "sashimi", **expected, "conjugate_pairs": False}
    assert denoiser.n_labels == (0 if unconditional else 71)
    assert denoiser.schedule.n_steps == 1000 and not denoiser.schedule.published_offset
    assert not any(weight.requires_grad for weight in denoiser.parameters())


def test_ten_seconds_are_followed_by_zeros_and_twelve_leads_are_known(tmp_path):
    long = load_denoiser(
        pickled(tmp_path / "c.pkl", made_up(backbone={"name": "sashimi", **SIZES, "L": 1024})), conjugate_pairs=False
    )
    assert (long.record_length, long.segment_length, long.padded_length(1000)) == (1000, 1024, 1024)
    twelve = load_denoiser(pickled(tmp_path / "c.pkl", made_up(leads=LEADS)), conjugate_pairs=False)
    assert twelve.leads == LEADS
    x = twelve(torch.randn(1, 12, 32), torch.tensor(0.2))
    torch.testing.assert_close(x[:, 3], -(x[:, 0] + x[:, 1]) / 2)


def change(state, **weights):
    return {**state, **{name.replace("__", "."): weight for name, weight in weights.items()}}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: {n: w for n, w in s.items() if n != "norm.m"}, r"1 missing \(norm.m\)"),
        (lambda s: change(s, extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (lambda s: change(s, fc_t2__bias=torch.zeros(5)), r"1 of another shape \(fc_t2.bias \(5,\) for \(24,\)\)"),
        (lambda s: {n: w for n, w in s.items() if "init_conv" not in n}, "1 of the weights that tell its sizes"),
        (lambda s: {"conv.weight": torch.zeros(3)}, "no checkpoint of RhythmDiff's SaShiMi"),
        (lambda s: change(s, norm__m=torch.full((1,), torch.nan)), "not finite"),
        (lambda s: change(s, embedding__weight=torch.zeros(5, 16)), "knows 5 labels, not PTB-XL's 71"),
        (
            lambda s: {n: w * (not n.endswith("kernel.L")) for n, w in s.items()},
            "before its network was first used",
        ),
        (lambda s: change(s, c_layers__0__layer__kernel__kernel__L=torch.tensor(8)), "do not belong together"),
    ],
)
def test_what_does_not_fit_is_counted_and_named(tmp_path, damage, message):
    pickled(tmp_path / "c.pkl", damage(made_up()))
    with pytest.raises(ValueError, match=message) as caught:
        load_denoiser(tmp_path / "c.pkl")
    assert "c.pkl" in str(caught.value)


def test_other_numbers_of_leads_are_refused(tmp_path):
    with pytest.raises(ValueError, match="8 channels in and 8 out; RhythmDiff's have 9"):
        load_denoiser(pickled(tmp_path / "c.pkl", made_up(leads=["I", "II", *LEADS[6:]])))


class Trap:
    """What a hostile pickle holds: a command that is run by reading it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


@pytest.mark.parametrize("modern", [False, True], ids=["legacy", "zip"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, modern):
    for content in ({"model_state_dict": {"a": Trap(tmp_path / "ran")}}, Trap(tmp_path / "ran")):
        torch.save(content, tmp_path / "c.pkl", _use_new_zipfile_serialization=modern)
        with pytest.raises(ValueError, match="holds code, which is never run"):
            load_denoiser(tmp_path / "c.pkl")
        assert not (tmp_path / "ran").exists()


def test_files_without_weights_are_refused(tmp_path):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    for content in ({"optimizer_state_dict": optimizer.state_dict()}, {"epoch": 3}, [1]):
        torch.save(content, tmp_path / "c.pkl")
        with pytest.raises(ValueError, match="under model_state_dict or alone"):
            load_denoiser(tmp_path / "c.pkl")
    (tmp_path / "c.pkl").write_text("hello")
    with pytest.raises(ValueError, match="damaged, of another kind"):
        load_denoiser(tmp_path / "c.pkl")
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="does not say how to build its network"):
        load_denoiser(tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="no weights at"):
        load_denoiser(tmp_path / "absent.pkl")


def test_settings_of_these_weights_are_refused_for_others(tmp_path):
    save_denoiser(tmp_path / "unet.safetensors", build_denoiser(TINY))
    for path in (None, tmp_path / "unet.safetensors"):
        with pytest.raises(ValueError, match="published_offset is for a SaShiMi"):
            load_denoiser(path, published_offset=True)
        with pytest.raises(ValueError, match="conjugate_pairs is for a SaShiMi"):
            load_denoiser(path, conjugate_pairs=False)


def test_the_offset_takes_the_level_one_step_behind(tmp_path):
    file = pickled(tmp_path / "c.pkl", made_up())
    plain, behind = (load_denoiser(file, published_offset=o, conjugate_pairs=False) for o in (False, True))
    assert behind.schedule.published_offset and behind.schedule.n_levels == 999
    x_t, step = torch.randn(1, 9, 32), torch.tensor(500)
    noise = [d.noise(x_t, d.schedule.time(step)) for d in (plain, behind)]
    assert torch.equal(*noise)
    assert behind.schedule(behind.schedule.time(step)) == plain.schedule(plain.schedule.time(step - 1))


def test_ours_keep_what_they_are(tmp_path):
    state = made_up()
    published = load_denoiser(pickled(tmp_path / "c.pkl", state), conjugate_pairs=True)
    save_denoiser(tmp_path / "ours.safetensors", published, published.facts)
    ours = load_denoiser(tmp_path / "ours.safetensors", published_offset=True)
    assert ours.spec == published.spec and ours.facts == published.facts and ours.schedule.published_offset
    x_t, t, label = torch.randn(2, 9, 32), torch.tensor(0.3), torch.from_numpy(encode(["AFIB"])).expand(2, -1)
    known = Conditions(label)
    same = load_denoiser(tmp_path / "ours.safetensors")
    assert torch.equal(same(x_t, t, known), published(x_t, t, known))
    other = load_denoiser(tmp_path / "ours.safetensors", conjugate_pairs=False)
    assert not torch.allclose(other(x_t, t, known), published(x_t, t, known))


def test_training_can_start_from_a_published_checkpoint(tmp_path):
    file = pickled(tmp_path / "c.pkl", made_up())
    loaded = load_denoiser(file)
    fresh = build_denoiser(loaded.spec)
    take_weights(fresh, file)
    x_t, t = torch.randn(1, 9, 32), torch.tensor(0.3)
    with torch.no_grad():
        assert torch.equal(fresh(x_t, t), loaded(x_t, t))
    backbone = {**loaded.spec["backbone"], "conjugate_pairs": True}
    with pytest.raises(ValueError, match="another network"):
        take_weights(build_denoiser({**loaded.spec, "backbone": backbone}), file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": {"name": "edm"}}, "the backbone sashimi has the schedule discrete"),
        ({"backbone": {"name": "sashimi", "d_modle": 8}}, "do not fit the backbone sashimi.*d_modle"),
        ({"schedule": {"sigma_max": 3.0}}, "do not fit the backbone sashimi.*sigma_max"),
        ({"segment_length": 30}, "multiple of 4"),
    ],
)
def test_settings_that_build_no_sashimi_are_refused(change, message):
    spec = {"backbone": {"name": "sashimi", "d_model": 8, "n_layers": 1, "L": 32}, "segment_length": 32}
    with pytest.raises(ValueError, match=message):
        build_denoiser({**spec, "record_length": None, **change})
