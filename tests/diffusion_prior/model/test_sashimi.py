import copy
import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from diffusion_prior.model.sashimi import ChannelNorm, PointwiseConv, Pool, Sashimi
from diffusion_prior.model.state_space import S4Layer
from tests.paths import GOLDEN

needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="needs the golden files beside the repository")


def small(**settings):
    """A network in evaluation mode whose last layer is not zero."""
    torch.manual_seed(0)
    settings = {"d_model": 8, "n_layers": 1, "L": 64} | settings
    network = Sashimi(**settings).eval().requires_grad_(False)
    network.final_conv[2].conv.weight.normal_()
    return network


def inputs(length=64, n=2):
    torch.manual_seed(1)
    return torch.randn(n, 9, length), torch.arange(n) * 300.0, (torch.rand(n, 71) < 0.1).float()


@needs_golden
@pytest.mark.parametrize(("name", "d_model"), [("conditional", 8), ("unconditional", 16)])
def test_published_outputs(name, d_model):
    network = small(d_model=d_model, L=256, unconditional=name == "unconditional")
    network.load_state_dict(load_file(GOLDEN / f"sashimi_{name}_state.safetensors"), strict=True)
    golden = {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / f"sashimi_{name}_io.npz").items()}
    out = network(golden["x"], golden["t"][:, 0], golden["label"])
    torch.testing.assert_close(out, golden["epsilon"], rtol=0, atol=2e-6)
    out = network.double()(golden["x"].double(), golden["t"][:, 0].double(), golden["label"].double())
    torch.testing.assert_close(out, golden["epsilon"].double(), rtol=0, atol=1e-5)


@needs_golden
@pytest.mark.parametrize("name", ["conditional", "unconditional"])
def test_published_size(name):
    golden = json.loads((GOLDEN / f"sashimi_{name}_full_shapes.json").read_text())
    network = Sashimi(**golden["config"])
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == golden["state"]
    assert sum(weight.numel() for weight in network.parameters()) == golden["parameters"]
    assert network.stride == 4


def test_an_untrained_network_finds_no_noise():
    torch.manual_seed(0)
    assert torch.equal(Sashimi(d_model=8, n_layers=1, L=64)(*inputs()), torch.zeros(2, 9, 64))


@pytest.mark.parametrize("conjugate_pairs", [False, True])
@pytest.mark.parametrize("length", [64, 36, 100, 256])
def test_any_multiple_of_the_stride(conjugate_pairs, length):
    out = small(conjugate_pairs=conjugate_pairs)(*inputs(length))
    assert out.shape == (2, 9, length)
    assert out.isfinite().all()


def test_the_two_meanings_of_the_weights_differ():
    one, both = small(), small(conjugate_pairs=True)
    both.load_state_dict(one.state_dict())
    assert (one(*inputs()) - both(*inputs())).abs().max() > 1e-3


def test_errors():
    network = small()
    x, step, label = inputs(62)
    with pytest.raises(ValueError, match="multiple of 4"):
        network(x, step, label)
    with pytest.raises(ValueError, match="takes labels"):
        network(*inputs()[:2])
    with pytest.raises(ValueError, match="multiple of the pools' product 4"):
        small(L=66)


def test_a_record_does_not_depend_on_its_batch():
    network = small()
    x, step, label = inputs(n=4)
    torch.testing.assert_close(network(x[:1], step[:1], label[:1]), network(x, step, label)[:1])


def test_step_and_label_matter():
    network = small()
    x, step, label = inputs()
    out = network(x, step, label)
    assert not torch.allclose(network(x, step + 100, label), out)
    assert not torch.allclose(network(x, step, 1 - label), out)
    unconditional = small(unconditional=True)
    assert torch.equal(unconditional(x, step, label), unconditional(x, step))


def test_without_blocks_on_the_way_down():
    network = small(unet=False)
    assert all(isinstance(layer, Pool) for layer in network.d_layers)
    assert network(*inputs()).shape == (2, 9, 64)


def test_norm_is_the_published_one():
    torch.manual_seed(0)
    norm, x = ChannelNorm().double(), torch.randn(2, 6, 10, dtype=torch.float64) + 3
    norm.m.data.fill_(0.3)
    norm.s.data.fill_(1.7)
    std, mean = torch.std_mean(x, dim=1, unbiased=False, keepdim=True)
    torch.testing.assert_close(norm(x), norm.s / std * (x - mean + norm.m), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 2.5, 1e-30])
