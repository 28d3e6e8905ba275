import pytest
import torch

from evaluation.classification.xresnet1d import Bottleneck, XResNet1d


def test_it_has_the_benchmarks_size():
    # Counted from the description: stem, 33 bottlenecks of 64 and 256 channels, and a head of 128 features.
    def normalised(n_in, n_out, kernel):
        return n_in * n_out * kernel + 2 * n_out

    stem = normalised(12, 32, 5) + normalised(32, 32, 5) + normalised(32, 64, 5)
    block = normalised(256, 64, 1) + normalised(64, 64, 5) + normalised(64, 256, 1)
    first = normalised(64, 64, 1) + normalised(64, 64, 5) + normalised(64, 256, 1) + normalised(64, 256, 1)
    head = 2 * 512 + 513 * 128 + 2 * 128 + 129 * 71
    network = XResNet1d(12, 71)
    assert sum(weight.numel() for weight in network.parameters()) == stem + first + 32 * block + head
    assert len(network.stages) == 33


@pytest.mark.parametrize("length", [64, 250, 251])
def test_any_length_gives_one_logit_a_class(length):
    network = XResNet1d(2, 5, blocks=(1, 1, 1), width=4, n_features=8).eval()
    assert network(torch.randn(3, 2, length)).shape == (3, 5)


@pytest.mark.parametrize(("n_in", "stride"), [(8, 1), (16, 2), (8, 2)])
def test_a_new_block_passes_its_shortcut_on(n_in, stride):
    block, x = Bottleneck(n_in, 4, 16, 5, stride).eval(), torch.randn(2, n_in, 33)
    torch.testing.assert_close(block(x), torch.relu(block.shortcut(x)) if len(block.shortcut) else torch.relu(x))
    assert block(x).shape == (2, 16, 33 if stride == 1 else 17)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="a stage"):
        XResNet1d(12, 71, blocks=())
    with pytest.raises(ValueError, match="odd"):
        XResNet1d(12, 71, kernel=4)
