"""Random patterns of measured samples, to train the conditional denoiser on."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class ObservationPatterns:
    """Shares of the patterns in a training batch; what is left of 1 has no measured sample.

    Attributes:
        lead_i: Lead I (the first lead) alone.
        leads: A random set of leads, from one to all but one.
        blocks: One missing block a lead or, more often, over all leads: 10 to 90 % of the time anywhere, or as in
            experiments, 20 or 50 % on the grid of blocks of that length.
        points: Missing points, 10 to 90 % of them.
    """

    lead_i: float = 0.25
    leads: float = 0.15
    blocks: float = 0.1
    points: float = 0.05

    def __post_init__(self) -> None:
        shares = (self.lead_i, self.leads, self.blocks, self.points)
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError(f"the shares of the patterns must be positive and at most 1 in all, got {shares}")

    def draw(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
        """Draws one pattern a record: true where a sample was measured, shape (B, C, L)."""
        n_batch, n_leads, length = shape
        observed = torch.zeros(shape, dtype=torch.bool)
        bounds = torch.tensor([self.lead_i, self.leads, self.blocks, self.points]).cumsum(0)
        kinds = torch.bucketize(torch.rand(n_batch, generator=generator), bounds, right=True).tolist()
        for row, kind in enumerate(kinds):
            share = 0.1 + 0.8 * torch.rand((), generator=generator)
            if kind == 0:
                observed[row, 0] = True
            elif kind == 1:
                n_observed = int(torch.randint(1, n_leads, (), generator=generator))
                observed[row, torch.randperm(n_leads, generator=generator)[:n_observed]] = True
            elif kind == 2:
                on_grid = torch.rand((), generator=generator) < 0.5
                if on_grid:
                    share = torch.tensor(0.2 if torch.rand((), generator=generator) < 0.5 else 0.5)
                n_missing = int(share * length)
                n_starts = length // n_missing if on_grid else length - n_missing + 1
                starts = torch.randint(0, n_starts, (n_leads,), generator=generator) * (n_missing if on_grid else 1)
                common = torch.rand((), generator=generator) < 0.7
                starts = starts[:1].expand(n_leads) if common else starts
                time = torch.arange(length)
                observed[row] = (time < starts[:, None]) | (time >= starts[:, None] + n_missing)
            elif kind == 3:
                observed[row] = torch.rand(n_leads, length, generator=generator) < share
        return observed
