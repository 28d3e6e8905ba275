import pytest
import torch

from diffusion_prior.model.unet import AttentionBlock, UNet1d


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    net = UNet1d(6, 2, 5, channels=(32, 64), kernel_sizes=(3, 3), attention=(False, True), n_blocks=1).eval()
    for weight in net.parameters():  # the last layers start at zero, which would hide everything before them
        torch.nn.init.normal_(weight, std=0.1)
    return net


@pytest.mark.parametrize("length", [64, 250, 257, 1000])
def test_any_length(network, length):
    out = network(torch.randn(2, 6, length), torch.zeros(2), torch.zeros(2, 5))
    assert out.shape == (2, 2, length)
    assert out.isfinite().all()


def test_a_record_does_not_depend_on_its_batch(network):
    x, c, label = torch.randn(4, 6, 128), torch.randn(4), torch.randn(4, 5)
    out = network(x, c, label)
    x2, c2, label2 = x.clone(), c.clone(), label.clone()
    x2[1:], c2[1:], label2[1:] = 3.0, -1.0, 2.0
    assert torch.equal(network(x2, c2, label2)[0], out[0])
    torch.testing.assert_close(network(x[:1], c[:1], label[:1]), out[:1], rtol=1e-4, atol=1e-4)


def test_noise_level_and_label_matter(network):
    x = torch.randn(1, 6, 128)
    base = network(x, torch.zeros(1), torch.zeros(1, 5))
    assert not torch.allclose(network(x, torch.ones(1), torch.zeros(1, 5)), base)
    assert not torch.allclose(network(x, torch.zeros(1), torch.ones(1, 5)), base)


def test_default_size_fits_the_bundled_file():
    n = sum(w.numel() for w in UNet1d(24, 8).parameters())
    assert 7.0e6 < n < 8.0e6  # 16 MB in half precision hold 8.3 M


def test_resolutions_must_agree():
    with pytest.raises(ValueError, match="one entry for each resolution"):
        UNet1d(6, 2, channels=(32, 64))


def test_the_fused_attention_is_the_one_that_is_written_out():
    torch.manual_seed(0)
    block = AttentionBlock(64)
    torch.nn.init.normal_(block.out.weight, std=0.2)
    h, outputs = torch.randn(2, 64, 10, requires_grad=True), []
    for training in (True, False):
        out = block.train(training)(h)
        outputs += [out, *torch.autograd.grad(out.square().sum(), h)]
    torch.testing.assert_close(outputs[:2], outputs[2:])
