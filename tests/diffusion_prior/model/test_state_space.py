import copy
import pickle

import pytest
import torch
from safetensors.torch import load_file

from diffusion_prior.model.state_space import (
    S4Kernel,
    S4Layer,
    hippo_legs,
    long_convolution,
    state_space_groups,
)
from tests.paths import GOLDEN


def random_kernel(conjugate_pairs, length=16, n_channels=3, n_states=8):
    """A kernel in double precision whose channels differ in all their weights, as after training."""
    torch.manual_seed(0)
    kernel = S4Kernel(n_channels, length, n_states, conjugate_pairs=conjugate_pairs, dt_max=0.3).double()
    with torch.no_grad():
        for weight in kernel.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return kernel


def state_space(kernel):
    """The discretised system `(A, B, C)` in plain matrices, complex, shapes (H, N, N), (H, N), (K, H, N)."""
    b, p = (torch.view_as_complex(v.detach())[0] for v in (kernel.B, kernel.P))
    c, w = torch.view_as_complex(kernel.C.detach()), torch.complex(-kernel.inv_w_real.exp(), kernel.w_imag).detach()
    if kernel.conjugate_pairs:
        b, p, c, w = (torch.cat([v, v.conj()], dim=-1) for v in (b, p, c, w))
    dt, identity = kernel.log_dt.detach().exp()[:, None, None], torch.eye(w.shape[-1])
    half = dt / 2 * (torch.diag_embed(w) - p[..., :, None] * p.conj()[..., None, :])
    a = torch.linalg.solve(identity - half, identity + half)
    b = torch.linalg.solve(identity - half, dt * b[..., None])[..., 0]
    c = torch.linalg.solve(identity - torch.linalg.matrix_power(a, int(kernel.L)), c[..., None, :], left=False)
    return a, b, c[..., 0, :]


def recurrence(system, u):
    """`x_k = A x_(k-1) + B u_k, y_k = C x_k` for signals (H, l); returns (K, H, l)."""
    a, b, c = system
    x, y = torch.zeros_like(b), []
    for k in range(u.shape[-1]):
        x = (a @ x[..., None])[..., 0] + b * u[:, k, None]
        y.append((c * x).sum(dim=-1))
    return torch.stack(y, dim=-1)


def impulse_response(kernel, length):
    impulse = torch.zeros(kernel.log_dt.numel(), length, dtype=torch.float64)
    impulse[:, 0] = 1
    return recurrence(state_space(kernel), impulse)


