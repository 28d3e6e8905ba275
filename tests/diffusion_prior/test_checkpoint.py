import pytest
import torch

from diffusion_prior.checkpoint import DISTILLED, PRETRAINED, build_denoiser, load_denoiser, save_denoiser, take_weights
from diffusion_prior.model.denoiser import Conditions
from tests.diffusion_prior.training.test_objective import TINY


@pytest.mark.parametrize("half", [False, True])
def test_round_trip(tmp_path, half):
    torch.manual_seed(0)
    spec = {**TINY, "schedule": {"sigma_max": 20.0}, "sigma_data": 0.3, "leads": ["I", "II"]}
    denoiser = build_denoiser(spec).eval()
    save_denoiser(tmp_path / "weights.safetensors", denoiser, {"steps": 3}, half)
    loaded = load_denoiser(tmp_path)
    assert loaded.facts == {"steps": 3}
    assert loaded.leads == ("I", "II") and loaded.sigma_data == 0.3 and loaded.schedule.sigma_max == 20.0
    x_t, t = torch.randn(2, 2, 64), torch.tensor(0.3)
    tolerance = {"rtol": 2e-3, "atol": 2e-3} if half else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(loaded(x_t, t), denoiser(x_t, t), **tolerance)


def test_unconditional_prior_refuses_labels():
    denoiser = build_denoiser({**TINY, "unconditional": True})
    assert denoiser(torch.zeros(1, 8, 64), torch.tensor(0.5)).shape == (1, 8, 64)
    with pytest.raises(ValueError, match="takes 0 labels"):
        denoiser(torch.zeros(1, 8, 64), torch.tensor(0.5), Conditions(torch.zeros(1, 71)))


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no weights at"):
        load_denoiser(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(ValueError, match="no readable safetensors"):
        load_denoiser(tmp_path / "text.safetensors")
    with pytest.raises(ValueError, match="unknown backbone"):
        build_denoiser({"backbone": {"name": "sashimee"}})


@pytest.mark.parametrize("path", [PRETRAINED, DISTILLED])
def test_bundled_weights_load_and_are_small(path):
    denoiser = load_denoiser(path)
    assert path.stat().st_size <= 16e6
    assert denoiser.leads == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
    assert denoiser.facts["steps"]
    assert path.with_name("README.md").is_file()


def test_training_can_start_from_weights_of_the_same_network_only(tmp_path):
    first, second = build_denoiser(TINY), build_denoiser(TINY)
    save_denoiser(tmp_path / "weights.safetensors", first)
    take_weights(second, tmp_path)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="another network"):
        take_weights(build_denoiser({**TINY, "leads": ["I", "II"]}), tmp_path)
