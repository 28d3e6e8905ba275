"""Scalograms as images and levels."""

import numpy as np
import pytest
import torch

from einthoven.ecg.filters import resample
from noise_quant.scalogram.image import (
    HAN,
    HEIGHT,
    MAX_LEVEL,
    WIDTH,
    ScalogramSettings,
    image_levels,
    levels_image,
    scalogram_image,
    superlet_transform,
)
from preprocessing.cohorts.simulator import simulate_ecg


@pytest.fixture(scope="module")
def signal():
    return np.asarray(simulate_ecg(1, 100, rhythm="sinus")[0], dtype=np.float64)


def test_images_of_all_leads(signal):
    image = scalogram_image(signal, 100)
    assert image.shape == (12, HEIGHT, WIDTH)
    assert image.dtype == torch.float32
    assert image.min() >= -1
    assert image.max() <= 1
    assert torch.equal(image, scalogram_image(torch.from_numpy(signal), 100))


def test_discretization_rounds_to_256_levels(signal):
    rounded, exact = (scalogram_image(signal, 100, discretization=value) for value in (True, False))
    levels = (rounded + 1) * MAX_LEVEL / 2
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert (rounded - exact).abs().max() <= 1 / MAX_LEVEL + 1e-6
    assert len(exact.unique()) > 256


def test_the_image_is_the_clipped_logarithm_of_the_power(signal):
    lead = torch.from_numpy(signal[1] - signal[1].mean())
    power = superlet_transform(lead, 100, ScalogramSettings(), WIDTH).clamp(-6, 0)
    assert torch.allclose(scalogram_image(signal[1], 100, discretization=False), power / 3 + 1, atol=1e-5)


def test_an_ecg_looks_alike_at_every_rate(signal):
    image = scalogram_image(signal, 100, discretization=False)
    for rate in (250, 360, 1000):
        other = scalogram_image(resample(signal, 100, rate), rate, discretization=False)
        assert (other - image).abs().mean() < 1 / MAX_LEVEL


def test_ranges_are_checked():
    with pytest.raises(ValueError, match="log_min"):
        ScalogramSettings(log_min=0.0)
    with pytest.raises(ValueError, match="above 80 Hz"):
        ScalogramSettings(sampling_rate=80.0)


def test_an_offset_matters_in_the_published_form_only(signal):
    def change(settings):
        return (scalogram_image(signal + 3, 100, settings) - scalogram_image(signal, 100, settings)).abs().max()

    assert change(ScalogramSettings()) <= 2 / MAX_LEVEL + 1e-6
    assert change(HAN) > 0.1


def test_a_flat_lead_is_black():
    assert (scalogram_image(np.full(1000, 2.5), 100) == -1).all()


def test_levels_and_images_are_inverse():
    levels = np.arange(256, dtype=np.uint8)
    image = levels_image(levels)
    assert (image[0], image[-1]) == (-1, 1)
    assert np.array_equal(image_levels(image).numpy().astype(np.uint8), levels)


def test_levels_of_what_lies_beyond_are_cut():
    image = torch.tensor([-1.7, 0.001, 1.2])
    assert image_levels(image).tolist() == [0, 128, 255]
    assert image_levels(image, discretization=False)[1] == pytest.approx(127.6275, abs=1e-3)
