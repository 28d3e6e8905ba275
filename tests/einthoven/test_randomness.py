import pytest
import torch

from einthoven.randomness import randn, record_generators, seeded_generator


def test_numbers_belong_to_seed_record_and_sample():
    draw = randn((2, 3, 4), record_generators(0, [10, 11, 12], 2))
    again = randn((2, 1, 4), record_generators(0, [11], 2))
    assert torch.equal(draw[:, 1:2], again)
    assert len({float(v) for v in draw.flatten()}) == draw.numel()
    assert not torch.equal(draw, randn((2, 3, 4), record_generators(1, [10, 11, 12], 2)))


def test_numbers_are_standard_normal():
    x = randn((50, 20, 100), record_generators(0, range(20), 50))
    assert abs(float(x.mean())) < 4 / x.numel() ** 0.5
    assert abs(float(x.var()) - 1) < 4 * (2 / x.numel()) ** 0.5


def test_seeds_do_not_run_together():
    first = {seeded_generator(seed, key).initial_seed() for seed in range(30) for key in range(30)}
    assert len(first) == 900


def test_too_few_generators_are_refused():
    with pytest.raises(ValueError, match="one for each sample and record"):
        randn((2, 2, 4), record_generators(0, [1], 2))
