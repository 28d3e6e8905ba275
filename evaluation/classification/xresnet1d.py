"""The xresnet1d101 of PTB-XL's benchmark: a residual network with a stem of three convolutions, for crops of ECGs.

He, Zhang, Zhang, Zhang, Xie, Li, "Bag of Tricks for Image Classification with Convolutional Neural Networks", CVPR
2019, https://arxiv.org/abs/1812.01187; in one dimension and for ECGs: Strodthoff, Wagner, Schaeffter, Samek, "Deep
Learning for ECG Analysis: Benchmarks and Insights from PTB-XL", IEEE JBHI 2021, https://arxiv.org/abs/2004.13701.

As the benchmark configures it: convolutions of 5 samples, a stem of 32, 32 and 64 channels, bottlenecks of 64 channels
and expansion 4 at every stage (no doubling: 1.8 million weights, not 42), 3, 4, 23 and 3 blocks, the maximum and the
mean over time joined before a head of 128 features, dropout 0.25 and 0.5. Ours: the last normalisation of a block
starts at zero, as in the first paper, where the benchmark's own initialisation sets it to one; and so does the last
layer, so that training starts from the classes' frequencies (`start_from`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

XRESNET101 = (3, 4, 23, 3)
"""Blocks of each stage of the xresnet1d101."""


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1, activation: bool = True) -> nn.Sequential:
    """Builds a convolution of odd length in samples, batch normalisation and, unless it is left out, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv1d(n_in, n_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm1d(n_out),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if activation else nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """Residual block of three convolutions, 1, `kernel` and 1 samples wide, with `width` channels between them.

    The stride, 1 or 2, is in the middle ("ResNet-B"), and the mean of two samples shortens the shortcut ("ResNet-D").
    """

    def __init__(self, n_in: int, width: int, n_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            convolution(n_in, width, 1),
            convolution(width, width, kernel, stride),
            convolution(width, n_out, 1, activation=False),
        )
        shortcut: list[nn.Module] = [nn.AvgPool1d(2, ceil_mode=True)] if stride == 2 else []
        if n_in != n_out:
            shortcut.append(convolution(n_in, n_out, 1, activation=False))
        self.shortcut = nn.Sequential(*shortcut)
        *_, last = self.residual.modules()
        assert isinstance(last, nn.BatchNorm1d)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Maps features (B, n_in, L) to (B, n_out, L / stride), rounded up."""
        return torch.relu(self.residual(x) + self.shortcut(x))


class XResNet1d(nn.Module):
    """Classifies crops of ECGs.

    Args:
        n_leads: Leads C of the input.
        n_classes: Classes K.
        blocks: Blocks of each stage; all but the first stage halve the length.
        stem: Channels of the three convolutions of the stem.
        width: Channels of a block's middle convolution.
        expansion: A block's output has so many times `width` channels.
        kernel: Length of the kernels in samples, odd.
        n_features: Features of the head.
        dropout: Dropout before the last layer; half of it before the one before.

    Raises:
        ValueError: If there is no stage, or a stage without a block.
    """

    def __init__(
        self,
        n_leads: int,
        n_classes: int,
        blocks: Sequence[int] = XRESNET101,
        stem: Sequence[int] = (32, 32, 64),
        width: int = 64,
        expansion: int = 4,
        kernel: int = 5,
        n_features: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if not blocks or min(blocks) < 1 or kernel % 2 == 0:
            raise ValueError("model.blocks needs a stage, each stage a block, and model.kernel is odd")
        sizes = [n_leads, *stem]
        self.stem = nn.Sequential(
            *(convolution(sizes[i], sizes[i + 1], kernel, 2 if i == 0 else 1) for i in range(len(stem))),
            nn.MaxPool1d(3, 2, padding=1),
        )
        n_out, n_in = width * expansion, sizes[-1]
        stages: list[nn.Module] = []
        for stage, count in enumerate(blocks):
            for block in range(count):
                stages.append(Bottleneck(n_in, width, n_out, kernel, 2 if stage > 0 and block == 0 else 1))
                n_in = n_out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.BatchNorm1d(2 * n_out),
            nn.Dropout(dropout / 2),
            nn.Linear(2 * n_out, n_features),
            nn.ReLU(inplace=True),
            nn.BatchNorm1d(n_features),
            nn.Dropout(dropout),
            nn.Linear(n_features, n_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.zeros_(self.last.weight)

    @property
    def last(self) -> nn.Linear:
        """The last layer."""
        layer = self.head[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    @torch.no_grad()
    def start_from(self, logits: Tensor) -> None:
        """Sets the logits, shape (K,), that an untrained network gives for any input."""
        self.last.bias.copy_(logits)

    def forward(self, x: Tensor) -> Tensor:
        """Maps standardised crops (B, C, L) to logits (B, K)."""
        return self.last(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Maps standardised crops (B, C, L) to the features of the head, (B, n_features), before the last layer."""
        found = self.stages(self.stem(x))
        out: Tensor = self.head[:-1](torch.cat([found.amax(dim=-1), found.mean(dim=-1)], dim=1))
        return out
