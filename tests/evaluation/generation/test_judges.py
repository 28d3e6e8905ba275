import numpy as np
import pytest

from evaluation.generation.judges import frechet_distance, gaussian_mmd, judge, kernel_distance, spectra


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).standard_normal((3, 400, 5))


@pytest.mark.parametrize("distance", [gaussian_mmd, kernel_distance, frechet_distance])
def test_sets_of_one_distribution_are_nearer_than_shifted_ones(distance, features):
    one, other, _ = features
    assert abs(distance(one, other)) < 0.1 * distance(one, other + 1.0)
    assert distance(one, other + 1.0) < distance(one, other + 2.0)
    with pytest.raises(ValueError, match="two ECGs of each"):
        distance(one[:1], other)


def test_frechet_distance_of_gaussians_is_that_of_their_moments(features):
    one = features[0]
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(one, one + 2.0) == pytest.approx(5 * 4.0)
    scaled = frechet_distance(one, 3.0 * (one - one.mean(axis=0)) + one.mean(axis=0))
    assert scaled == pytest.approx(4.0 * np.var(one, axis=0, ddof=1).sum())


def test_unbiased_estimates_are_the_sums_over_pairs(features):
    one, other = features[0, :6], features[1, :7]
    total = 0.0
    for a, b, same in ((one, one, True), (other, other, True), (one, other, False)):
        pairs = [(x @ y / 5 + 1) ** 3 for i, x in enumerate(a) for j, y in enumerate(b) if not (same and i == j)]
        total += np.mean(pairs) * (1 if same else -2)
    assert kernel_distance(one, other) == pytest.approx(total)


def test_spectra_forget_gain_and_hold_where_the_power_is():
    times = np.arange(1000) / 100.0
    ecgs = np.stack([np.sin(2 * np.pi * 5.0 * times), np.zeros(1000)])[None]
    found = spectra(ecgs, 100.0).reshape(2, -1)
    assert found[0].sum() == pytest.approx(1.0) and found[1].sum() == 0.0
    assert np.argmax(found[0]) * 100.0 / 512 == pytest.approx(5.0, abs=0.2)
    np.testing.assert_allclose(spectra(7.0 * ecgs, 100.0), spectra(ecgs, 100.0), atol=1e-12)


def test_judges_of_other_real_ecgs_stay_on_the_floor(features):
    real, twins, training = ({"spectra": part, "features": part} for part in features)
    found = judge({name: part[:100] for name, part in real.items()}, twins, training, 30, 0).set_index("judge")
    assert list(found.index) == ["PSD-MMD", "KID", "FID"]
    far = judge({"spectra": real["spectra"]}, {"spectra": twins["spectra"] + 1.0}, training, 30, 0).set_index("judge")
    assert list(far.index) == ["PSD-MMD"]
    assert (far["value"] > far["floor_upper"]).all() and (found["floor_lower"] <= found["floor"]).all()
