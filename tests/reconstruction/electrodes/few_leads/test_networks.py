"""Networks as arrays say what torch would."""

import numpy as np
import torch
from torch import nn

from reconstruction.electrodes.few_leads.networks import FILE, FewLeads, Networks, softmax


def test_they_are_what_torch_computes_and_come_back_from_arrays():
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)) for _ in range(2)]
    weights, biases = (
        [np.stack([getattr(net[layer], part).detach().numpy() for net in networks]) for layer in (0, 2)]
        for part in ("weight", "bias")
    )
    own, x = Networks(weights, biases, 2.0), np.random.default_rng(0).standard_normal((6, 7, 5)).astype(np.float32)
    with torch.no_grad():
        theirs = sum(net(torch.from_numpy(x)) for net in networks) / 4
    np.testing.assert_allclose(own(x), theirs.numpy(), atol=1e-6)
    again = Networks.of_arrays(own.arrays("a"), "a")
    np.testing.assert_allclose(again(x), own(x), atol=5e-3)
    np.testing.assert_array_equal(Networks.of_arrays(again.arrays("b"), "b")(x), again(x))


def test_the_packaged_ones_say_what_they_were_fitted_on():
    packaged = FewLeads.load()
    assert packaged.facts["command"] == "einthoven fit_few_leads"
    assert packaged.facts["held_out"] > 300
    assert 0 < packaged.limit <= packaged.doubt < 1
    assert FILE.stat().st_size < 1_000_000


def test_probabilities_add_up():
    np.testing.assert_allclose(softmax(np.array([[0.0, 1000.0], [1.0, 1.0]])), [[0, 1], [0.5, 0.5]])
