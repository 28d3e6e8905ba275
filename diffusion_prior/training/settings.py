"""Settings of a training run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainerSettings:
    """Settings of a training run; the defaults are those of the default prior.

    Attributes:
        n_steps: Optimiser steps in all.
        batch_size: Records of a step, over all processes.
        learning_rate: Peak learning rate of AdamW.
        warmup_steps: Steps of linear warm-up.
        decay_share: Last share of the steps, in which the rate falls linearly to zero.
        weight_decay: Weight decay of AdamW.
        max_grad_norm: Gradients are clipped to this norm.
        ema_decay: Decay of the weights' moving average.
        validate_every: Steps between validations.
        save_every: Steps between states to resume from.
        snapshot_every: Steps between weights that are kept; 0 for none.
        mixed_precision: "no", "bf16", or "auto": bf16 where the device that trains has units for it.
        seed: Seed of everything random.
    """

    n_steps: int = 16_000
    batch_size: int = 64
    learning_rate: float = 8e-4
    warmup_steps: int = 500
    decay_share: float = 0.3
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    ema_decay: float = 0.999
    validate_every: int = 500
    save_every: int = 250
    snapshot_every: int = 0
    mixed_precision: str = "no"
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.n_steps, self.batch_size, self.validate_every, self.save_every) < 1:
            raise ValueError("n_steps, batch_size, validate_every and save_every must be at least 1")
        if self.mixed_precision not in ("no", "bf16", "auto"):
            raise ValueError(f"mixed_precision is no, bf16 or auto, not {self.mixed_precision!r}")

    def rate(self, step: int, peak: float | None = None) -> float:
        """Returns the learning rate of optimiser step `step`, counted from 0; `peak` in place of `learning_rate`."""
        warmup = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        left = (self.n_steps - step) / max(self.decay_share * self.n_steps, 1)
        return (self.learning_rate if peak is None else peak) * warmup * min(1.0, left)