def test_norm_of_equal_channels_is_finite(value):
    norm, x = ChannelNorm(), torch.full((1, 4, 6), value, requires_grad=True)
    norm.m.data.fill_(0.3)
    out = norm(x)
    out.square().sum().backward()
    assert out.isfinite().all()
    assert all(grad.isfinite().all() for grad in (x.grad, norm.m.grad, norm.s.grad))


def test_pointwise_convolution_is_weight_normalised():
    torch.manual_seed(0)
    ours, x = PointwiseConv(5, 3), torch.randn(2, 5, 7)
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(5, 3, 1))
    theirs.parametrizations.weight.original0.data = ours.weight_g.data * 2
    theirs.parametrizations.weight.original1.data = ours.weight_v.data
    theirs.bias.data = ours.bias.data
    torch.testing.assert_close(ours.weight(), ours.weight_v)  # at the start
    ours.weight_g.data *= 2
    torch.testing.assert_close(ours(x), theirs(x))


def test_pools_are_each_others_inverse_in_order():
    x = torch.arange(24.0).reshape(1, 2, 12)
    down, up = Pool(2, 4, 2), Pool(4, 2, -2)
    for pool in (down, up):
        pool.linear = torch.nn.Identity()
    assert torch.equal(down(x, x, None)[0, :, 0], torch.tensor([0.0, 1.0, 12.0, 13.0]))
    assert torch.equal(up(down(x, x, None), x, None), x)


def all_kept(network):
    return [m.kept for m in network.modules() if isinstance(m, (S4Layer, PointwiseConv))]


def test_kept_weights_are_exact():
    network = small()
    for length in (64, 32):
        given = inputs(length)
        network.keep_kernels = False
        expected = network(*given)
        assert not any(kept._values for kept in all_kept(network))
        network.keep_kernels = True
        assert torch.equal(network(*given), expected)
        assert torch.equal(network(*given), expected)
        assert all(kept._values for kept in all_kept(network))
        with torch.inference_mode():
            assert torch.equal(network(*given), expected)


def test_kept_weights_follow_the_state():
    network, other = small(), small()
    for weight in other.parameters():
        weight.mul_(1.1)
    before = network(*inputs())
    network.load_state_dict(other.state_dict())
    assert torch.equal(network(*inputs()), other(*inputs()))
    assert not torch.equal(network(*inputs()), before)


def test_kept_weights_stay_out_of_copies_and_files():
    network = small()
    names, size = set(network.state_dict()), len(pickle.dumps(network))
    out = network(*inputs())
    assert set(network.state_dict()) == names
    assert len(pickle.dumps(network)) == size
    network.keep_kernels = False
    twin = copy.deepcopy(network)
    assert not twin.keep_kernels
    assert torch.equal(twin(*inputs()), out)


def test_gradient_of_the_input():
    network = small()
    x, step, label = inputs()
    gradients = []
    for keep in (True, False):
        network.keep_kernels = keep
        x = x.detach().requires_grad_()
        network(x, step, label).square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0


def test_every_weight_learns():
    network = small(n_layers=2).train().requires_grad_()
    network(*inputs()).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())


@pytest.mark.parametrize("trained", [False, True])
def test_half_precision(trained):
    network = small().requires_grad_(trained)
    expected = network(*inputs())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = network(*inputs()).float()
    assert (out - expected).std() < 0.05 * expected.std()


@pytest.mark.filterwarnings("ignore")
def test_compiled():
    network = small(pool=(2,), unet=False)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch.no_grad():
        network.refresh(inputs()[0].shape[-1])
        torch.testing.assert_close(compiled(*inputs()), network(*inputs()), rtol=1e-5, atol=1e-5)
        for weight in network.parameters():
            weight.mul_(1.1)
        network.refresh(inputs()[0].shape[-1])
        torch.testing.assert_close(compiled(*inputs()), network(*inputs()), rtol=1e-5, atol=1e-5)
        assert all(kept._values for kept in all_kept(network))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu():
    network, given = small(), inputs()
    expected = network(*given)
    network.cuda()
    out = network(*(value.cuda() for value in given))
    torch.testing.assert_close(out.cpu(), expected, rtol=1e-2, atol=1e-2 * float(expected.std()))
