import copy
import functools
import pickle
import shutil

import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser
from diffusion_prior.model.acceleration import accelerate_denoiser
from diffusion_prior.model.denoiser import Conditions
from diffusion_prior.model.epsilon import EpsilonDenoiser
from diffusion_prior.model.sashimi import Sashimi
from diffusion_prior.model.schedule import DiscreteSchedule

UNET = {"name": "unet1d", "channels": (8, 32), "kernel_sizes": (3, 3), "attention": (False, True), "n_blocks": 1}


def build(name, backbone=UNET):
    torch.manual_seed(0)
    if name == "U-Net":
        denoiser = build_denoiser({"backbone": backbone})
    else:
        network = Sashimi(d_model=8, n_layers=1, pool=(2,), L=32)
        denoiser = EpsilonDenoiser(network, DiscreteSchedule(), record_length=None, segment_length=32)
    for weight in denoiser.parameters():
        if not weight.any():  # layers that begin at zero
            torch.nn.init.normal_(weight, std=0.2)
    return denoiser.eval().requires_grad_(False)


@pytest.fixture(params=["U-Net", "SaShiMi"])
def denoiser(request):
    return build(request.param)


def estimate(denoiser, n=3, length=32, seed=0):
    """Returns an estimate and its gradient with respect to the noised signal."""
    x = torch.randn(n, len(denoiser.leads), length, generator=torch.Generator().manual_seed(seed))
    x = x.to(next(denoiser.parameters()).device).requires_grad_()
    out = denoiser(x, torch.tensor(0.6, device=x.device))
    return out.detach(), *torch.autograd.grad(out.square().sum(), x)


def error(found, expected):
    return max(
        float((one - other).square().mean().sqrt() / other.square().mean().sqrt())
        for one, other in zip(found, expected, strict=True)
    )


def test_bf16_is_close_and_leaves_the_denoiser_as_it_was(denoiser):
    expected = estimate(denoiser)
    fast = accelerate_denoiser(denoiser, "bf16")
    found = estimate(fast)
    assert [value.dtype for value in found] == [torch.float32] * 2
    assert 0 < error(found[:1], expected[:1]) < 0.03 and error(found, expected) < 0.1
    assert error(estimate(denoiser), expected) == 0
    assert type(fast) is type(denoiser) and fast.schedule is denoiser.schedule
    assert error(estimate(accelerate_denoiser(fast, "bf16")), found) == 0


def test_weights_keep_their_names_and_are_shared(denoiser):
    fast = accelerate_denoiser(denoiser, "bf16")
    assert list(fast.state_dict()) == list(denoiser.state_dict())
    assert list(fast.backbone.state_dict()) == list(denoiser.backbone.state_dict())
    doubled = {
        name: 2 * weight for name, weight in denoiser.backbone.state_dict().items() if weight.is_floating_point()
    }
    fast.backbone.load_state_dict({**denoiser.backbone.state_dict(), **doubled})
    name, weight = next(iter(denoiser.backbone.named_parameters()))
    assert torch.equal(weight, doubled[name])
    assert fast.backbone.stride == denoiser.backbone.stride
    assert not fast.backbone.training
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = fast.backbone.no_such_thing


def test_it_is_pickled_and_copied(denoiser):
    fast = accelerate_denoiser(denoiser, "bf16", compiled=True)
    with_call = copy.copy(fast)
    with_call.backbone._calls["cpu"] = lambda: None  # what was compiled is not pickled
    for other in (pickle.loads(pickle.dumps(with_call)), copy.deepcopy(with_call)):
        assert (other.backbone.precision, other.backbone.compiled) == ("bf16", True)
        assert not other.backbone._calls
        other.backbone.compiled = False
        assert error(estimate(other), estimate(accelerate_denoiser(denoiser, "bf16"))) == 0


def test_nothing_asked_for_and_mistakes(denoiser):
    assert accelerate_denoiser(denoiser) is denoiser
    with pytest.raises(ValueError, match="unknown precision 'fp16': choose from float32, bf16"):
        accelerate_denoiser(denoiser, "fp16")


def test_a_network_is_captured_as_one_graph_that_sees_new_weights(monkeypatch):
    captured = functools.partial(torch.compile, backend="eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", captured)
    denoiser = build("SaShiMi")
    fast = accelerate_denoiser(denoiser, compiled=True)
    x, t = torch.randn(3, 9, 32), torch.tensor(0.6)
    with torch.no_grad():
        assert error([fast(x, t)], [denoiser(x, t)]) < 1e-5
        for weight in denoiser.parameters():
            weight.mul_(1.1)
        assert error([fast(x, t)], [denoiser(x, t)]) < 1e-5


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_compiled_is_equal_to_rounding():
    # Forward only, and small: a backward pass, or a SaShiMi, takes three times as long.
    denoiser = build("U-Net", {**UNET, "channels": (8,), "kernel_sizes": (3,), "attention": (False,)})
    x, t = torch.randn(3, len(denoiser.leads), 32), torch.tensor(0.6)
    with torch.no_grad():
        assert error([accelerate_denoiser(denoiser, compiled=True)(x, t)], [denoiser(x, t)]) < 1e-4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("bf16", 0.04)])
def test_cuda_graphs_are_right_call_after_call(denoiser, precision, tolerance):
    expected = {seed: estimate(denoiser, seed=seed) for seed in range(4)}
    denoiser.to("cuda")
    fast = accelerate_denoiser(denoiser, precision, compiled=True)
    found = {seed: estimate(fast, seed=seed) for seed in range(4)}  # kept while later calls run
    assert all(error([v.cpu() for v in found[seed]], expected[seed]) < tolerance for seed in expected)
    x = torch.randn(3, len(denoiser.leads), 32, device="cuda")
    with torch.no_grad():
        first, second = fast(x, torch.tensor(0.9)), fast(x, torch.tensor(0.1))
        assert error([first], [denoiser(x, torch.tensor(0.9))]) < tolerance
        assert error([second], [denoiser(x, torch.tensor(0.1))]) < tolerance
    leaf = x.clone().requires_grad_()  # two calls before one backward pass, as with guidance
    both = fast(leaf, torch.tensor(0.5)) + fast(leaf, torch.tensor(0.3))
    (gradient,) = torch.autograd.grad(both.square().sum(), leaf)
    leaf = x.clone().requires_grad_()
    both = denoiser(leaf, torch.tensor(0.5)) + denoiser(leaf, torch.tensor(0.3))
    assert error([gradient], torch.autograd.grad(both.square().sum(), leaf)) < tolerance


def test_a_network_in_bf16_takes_covariates():
    torch.manual_seed(0)
    denoiser = build_denoiser({"backbone": UNET, "covariates": ["age"]}).eval().requires_grad_(False)
    x, told = torch.randn(2, 8, 32), Conditions(covariates=torch.tensor([[40.0], [torch.nan]]))
    found = accelerate_denoiser(denoiser, "bf16")(x, torch.tensor(0.6), told)
    torch.testing.assert_close(found, denoiser(x, torch.tensor(0.6), told), rtol=0, atol=0.05)
