import torch

from reconstruction.measurement.linear_solver import conjugate_gradients

N_LEADS, LENGTH = 2, 6
SIZE = N_LEADS * LENGTH


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def positive(n_records, rank=SIZE):
    """Symmetric positive semi-definite matrices, one for each record."""
    root = draw(n_records, SIZE, rank)
    return root @ root.mT


def product(matrices):
    return lambda x: (matrices @ x.flatten(-2).unsqueeze(-1)).squeeze(-1).reshape(x.shape)


def test_solution_of_each_record():
    matrices, b = positive(3) + torch.eye(SIZE), draw(4, 3, N_LEADS, LENGTH, seed=1)
    x = conjugate_gradients(product(matrices), b, 1e-10)
    expected = torch.linalg.solve(matrices, b.flatten(-2).unsqueeze(-1)).reshape(b.shape)
    torch.testing.assert_close(x, expected, rtol=1e-7, atol=1e-8)


def test_of_several_solutions_the_shortest():
    matrices = positive(2, rank=5)
    b = product(matrices)(draw(2, N_LEADS, LENGTH, seed=1))
    x = conjugate_gradients(product(matrices), b, 1e-12)
    shortest = (torch.linalg.pinv(matrices) @ b.flatten(-2).unsqueeze(-1)).reshape(b.shape)
    torch.testing.assert_close(x, shortest, rtol=1e-6, atol=1e-8)


def test_a_preconditioner_saves_steps_and_changes_nothing_else():
    scale = torch.logspace(-3, 3, SIZE, dtype=torch.float64)
    matrices = torch.diag(scale) + 1e-4 * positive(1)[0]
    b = draw(1, N_LEADS, LENGTH, seed=1)
    n_calls = 0

    def counted(x):
        nonlocal n_calls
        n_calls += 1
        return product(matrices)(x)

    expected = torch.linalg.solve(matrices, b.flatten(-2).unsqueeze(-1)).reshape(b.shape)
    plain = conjugate_gradients(counted, b, 1e-10)
    n_plain, n_calls = n_calls, 0
    x = conjugate_gradients(counted, b, 1e-10, preconditioner=lambda v: v / scale.reshape(N_LEADS, LENGTH))
    torch.testing.assert_close(plain, expected, rtol=1e-5, atol=1e-8)
    torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-8)
    assert n_calls < n_plain


def test_a_record_that_is_done_stands_still():
    # The first record is done after one step, the second is not.
    matrices = torch.stack([torch.eye(SIZE, dtype=torch.float64), positive(1)[0] + torch.eye(SIZE)])
    b = draw(2, N_LEADS, LENGTH, seed=1)
    together = conjugate_gradients(product(matrices), b, 1e-10)
    alone = conjugate_gradients(product(matrices[:1]), b[:1], 1e-10)
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=0)


def test_nothing_to_solve():
    zero = torch.zeros(2, N_LEADS, LENGTH)
    assert torch.equal(conjugate_gradients(lambda x: x, zero, 1e-6), zero)


def test_it_stops_after_the_most_steps():
    n_calls = 0

    def counted(x):
        nonlocal n_calls
        n_calls += 1
        return product(positive(1))(x)

    conjugate_gradients(counted, draw(1, N_LEADS, LENGTH, seed=1), 0.0, max_steps=3)
    assert n_calls == 3
