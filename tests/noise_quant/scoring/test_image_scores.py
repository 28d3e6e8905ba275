import numpy as np
import pytest

from noise_quant.scoring.image_scores import image_scores


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    x = np.round(255 * rng.random((3, 32, 256)))
    y = np.clip(x + np.round(20 * rng.standard_normal(x.shape)), 0, 255)
    return x, y


def brute_force_similarity(x, y):
    """SSIM of one pair of images, window by window."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for row in range(x.shape[0] - 6):
        for column in range(x.shape[1] - 6):
            a, b = (image[row : row + 7, column : column + 7].ravel() for image in (x, y))
            (va, cov), (_, vb) = np.cov(a, b)
            ma, mb = a.mean(), b.mean()
            values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return np.mean(values)


def test_scores_equal_their_definitions(images):
    x, y = images
    scores = image_scores(x, y)
    mse = ((x - y) ** 2).mean((1, 2))
    np.testing.assert_allclose(scores.mse[:, 0], mse, rtol=1e-12)
    np.testing.assert_allclose(scores.mae[:, 0], np.abs(x - y).mean((1, 2)), rtol=1e-12)
    np.testing.assert_allclose(scores.psnr[:, 0], 10 * np.log10(255**2 / mse), rtol=1e-12)
    np.testing.assert_allclose(scores.ssim[0, 0], brute_force_similarity(x[0], y[0]), rtol=1e-9)


def test_equal_images(images):
    scores = image_scores(images[0], images[0])
    assert np.isposinf(scores.psnr).all()
    np.testing.assert_allclose(scores.ssim, 1.0)
    assert not scores.mse.any()
    assert not scores.mae.any()


def test_ranges_of_columns_are_scored_on_their_own(images):
    x, y = images
    spoilt = y.copy()
    spoilt[..., 100:] = 0
    ranges = [(0, 90), (100, 200), (240, 256), (254, 256), (0, 1)]
    before, after = image_scores(x, y, ranges), image_scores(x, spoilt, ranges)
    for name in ("psnr", "ssim", "mse", "mae"):
        assert getattr(before, name).shape == (3, 5)
        assert np.isfinite(getattr(before, name)).all()
        np.testing.assert_array_equal(getattr(before, name)[:, [0, 4]], getattr(after, name)[:, [0, 4]])
    np.testing.assert_allclose(before.mse[:, 1], ((x - y)[..., 100:200] ** 2).mean((1, 2)))
    assert (after.psnr[:, 1:4] < before.psnr[:, 1:4]).all()
    centred = image_scores(x[..., 97:203], y[..., 97:203])  # windows with their centres in 100 to 199
    np.testing.assert_allclose(before.ssim[:, 1], centred.ssim[:, 0])


@pytest.mark.parametrize("columns", [[], [(5, 5)], [(-1, 4)], [(0, 257)]])
def test_wrong_ranges_are_refused(images, columns):
    with pytest.raises(ValueError, match="ranges of columns"):
        image_scores(*images, columns)


def test_wrong_shapes_are_refused(images):
    with pytest.raises(ValueError, match="stacks of images"):
        image_scores(images[0], images[1][:2])
    with pytest.raises(ValueError, match="stacks of images"):
        image_scores(images[0][0], images[1][0])
