"""`generate`: the ECGs of the script, in memory."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from diffusion_prior.api import generate
from diffusion_prior.checkpoint import build_denoiser, save_denoiser, shared_denoiser
from diffusion_prior.generation import GenerationSettings, generate_ecgs
from einthoven.ecg.leads import LEADS
from einthoven.ecg.statements import encode
from tests.diffusion_prior.training.test_objective import TINY


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_denoiser(path, build_denoiser(TINY))
    return path


def test_ecgs_are_those_of_the_script(tiny_weights, tmp_path):
    result = generate(["SR", "LVH"], 3, 7, duration=2.0, n_steps=3, batch_size=2, weights=tiny_weights)
    settings = GenerationSettings(n_steps=3, length=200, batch_size=2, seed=7)
    labels = np.tile(encode(["SR", "LVH"]), (3, 1))
    expected = generate_ecgs(shared_denoiser(tiny_weights), labels, range(3), settings, tmp_path / "chunks")
    np.testing.assert_array_equal(result.samples, expected)
    assert (len(result), result.labels, result.leads, result.sampling_rate) == (3, ("SR", "LVH"), LEADS, 100)
    one = generate(["SR", "LVH"], 1, 7, duration=2.0, n_steps=3, weights=tiny_weights)
    np.testing.assert_allclose(one.samples[0], result.samples[0], atol=1e-5)


def test_one_of_them_is_a_recording_that_says_what_it_is(tiny_weights):
    result = generate("AFIB", 2, duration=1.0, n_steps=2, weights=tiny_weights)
    recording = result[-1]
    np.testing.assert_array_equal(recording.signal, result.samples[1])
    assert (recording.name, recording.source.format) == ("generated-1", "generated")
    assert "not a recording" in recording.notes[0]
    with pytest.raises(IndexError):
        result[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": "NORMAL"}, "near names: NORM"),
        ({"n": 0}, "n is 0: give 1"),
        ({"duration": 0.1}, "at least 64 samples"),
        ({"duration": -1}, "duration is -1: give"),
        ({"sampler": "euler"}, "unknown sampler"),
    ],
)
def test_mistakes_are_named(arguments, message, tiny_weights):
    with pytest.raises(ValueError, match=message):
        generate(**{"weights": tiny_weights} | arguments)


def test_generations_show_themselves(tiny_weights, tmp_path):
    result = generate("AFIB", 2, duration=1.0, n_steps=2, weights=tiny_weights)
    assert repr(result).startswith("Generation: 2 ECGs of 12 leads, 1.0 s at 100 Hz\n  statements  AFIB\n")
    figure = result.plot(layout="6x2", place=1)
    assert isinstance(figure, Figure)
    assert any("generated: research only" in text.get_text() for text in figure.axes[0].texts)
    assert result.to_data_frame().loc[(1, 0.5), "V2"] == result.samples[1, 7, 50]
    with np.load(result.save(tmp_path / "ecgs.npz"), allow_pickle=False) as file:
        np.testing.assert_array_equal(file["samples"], result.samples)
        assert file["labels"].tolist() == ["AFIB"]
    with pytest.raises(ValueError, match="saved as .npz"):
        result.save(tmp_path / "ecgs.edf")
