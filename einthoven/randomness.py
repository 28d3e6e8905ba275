"""Random numbers that belong to a record and a sample, not to a batch.

A result must be the same for a record alone, in a batch, on one process or on eight. So every stochastic function takes
either one `torch.Generator`, or one generator for each sample of each record.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

Generators = Generator | Sequence[Sequence[Generator]]
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
    rows = [torch.stack([torch.randn(*shape[2:], generator=g, dtype=dtype) for g in row]) for row in generator]
    return torch.stack(rows).to(device)
