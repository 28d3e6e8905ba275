"""RhythmDiff's order of computation gives what our network gives."""

import pytest
import torch

from diffusion_prior.model.sashimi import Sashimi
from evaluation.benchmarks.rhythmdiff_order import in_rhythmdiff_order

TINY = {"d_model": 8, "n_layers": 1, "pool": [2], "L": 32}


@pytest.mark.parametrize(
    "change",
    [{}, {"unconditional": True}, {"conjugate_pairs": True}, {"unet": False}, {"pool": [1, 2, 2], "n_layers": 2}],
    ids=str,
)
def test_it_gives_the_same_noise(change):
    torch.manual_seed(0)
    network = Sashimi(**{**TINY, **change}).eval().requires_grad_(False)
    for weight in network.final_conv.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    other = in_rhythmdiff_order(network)
    step, label = torch.tensor([0.0, 400.0, 999.0]), torch.eye(3, 71)
    for length in (32, 16):  # whole kernels, and cut ones
        x = torch.randn(3, 9, length)
        torch.testing.assert_close(other(x, step, label), network(x, step, label), atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="samples here, got"):
        other(torch.randn(1, 9, 64), step[:1], label[:1])