def analytic_half(response):
    """The real sequence with the complex one's spectrum at the frequencies from 0 to 1/2."""
    n = response.shape[-1]
    return torch.fft.irfft(torch.fft.fft(response)[..., : n // 2 + 1], n=n)


def test_initial_weights_are_the_published_ones():
    path = GOLDEN / "sashimi_conditional_state.safetensors"
    if not path.exists():
        pytest.skip(f"needs golden files: {path.name} is not beside this checkout")
    golden = load_file(path)
    torch.manual_seed(0)
    kernel = S4Kernel(8, 256)
    theirs = {name: golden[f"d_layers.0.layer.kernel.kernel.{name}"] for name in ("B", "P", "inv_w_real", "w_imag")}
    # The signs of the eigenvectors, which B and P share and C takes up, are as the linear algebra library left them.
    signs = theirs["B"][..., 1:].sign()
    assert theirs["B"].mean() == pytest.approx(0.5247, abs=1e-4)
    theirs["B"], theirs["P"] = signs * theirs["B"], signs * theirs["P"]
    for name, value in theirs.items():
        torch.testing.assert_close(getattr(kernel, name).detach(), value, rtol=1e-5, atol=1e-3)


def test_hippo_is_the_triangular_system_in_another_basis():
    n, s = 64, 1.0 + 20.0j
    w, p, b = hippo_legs(n)
    w, p, b = (torch.cat([v, v.conj()]) for v in (w, p, b))
    q = (2 * torch.arange(n, dtype=torch.float64) + 1).sqrt()
    legs = -torch.tril(q[:, None] * q, -1) - torch.diag(torch.arange(1.0, n + 1, dtype=torch.float64))

    def transfer(a, b):
        return b.conj() @ torch.linalg.solve(s * torch.eye(len(b)) - a, b)

    ours = transfer(torch.diag(w) - p[:, None] * p.conj(), b)
    torch.testing.assert_close(ours, transfer(legs.to(b.dtype), q.to(b.dtype)), rtol=1e-9, atol=0)


def test_start():
    torch.manual_seed(0)
    for pairs in (False, True):
        kernel = S4Kernel(256, 32, n_states=16, conjugate_pairs=pairs)
        step = kernel.log_dt.exp()
        assert step.min() >= 0.001 and step.max() <= 0.1 and (step < 0.01).float().mean().sub(0.5).abs() < 0.1
        assert kernel.L == 32
        c = state_space(kernel.double())[2]  # C~ was set up from a standard normal C
        assert c.abs().square().mean() == pytest.approx(1, abs=0.05)
        assert c.square().mean().abs() < 0.05 or pairs  # of random phase


@pytest.mark.parametrize("length", [16, 15])
def test_kernel_is_the_recurrence_with_pairs(length):
    kernel = random_kernel(True, length)
    response = impulse_response(kernel, 2 * length)
    assert response.imag.abs().max() < 1e-12
    response = response.real
    for n in (length, length // 2, length + 1, 2 * length):
        torch.testing.assert_close(kernel(n), response[..., :n], rtol=0, atol=1e-9)
    longest = impulse_response(kernel, 4 * length).real
    torch.testing.assert_close(kernel(3 * length), longest[..., : 3 * length], rtol=0, atol=1e-9)


@pytest.mark.parametrize("length", [16, 15])
def test_kernel_is_the_analytic_half_of_the_recurrence_without_pairs(length):
    kernel = random_kernel(False, length)
    response = impulse_response(kernel, 2 * length)
    expected = analytic_half(response[..., :length])
    torch.testing.assert_close(kernel(length), expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(kernel(length // 2), expected[..., : length // 2], rtol=0, atol=1e-9)
    torch.testing.assert_close(kernel(2 * length), analytic_half(response), rtol=0, atol=1e-9)


def test_a_longer_kernel_begins_with_the_shorter_one():
    kernel = random_kernel(True)
    before = copy.deepcopy(kernel.state_dict())
    torch.testing.assert_close(kernel(32)[..., :16], kernel(16), rtol=0, atol=1e-9)
    assert all(torch.equal(value, before[name]) for name, value in kernel.state_dict().items())


def test_kernel_at_the_start_of_longer_records():
    """Where all channels have the same A the power takes another way."""
    torch.manual_seed(0)
    kernel = S4Kernel(3, 16).double()
    with torch.no_grad():
        torch.testing.assert_close(kernel(32), analytic_half(impulse_response(kernel, 32)), rtol=0, atol=1e-9)


def test_layer_is_a_recurrence_forward_and_one_backward():
    torch.manual_seed(0)
    layer = S4Layer(3, 16, conjugate_pairs=True).double().eval()
    u = torch.randn(1, 3, 16, dtype=torch.float64)
    system = state_space(layer.kernel.kernel)
    past = recurrence(system, u[0])[0].real
    future = recurrence(system, u[0].flip(-1))[1].real.flip(-1)
    expected = past + layer.D[0, :, None] * u[0]
    expected[:, :-1] += future[:, 1:]  # from the next sample on
    torch.testing.assert_close(layer.convolve(u)[0], expected, rtol=0, atol=1e-9)


def test_layer_without_pairs_is_its_two_kernels():
    torch.manual_seed(0)
    layer = S4Layer(2, 8).double().eval()
    u = torch.randn(3, 2, 8, dtype=torch.float64)
    past, future = analytic_half(impulse_response(layer.kernel.kernel, 8))
    expected = layer.D[0, :, None] * u
    for t in range(8):
        for s in range(8):
            tap = past[:, t - s] if s <= t else future[:, s - t - 1]
            expected[..., t] += tap * u[..., s]
    torch.testing.assert_close(layer.convolve(u), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("conjugate_pairs", [False, True])
@pytest.mark.parametrize("length", [8, 12])
def test_kernel_gradients(conjugate_pairs, length):
    kernel = random_kernel(conjugate_pairs, length=8, n_channels=2, n_states=4)
    names, weights = zip(*kernel.named_parameters(), strict=True)

    def function(*values):
        return torch.func.functional_call(kernel, dict(zip(names, values, strict=True)), (length,))

    assert torch.autograd.gradcheck(function, weights)


def test_long_convolution_gradients():
    torch.manual_seed(0)
    u = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(3, 10, dtype=torch.float64, requires_grad=True)

    def function(u, kernel):
        return long_convolution(u, torch.fft.rfft(kernel))

    assert torch.autograd.gradcheck(function, (u, kernel), check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, (u, kernel))


def frozen_layer(**settings):
    torch.manual_seed(0)
    layer = S4Layer(3, 16, **settings).eval().requires_grad_(False)
    for weight in layer.kernel.kernel.parameters():
        weight += 0.05 * torch.randn_like(weight)
    return layer


def without_keeping(layer, u):
    layer = copy.deepcopy(layer)
    layer.kept.enabled = False
    return layer(u)


def n_kernels(layer, monkeypatch, run):
    """How many kernels `run()` computed."""
    calls, compute = [], layer.spectrum
    with monkeypatch.context() as patch:
        patch.setattr(layer, "spectrum", lambda length: calls.append(length) or compute(length))
        run()
    return len(calls)


def test_kept_kernels_are_exact_and_computed_once(monkeypatch):
    layer = frozen_layer()
    for length in (16, 8, 32):
        u = torch.randn(2, 3, length)
        expected = without_keeping(layer, u)
        assert n_kernels(layer, monkeypatch, lambda u=u: [layer(u) for _ in range(3)]) == 1
        assert torch.equal(layer(u), expected)
    u = torch.randn(2, 3, 16)
    assert n_kernels(layer, monkeypatch, lambda: layer(u)) == 0  # several lengths are kept
    for length in range(1, 9):
        layer(u[..., :length])
    assert n_kernels(layer, monkeypatch, lambda: layer(u)) == 1  # but not any number of them
    assert set(layer.state_dict()) == set(frozen_layer().state_dict())


def new_type(layer):
    layer.double()


def new_type_and_back(layer):
    layer.bfloat16().float()


def assignment(layer):
    layer.kernel.kernel.C.copy_(2 * layer.kernel.kernel.C)


def another_parameter(layer):
    layer.D = torch.nn.Parameter(2 * layer.D, requires_grad=False)


def another_storage(layer):
    layer.D.data = 2 * layer.D.data


def loading(layer):
    state = layer.state_dict()
    layer.load_state_dict(state | {"D": 2 * state["D"]})


def optimiser_step(layer):
    layer.requires_grad_()
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
    layer(torch.randn(1, 3, 16)).sum().backward()
    optimiser.step()
    layer.requires_grad_(False)


@pytest.mark.parametrize(
    "change", [new_type, new_type_and_back, assignment, another_parameter, another_storage, loading, optimiser_step]
)
def test_kept_kernels_follow_the_weights(change):
    layer, u = frozen_layer(), torch.randn(2, 3, 16)
    before = layer(u)
    change(layer)
    u = u.to(layer.D.dtype)
    assert torch.equal(layer(u), without_keeping(layer, u))
    assert not torch.equal(layer(u), before)


def test_copies_do_not_share_kept_kernels():
    layer, u = frozen_layer(), torch.randn(2, 3, 16)
    out = layer(u)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert not twin.kept._values
        twin.D.mul_(2)
        assert torch.equal(twin(u), without_keeping(twin, u))
        assert not torch.equal(twin(u), out)
        assert torch.equal(layer(u), out)
    layer.kept.enabled = False
    assert not copy.deepcopy(layer).kept.enabled


def test_nothing_is_kept_while_training(monkeypatch):
    layer, u = frozen_layer(), torch.randn(2, 3, 16)
    layer(u)
    layer.train()
    assert n_kernels(layer, monkeypatch, lambda: [layer(u) for _ in range(2)]) == 2
    assert not layer.kept._values
    layer.eval().requires_grad_()
    assert n_kernels(layer, monkeypatch, lambda: [layer(u).sum().backward() for _ in range(2)]) == 2
    assert all(weight.grad.abs().sum() > 0 for weight in layer.parameters())
    with torch.no_grad():
        assert n_kernels(layer, monkeypatch, lambda: [layer(u) for _ in range(2)]) == 1


def test_gradient_through_kept_kernels():
    layer, u = frozen_layer().double(), torch.randn(2, 3, 16, dtype=torch.float64)
    with torch.inference_mode():
        layer(u)  # what is kept here is used in the graph below
    gradients = []
    for keep in (True, False):
        layer.kept.enabled = keep
        x = u.clone().requires_grad_()
        layer(x).square().sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)
    layer.kept.enabled = True
    assert torch.autograd.gradcheck(layer, u.requires_grad_())


def test_autocast_leaves_the_kernel_in_single_precision():
    layer, u = frozen_layer(), torch.randn(2, 3, 16)
    out = layer.convolve(u)
    layer.kept.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer.convolve(u), out)
        assert torch.allclose(layer(u).float(), layer(u.bfloat16()).float(), atol=0.1)


def test_state_spaces_are_trained_with_a_rate_of_their_own():
    layers = torch.nn.ModuleList([S4Layer(2, 8), S4Layer(3, 8)])
    (group,) = state_space_groups(layers, 1e-3)
    assert (group["lr"], group["weight_decay"]) == (1e-3, 0.0)
    found = {id(weight) for weight in group["params"]}
    names = {name.split(".", 1)[1] for name, weight in layers.named_parameters() if id(weight) in found}
    assert len(found) == 10
    assert names == {f"kernel.kernel.{name}" for name in ("log_dt", "B", "P", "inv_w_real", "w_imag")}


def test_a_rate_of_state_spaces_needs_state_spaces():
    linear = torch.nn.Linear(2, 2)
    assert state_space_groups(linear, None) == []
    with pytest.raises(ValueError, match="no state spaces: leave train.state_space_learning_rate null"):
        state_space_groups(linear, 1e-3)


def test_weights_without_a_length():
    layer = S4Layer(2, 8)
    layer.load_state_dict(layer.state_dict() | {"kernel.kernel.L": torch.tensor(0)})
    with pytest.raises(ValueError, match="saved before their first use"):
        layer(torch.randn(1, 2, 8))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_layer_on_a_gpu():
    layer, u = frozen_layer(), torch.randn(2, 3, 16)
    expected = layer.convolve(u)
    layer.cuda()
    torch.testing.assert_close(layer.convolve(u.cuda()).cpu(), expected, rtol=1e-4, atol=1e-5)
