"""What the losses are, what they leave alone, and that they fall."""

import pytest
import torch

from diffusion_prior.training.settings import TrainerSettings
from diffusion_prior.training.trainer import Trainer
from einthoven.randomness import seeded_generator
from einthoven.run.run_folder import RunFolder
from noise_quant.model.checkpoint import build_model, load_autoencoder, load_model
from noise_quant.training.objectives import AutoencoderObjective, DiffusionObjective

AE = {"width": 8, "n_blocks": 1, "latent_channels": 2}
SPECS = {
    "autoencoder": {"ae": AE},
    "latent": {"ae": AE, "unet": {"channels": [8]}, "scaling_factor": 1.0},
    "pixel": {"unet": {"channels": [8], "patch": 4}},
}
SETTINGS = TrainerSettings(n_steps=40, batch_size=4, warmup_steps=2, validate_every=40, save_every=40, ema_decay=0.9)


class Waves:
    """Images of waves of random phase, as training data."""

    def batch(self, n, generator):
        phase = 6.28 * torch.rand(n, 1, 1, 1, generator=generator)
        return {"x": torch.sin(torch.arange(256) / 10 + phase).expand(n, 1, 32, 256).clone()}

    def validation(self):
        return self.batch(8, torch.Generator().manual_seed(0))


def objective_of(kind, **settings):
    torch.manual_seed(0)
    model = build_model({"kind": kind, **SPECS[kind], **settings})
    return AutoencoderObjective(model) if kind == "autoencoder" else DiffusionObjective(model)


@pytest.mark.parametrize("kind", SPECS)
def test_training_lowers_the_loss_and_writes_the_model(kind, tmp_path):
    objective = objective_of(kind)
    run = RunFolder.create(tmp_path, {"kind": kind}, seed=0, device="cpu")
    trainer = Trainer(objective, Waves(), SETTINGS, run)
    frozen = {n: w.clone() for n, w in objective.model.state_dict().items() if n.startswith("ae.")}
    before, after = trainer.validate(), trainer.train()
    name = "clean" if kind == "autoencoder" else "t/300"
    assert after[name] < 0.9 * before[name]
    loaded = load_autoencoder(tmp_path) if kind == "autoencoder" else load_model(tmp_path)
    assert loaded.facts == {"steps": 40}
    if kind == "latent":
        for state in (objective.model.state_dict(), trainer.ema.model.model.state_dict(), loaded.state_dict()):
            assert all(torch.equal(state[name], weight) for name, weight in frozen.items())
        assert sum(len(group["params"]) for group in trainer.optimizer.param_groups) == len(
            list(objective.model.unet.parameters())
        )


def test_autoencoder_learns_to_leave_noise_out():
    objective = objective_of("autoencoder")
    batch = Waves().validation()
    noisy = {**batch, "noisy": batch["x"] + 1}
    assert not torch.equal(objective(batch), objective(noisy))
    expected = (objective.model(noisy["noisy"]) - batch["x"]).square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(objective(noisy), expected)
    assert list(objective.validation_batches(batch, None)) == ["clean"]
    both = objective.validation_batches(noisy, None)
    assert list(both) == ["clean", "noisy"] and list(both["clean"]) == ["x"]


def test_an_untrained_network_misses_all_of_the_noise():
    objective = objective_of("pixel")
    batch = objective.draw(Waves().validation(), seeded_generator(0))
    torch.testing.assert_close(objective(batch), batch["noise"].square().mean(dim=(1, 2, 3)))
    alone = {name: value[2:3] for name, value in batch.items()}
    torch.testing.assert_close(objective(alone)[0], objective(batch)[2])


@pytest.mark.parametrize("max_timestep", [1000, 50])
def test_timesteps_of_a_batch_cover_the_range(max_timestep):
    objective = objective_of("latent", max_timestep=max_timestep)
    batch = {"x": torch.zeros(10, 1, 32, 256)}
    timesteps = objective.draw(batch, seeded_generator(0))["t"]
    assert sorted((timesteps * 10 // max_timestep).tolist()) == list(range(10))
    assert torch.equal(timesteps, objective.draw(batch, seeded_generator(0))["t"])
    assert not torch.equal(timesteps, objective.draw(batch, seeded_generator(1))["t"])
    names = objective.validation_batches(batch, seeded_generator(0))
    assert list(names) == [f"t/{t}" for t in (10, 30, 100, 300, 700) if t < max_timestep]


def test_the_frozen_autoencoder_stays_in_evaluation_mode():
    objective = objective_of("latent").train()
    assert objective.model.unet.training and not objective.model.ae.training
    assert not any(w.requires_grad for w in objective.model.ae.parameters())
