"""Exponential moving average of a model's weights."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


class EMA(Generic[Model]):
    """Keeps a smoothed copy of a model's weights.

    The decay warms up as `(1 + step) / (10 + step)`, so that the first weights are soon forgotten.

    Args:
        model: Model whose weights are followed.
        decay: Decay a step.

    Attributes:
        model: The smoothed copy, in evaluation mode, without gradients.
    """

    def __init__(self, model: Model, decay: float = 0.999) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Takes in the model's weights after optimiser step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for smooth, weight in zip(self.model.parameters(), model.parameters(), strict=True):
            if weight.requires_grad:  # the others never change
                smooth.lerp_(weight, 1 - decay)
        for copied, value in zip(self.model.buffers(), model.buffers(), strict=True):
            copied.copy_(value)
