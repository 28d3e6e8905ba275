"""Random numbers that belong to a record and a sample, not to a batch.

A result must be the same for a record alone, in a batch, on one process or on eight. So every stochastic function takes
either one `torch.Generator`, or one generator for each sample of each record.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Generator, Tensor


class NoiseInTime:
    """Draws numbers that belong to instants: two that begin at different ones agree where they overlap.

    Time is the last axis of what is drawn. The draws are counted, so the n-th ones of both agree.

    Args:
        parts: What the numbers belong to, for example (seed, record, sample).
        first: Where the time axis begins, in samples, from 0 on.
    """

    _BLOCK = 100

    def __init__(self, parts: Sequence[int | str], first: int) -> None:
        self.parts, self.first, self._n_draws = tuple(parts), first, 0

    def randn(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Draws standard normal numbers of a shape (..., L)."""
        block, offset = divmod(self.first, self._BLOCK)
        n_blocks = -(-(offset + shape[-1]) // self._BLOCK)
        blocks = [
            torch.randn(
                *shape[:-1], self._BLOCK, generator=seeded_generator(*self.parts, self._n_draws, number), dtype=dtype
            )
            for number in range(block, block + n_blocks)
        ]
        self._n_draws += 1
        return torch.cat(blocks, dim=-1)[..., offset : offset + shape[-1]]


Generators = Generator | Sequence[Sequence[Generator | NoiseInTime]]
"""One generator, or generators indexed `[sample][record]`."""


def seeded_generator(*parts: int | str) -> Generator:
    """Returns a CPU generator whose seed is a hash of `parts`, for example of (seed, record, sample)."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return Generator().manual_seed(int.from_bytes(digest, "little", signed=True))


def record_generators(seed: int, keys: Sequence[int | str], n_samples: int) -> list[list[Generator]]:
    """Returns one generator for each sample of each record, indexed `[sample][record]`.

    Args:
        seed: The run's seed.
        keys: The records' keys.
        n_samples: Number of samples for each record.
    """
    return [[seeded_generator(seed, key, sample) for key in keys] for sample in range(n_samples)]


def randn(
    shape: Sequence[int], generator: Generators, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Tensor:
    """Draws standard normal numbers.

    With generators per sample and record, each row is drawn on the CPU from its own generator, so that neither the
    batch nor the device changes a record's numbers.

    Args:
        shape: Shape of the result; `(n_samples, B, ...)` where generators are given per sample and record.
        generator: One generator, or generators indexed `[sample][record]`.
        dtype: Data type of the result.
        device: Device of the result.

    Raises:
        ValueError: If there is not one generator for each row of the shape.
    """
    if isinstance(generator, Generator):
        return torch.randn(*shape, generator=generator, dtype=dtype, device=generator.device).to(device)
    if len(generator) != shape[0] or any(len(row) != shape[1] for row in generator):
        raise ValueError(
            f"shape {tuple(shape)} needs {shape[0]} x {shape[1]} generators, one for each sample and record"
        )
    rows = [torch.stack([_draw(shape[2:], g, dtype) for g in row]) for row in generator]
    return torch.stack(rows).to(device)


def _draw(shape: Sequence[int], generator: Generator | NoiseInTime, dtype: torch.dtype) -> Tensor:
    if isinstance(generator, NoiseInTime):
        return generator.randn(shape, dtype)
    return torch.randn(*shape, generator=generator, dtype=dtype)
