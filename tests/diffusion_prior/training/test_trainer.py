"""The training loop: what it learns, and that a stopped run goes on as if nothing had happened."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, load_denoiser
from diffusion_prior.model.state_space import state_space_groups
from diffusion_prior.training import trainer as trainer_module
from diffusion_prior.training.data import TrainingData, WeightedStore, gather
from diffusion_prior.training.objective import DenoisingObjective, NoiseLevels, build_objective
from diffusion_prior.training.observation import ObservationPatterns
from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.trainer import EMA, Trainer
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS, NINE_LEADS, lead_matrix
from einthoven.run.run_folder import RunFolder
from preprocessing.cohorts.simulator import simulate_store
from preprocessing.store.store import write_store
from tests.diffusion_prior.training.test_objective import TINY, TINY_SASHIMI
from tests.scripts import run_script, start_script, wait_for

SETTINGS = TrainerSettings(n_steps=8, batch_size=4, warmup_steps=2, validate_every=4, save_every=4, learning_rate=2e-3)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return simulate_store(tmp_path_factory.mktemp("data") / "store", n_records=20)


def make(store, path, settings=SETTINGS):
    torch.manual_seed(5)
    spec = {**TINY, "backbone": {**TINY["backbone"], "dropout": 0.1}}
    objective = DenoisingObjective(build_denoiser(spec), NoiseLevels(), ObservationPatterns())
    run = RunFolder.create(path, {"tiny": True}, seed=0, device="cpu")
    return Trainer(objective, TrainingData([WeightedStore(store)], lengths=(64, 128)), settings, run)


def make_sashimi(store, path, settings=SETTINGS, state_space_rate=1e-3):
    torch.manual_seed(5)
    denoiser = build_denoiser(TINY_SASHIMI)
    run = RunFolder.create(path, {"sashimi": True}, seed=0, device="cpu")
    data = TrainingData([WeightedStore(store)], denoiser.leads, lengths=(56,))
    objective = build_objective(denoiser, {"label_dropout": 0.1}, validation=data.validation)
    return Trainer(objective, data, settings, run, state_space_groups(denoiser, state_space_rate))


@pytest.mark.parametrize(("make", "loss"), [(make, "none/1"), (make_sashimi, "labels/100")], ids=["unet", "sashimi"])
def test_resumed_run_equals_uninterrupted_one_bit_for_bit(store, tmp_path, make, loss):
    whole = make(store, tmp_path / "whole")
    whole.train()
    part = make(store, tmp_path / "part")
    part.settings = replace(part.settings, save_every=4)
    update = part._update

    def stop_at_six():
        if part.step == 6:
            raise KeyboardInterrupt
        return update()

    part._update = stop_at_six
    with pytest.raises(KeyboardInterrupt):
        part.train()
    resumed = make(store, tmp_path / "part")
    assert resumed.step == 4
    resumed.train()
    for a, b in zip(whole.ema.model.parameters(), resumed.ema.model.parameters(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(whole.objective.parameters(), resumed.objective.parameters(), strict=True):
        assert torch.equal(a, b)
    assert resumed.run.metrics() == whole.run.metrics()  # the loss at step 8 is the mean of all eight
    assert [m["step"] for m in whole.run.metrics() if "loss" in m] == [8]
    steps = [m["step"] for m in resumed.run.metrics() if f"validation/{loss}" in m]
    assert steps == [4, 8]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "metrics.jsonl"}


@pytest.mark.parametrize(("log_every", "what"), [(2, "loss"), (50, "model")])
def test_what_is_not_finite_is_neither_saved_nor_logged(store, tmp_path, monkeypatch, log_every, what):
    monkeypatch.setattr(trainer_module, "LOG_EVERY", log_every)
    trainer = make(store, tmp_path, replace(SETTINGS, save_every=2, validate_every=8))
    update, kept = trainer._update, {}

    def break_a_weight():
        if trainer.step == 4:
            kept.update(contents(tmp_path))
            with torch.no_grad():
                next(trainer.objective.parameters())[:] = torch.nan
        return update()

    trainer._update = break_a_weight
    with pytest.raises(ValueError, match=f"{what} is not finite at step 6: lower train.learning_rate"):
        trainer.train()
    assert kept.keys() >= {"state.pt", "weights.safetensors"} and contents(tmp_path) == kept
    assert all(math.isfinite(value) for line in trainer.run.metrics() for value in line.values())
    assert make(store, tmp_path).step == 4


def test_without_validation_records_nothing_is_logged_of_them(store, tmp_path):
    table = store.table.assign(split="train")
    only_training = type(store)(store.path, store.signals, table, store.manifest)
    trainer = make(only_training, tmp_path, replace(SETTINGS, n_steps=1, warmup_steps=1))
    assert trainer.train() == {}
    assert [line.keys() for line in trainer.run.metrics()] == [{"step", "loss", "learning_rate"}]


def test_training_lowers_the_validation_loss(store, tmp_path):
    settings = replace(SETTINGS, n_steps=60, validate_every=60, save_every=60, ema_decay=0.9)
    trainer = make(store, tmp_path, settings)
    before = trainer.validate()
    after = trainer.train()
    assert after["none/1"] < 0.8 * before["none/1"]
    assert after["lead_I/1"] < 0.8 * before["lead_I/1"]
    assert load_denoiser(tmp_path).facts == {"steps": 60}


def test_state_spaces_have_their_own_rate_of_the_same_shape_and_no_decay(store, tmp_path):
    settings = replace(SETTINGS, weight_decay=0.1)
    trainer = make_sashimi(store, tmp_path, settings, state_space_rate=5e-4)
    others, own = trainer.optimizer.param_groups
    (expected,) = state_space_groups(trainer.objective, 5e-4)
    assert {id(w) for w in own["params"]} == {id(w) for w in expected["params"]} and len(own["params"]) == 7 * 5
    assert len(others["params"]) + len(own["params"]) == len(list(trainer.objective.parameters()))
    assert (others["weight_decay"], own["weight_decay"]) == (0.1, 0.0)
    trainer.train()
    assert others["lr"] == settings.rate(7) > 0
    assert own["lr"] == pytest.approx(others["lr"] * 5e-4 / 2e-3)


def test_without_that_setting_there_is_one_group_as_in_older_states(store, tmp_path):
    for trainer in (make(store, tmp_path / "unet"), make_sashimi(store, tmp_path / "sashimi", state_space_rate=None)):
        (group,) = trainer.optimizer.state_dict()["param_groups"]
        assert group.keys() == torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).param_groups[0].keys()


def test_a_sashimi_learns_and_is_read_again(store, tmp_path):
    settings = replace(SETTINGS, n_steps=40, validate_every=40, save_every=40, ema_decay=0.9, learning_rate=1e-2)
    trainer = make_sashimi(store, tmp_path, settings)
    before = trainer.validate()
    after = trainer.train()
    assert after["none/699"] < 0.95 * before["none/699"] and after["labels/300"] < 0.95 * before["labels/300"]
    loaded = load_denoiser(tmp_path)
    gain = loaded.spec.pop("gain")
    assert loaded.facts == {"steps": 40} and loaded.spec == trainer.objective.denoiser.spec
    assert gain == loaded.gain and gain[0][0] == 0 and gain[-1][0] == 999 and gain[-1][1] < 0.5
    x_t, t = torch.randn(2, 9, 56), torch.tensor(0.4)
    with torch.no_grad():
        assert torch.equal(loaded(x_t, t), trainer.ema.model.denoiser(x_t, t))


def test_other_leads_are_derived_from_augmented_ones(store):
    def batch(leads, **settings):
        return TrainingData([WeightedStore(store)], leads, lengths=(64,), **settings).batch(
            6, torch.Generator().manual_seed(1)
        )["x"]

    nine, eight = batch(NINE_LEADS), batch(INDEPENDENT_LEADS)
    torch.testing.assert_close(nine, torch.from_numpy(lead_matrix(NINE_LEADS)).float() @ eight)
    torch.testing.assert_close(nine[:, 2], nine[:, 1] - nine[:, 0])
    as_stored = batch(NINE_LEADS, augmentation=None)
    assert as_stored.shape == nine.shape and not torch.allclose(as_stored, nine)


def test_learning_rate_warms_up_holds_and_falls():
    settings = TrainerSettings(n_steps=100, warmup_steps=10, decay_share=0.3, learning_rate=1.0)
    assert settings.rate(0) == pytest.approx(0.1)
    assert settings.rate(40) == 1.0
    assert settings.rate(85) == pytest.approx(0.5)
    assert settings.rate(99) == pytest.approx(1 / 30)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="mixed_precision"):
        TrainerSettings(mixed_precision="fp8")
    with pytest.raises(ValueError, match="at least 1"):
        TrainerSettings(batch_size=0)


def test_moving_average_follows_the_weights():
    model = torch.nn.Linear(2, 1)
    ema = EMA(model, 0.5)
    start = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    ema.update(model, 100)
    torch.testing.assert_close(ema.model.weight, start + 0.5)
    assert not ema.model.weight.requires_grad


def test_sources_are_drawn_by_weight_and_flat_records_never(store):
    table = store.table.assign(flat_leads="")
    flat = store.rows("train")[:3]
    table.loc[flat, "flat_leads"] = "V1,V2"
    marked = type(store)(store.path, store.signals, table, store.manifest)
    data = TrainingData([WeightedStore(store, weight=3.0), WeightedStore(marked)], augmentation=None)
    n = len(store.rows("train"))
    assert len(data) == 2 * n - 3
    picks = torch.multinomial(data._weights[1000], 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    share = float((picks < n).double().mean())
    assert abs(share - 3 * n / (3 * n + n - 3)) < 0.015


def drawn_shares(data, length, n):
    """Returns the share of each of the n sources in the draws of pieces of a length."""
    generator = torch.Generator().manual_seed(0)
    picks = torch.multinomial(data._weights[length], 20_000, replacement=True, generator=generator)
    origin = torch.from_numpy(data._rows[:, 0])[picks]
    return torch.bincount(origin, minlength=n) / 20_000


def test_archives_are_drawn_in_shares_and_where_they_are_long_enough(store, tmp_path):
    short = write_store(tmp_path / "short", store.read([0, 1], LEADS)[..., :300], store.table.iloc[:2], 100, LEADS)
    short.table["split"] = "train"
    sources = [WeightedStore(store), WeightedStore(store, weight=3.0), WeightedStore(short, share=0.2)]
    data = TrainingData(sources, lengths=(200, 1000))
    assert (drawn_shares(data, 200, 3) - torch.tensor([0.2, 0.6, 0.2])).abs().max() < 0.015
    assert (drawn_shares(data, 1000, 3) - torch.tensor([0.25, 0.75, 0.0])).abs().max() < 0.015
    generator = torch.Generator().manual_seed(1)
    assert {data.batch(16, generator)["x"].shape[-1] for _ in range(12)} == {200, 1000}
    for shares in ((0.7, 0.7), (-0.1, 0.1)):
        with pytest.raises(ValueError, match="at most 1 in all"):
            TrainingData([WeightedStore(store, share=share) for share in shares])
    with pytest.raises(ValueError, match="never be drawn"):
        TrainingData(sources, lengths=(1000,))


def test_a_batch_depends_on_the_generator_alone(store):
    data = TrainingData([WeightedStore(store)], lengths=(128,))
    first, again = (data.batch(4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first["x"], again["x"]) and first["x"].shape == (4, 8, 128)
    assert first["label"].shape == (4, 71)
    with pytest.raises(ValueError, match="do not fit"):
        TrainingData([WeightedStore(store)], lengths=(5000,))


def test_stores_of_a_config(store):
    dataset = {"database_path": store.path, "segment_length": 64, "extra_stores": [{"path": store.path, "weight": 2.0}]}
    config = {"dataset": dataset, "augmentation": {"rotation": 0.0}}
    data = TrainingData.open(config, INDEPENDENT_LEADS, 100.0)
    assert [weighted.weight for weighted in data.stores] == [1.0, 2.0] and list(data.lengths) == [64]
    digest = store.manifest_hash
    assert data.augmentation.rotation == 0.0
    assert data.origin == {"data_manifest_hash": digest, "files": {"store 2": digest}}
    with pytest.raises(ValueError, match="100 Hz, the network to train 500 Hz"):
        TrainingData.open(config, INDEPENDENT_LEADS, 500.0)


def test_rows_of_several_stores_are_read_in_their_order():
    stores, origins, rows = (np.arange(4), 10 * np.arange(4)), np.array([1, 0, 0, 1]), np.array([3, 2, 0, 1])
    np.testing.assert_array_equal(gather(origins, lambda i, here: stores[i][rows[here]]), [30, 2, 0, 10])


def command(store, results, n_steps):
    return [
        "diffusion_prior.train", f"dataset.database_path={store.path}", "model=tiny",
        f"train.results_path={results}", f"train.n_steps={n_steps}", "train.batch_size=4", "train.validate_every=20",
        "train.save_every=2", "dataset.segment_length=64", "train.warmup_steps=2",
    ]  # fmt: skip


@pytest.mark.slow
def test_script_survives_a_kill(store, tmp_path):
    run = tmp_path / "run"
    process = start_script(*command(store, run, 20), output=tmp_path)
    wait_for(lambda: (run / "state.pt").is_file() or not process.is_alive())
    process.kill()
    process.join()
    for results in (run, tmp_path / "whole"):
        run_script(*command(store, results, 20), check=True)
    killed, whole = (load_denoiser(path) for path in (run, tmp_path / "whole"))
    for a, b in zip(killed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (run / "loss.png").stat().st_size > 1000
    assert len(json.loads((run / "provenance.json").read_text())["resumed_at"]) == 1


def test_dry_run_trains_nothing(store, tmp_path):
    done = run_script(*command(store, tmp_path / "run", 5), "dry_run=true", check=True)
    assert "parameters" in done.stdout and not (tmp_path / "run").exists()


@pytest.mark.parametrize(("unconditional", "n_parameters"), [("false", "16,913,147"), ("true", "16,177,531")])
def test_dry_run_counts_the_published_parameters(unconditional, n_parameters):
    done = run_script(
        "diffusion_prior.train", "backbone=sashimi", f"model.unconditional={unconditional}", "dry_run=true", check=True
    )
    assert f"{n_parameters} parameters" in done.stdout


@pytest.mark.slow
def test_script_trains_a_sashimi_and_another_starts_from_it(store, tmp_path):
    settings = (
        "backbone=sashimi", "model=sashimi_tiny", f"dataset.database_path={store.path}", "dataset.segment_length=64",
        "train.n_steps=2", "train.batch_size=2", "train.validate_every=2", "train.save_every=2",
    )  # fmt: skip
    for results, checkpoint in ((tmp_path / "first", "null"), (tmp_path / "second", tmp_path / "first")):
        done = run_script(
            "diffusion_prior.train", *settings, f"train.results_path={results}", f"checkpoint={checkpoint}", check=True
        )
        assert "labels/300:" in done.stdout
    assert load_denoiser(tmp_path / "second").spec["backbone"]["L"] == 64
    wrong = run_script("diffusion_prior.train", "model=sashimi_tiny", f"dataset.database_path={store.path}")
    assert wrong.returncode == 2 and "choose backbone=sashimi" in wrong.stderr
