"""The training loop: what it learns, and that a stopped run goes on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, load_denoiser
from diffusion_prior.ema import EMA
from diffusion_prior.objective import DenoisingObjective, NoiseLevels
from diffusion_prior.observation import ObservationPatterns
from diffusion_prior.trainer import Trainer, TrainerSettings
from diffusion_prior.training_data import Source, TrainingData
from preprocessing.run_folder import RunFolder
from preprocessing.synthetic import simulate_store
from tests.diffusion_prior.test_objective import TINY

from ..scripts import run_script

SETTINGS = TrainerSettings(n_steps=8, batch_size=4, warmup_steps=2, validate_every=4, save_every=4, learning_rate=2e-3)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return simulate_store(tmp_path_factory.mktemp("data") / "store", n_records=20)


def make(store, path, settings=SETTINGS):
    torch.manual_seed(5)
    spec = {**TINY, "backbone": {**TINY["backbone"], "dropout": 0.1}}
    objective = DenoisingObjective(build_denoiser(spec), NoiseLevels(), ObservationPatterns())
    run = RunFolder.create(path, {"tiny": True}, seed=0, device="cpu")
    return Trainer(objective, TrainingData([Source(store)], lengths=(64, 128)), settings, run)


def test_resumed_run_equals_uninterrupted_one_bit_for_bit(store, tmp_path):
    whole = make(store, tmp_path / "whole")
    whole.train()
    part = make(store, tmp_path / "part")
    part.settings = replace(SETTINGS, save_every=4)
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
    last = [run.metrics()[-1] for run in (whole.run, resumed.run)]
    assert last[0] == last[1] and last[0]["step"] == 8
    steps = [m["step"] for m in resumed.run.metrics() if "validation/none/1" in m]
    assert steps == [4, 8]


def test_training_lowers_the_validation_loss(store, tmp_path):
    settings = replace(SETTINGS, n_steps=60, validate_every=60, save_every=60, ema_decay=0.9)
    trainer = make(store, tmp_path, settings)
    before = trainer.validate()
    after = trainer.train()
    assert after["none/1"] < 0.8 * before["none/1"]
    assert after["lead_I/1"] < 0.8 * before["lead_I/1"]
    assert load_denoiser(tmp_path).facts == {"steps": 60}


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
    data = TrainingData([Source(store, weight=3.0), Source(marked, split="train")], augmentation=None)
    n = len(store.rows("train"))
    assert len(data) == 2 * n - 3
    picks = torch.multinomial(data._weights, 20_000, replacement=True, generator=torch.Generator().manual_seed(0))
    share = float((picks < n).double().mean())
    assert abs(share - 3 * n / (3 * n + n - 3)) < 0.015


def test_a_batch_depends_on_the_generator_alone(store):
    data = TrainingData([Source(store)], lengths=(128,))
    first, again = (data.batch(4, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first["x"], again["x"]) and first["x"].shape == (4, 8, 128)
    assert first["label"].shape == (4, 71)
    with pytest.raises(ValueError, match="do not fit"):
        TrainingData([Source(store)], lengths=(5000,))


def command(store, results, n_steps):
    return [
        "diffusion_prior.train", f"dataset.database_path={store.path}", "model=tiny",
        f"train.results_path={results}", f"train.n_steps={n_steps}", "train.batch_size=4", "train.validate_every=20",
        "train.save_every=2", "dataset.segment_length=64", "train.warmup_steps=2",
    ]  # fmt: skip


@pytest.mark.slow
def test_script_survives_a_kill(store, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", *command(store, run, 20)],
        env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not (run / "state.pt").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
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
