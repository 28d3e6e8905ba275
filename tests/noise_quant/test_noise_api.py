import inspect
import subprocess
import sys

import numpy as np
import pytest

from einthoven.ecg.leads import LEADS
from noise_quant import ecg_noise_quantification
from noise_quant.api import load_scorer_model
from noise_quant.model.checkpoint import save_model
from preprocessing.cohorts.simulator import simulate_ecg
from tests.paths import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:no thresholds are known")

PUBLISHED_ARGUMENTS = (
    *("ecg", "sampling_freq", "checkpoint_path", "n_partitions", "batch_size", "diffusion_timestep"),
    *("noise_scheduler_type", "discretize", "use_ldm", "step_interval", "seed", "return_images"),
)


@pytest.fixture(scope="module")
def ecg():
    """Twelve leads of 23 s at 100 Hz, in mV."""
    return simulate_ecg(1, 100, duration=23.0, rhythm="sinus", seed=3)[0].astype(np.float64)


def test_arguments_have_their_published_names_and_order():
    assert tuple(inspect.signature(ecg_noise_quantification).parameters)[:12] == PUBLISHED_ARGUMENTS


def test_results_have_their_published_shapes(ecg, tiny_model_file):
    output = ecg_noise_quantification(ecg, 100, tiny_model_file, return_images=True)
    assert output.psnr.shape == (12, 3)
    assert output.original_image.shape == output.cleaned_image.shape == (12, 3, 32, 256)
    for image in (output.original_image, output.cleaned_image):
        assert image.min() >= 0
        assert image.max() <= 255
    mse = ((output.original_image[:, 0] - output.cleaned_image[:, 0]) ** 2).mean((1, 2))
    np.testing.assert_allclose(output.psnr[:, 0], 10 * np.log10(255**2 / mse), rtol=1e-5)
    assert output.leads == LEADS
    for name in ("ssim", "mse", "mae", "unusable", "reason", "verdict"):
        assert getattr(output, name).shape == (12, 3)
    without = ecg_noise_quantification(ecg, 100, tiny_model_file)
    assert without.original_image is None
    assert without.cleaned_image is None
    np.testing.assert_array_equal(without.psnr, output.psnr)


def test_shapes_of_the_input(ecg, tiny_model_file):
    piece = ecg[:, :1000]
    output = ecg_noise_quantification(piece, 100, tiny_model_file)
    np.testing.assert_array_equal(ecg_noise_quantification(piece.T, 100, tiny_model_file).psnr, output.psnr)
    single = ecg_noise_quantification(piece[0], 100, tiny_model_file, leads=["I"])
    assert single.psnr.shape == (1, 1)
    np.testing.assert_allclose(single.psnr[0, 0], output.psnr[0, 0], atol=0.02)
    assert ecg_noise_quantification(piece[:2].tolist(), 100, tiny_model_file).leads == ("0", "1")


@pytest.mark.parametrize("rate", [100, 257.5, 360, 1000])
def test_any_rate(rate, tiny_model_file):
    ecg = simulate_ecg(1, rate, duration=10.0, rhythm="sinus", seed=4, noise=0.0)[0, :1]
    reference = simulate_ecg(1, 500, duration=10.0, rhythm="sinus", seed=4, noise=0.0)[0, :1]
    outputs = [
        ecg_noise_quantification(x, r, tiny_model_file, return_images=True) for x, r in ((ecg, rate), (reference, 500))
    ]
    assert np.abs(outputs[0].original_image - outputs[1].original_image).mean() < 4
    assert outputs[0].psnr[0, 0] == pytest.approx(outputs[1].psnr[0, 0], abs=0.5)


@pytest.mark.parametrize("duration", [1.0, 3.7, 9.99])
def test_short_recordings_are_scored(ecg, tiny_model_file, duration):
    output = ecg_noise_quantification(ecg[:2, : round(100 * duration)], 100, tiny_model_file, n_partitions=4)
    assert output.psnr.shape == (2, int(np.ceil(duration / 2.5)))
    assert np.isfinite(output.psnr).all()
    assert output.stop_s[-1] == pytest.approx(duration, abs=0.05)


def test_unusable_leads_are_told(ecg, tiny_model_file):
    broken = ecg.copy()
    broken[4] = 0.2
    broken[5, 1050:2000] = np.nan
    output = ecg_noise_quantification(broken, 100, tiny_model_file)
    np.testing.assert_array_equal(output.reason[4], ["flat"] * 3)
    np.testing.assert_array_equal(output.reason[5], ["", "missing", ""])
    np.testing.assert_array_equal(output.unusable, output.verdict == "unusable")
    np.testing.assert_array_equal(output.unusable, np.isnan(output.psnr))


@pytest.mark.parametrize(
    ("ecg_of", "arguments", "message"),
    [
        (lambda x: x[None], {}, r"shape \(1, 12, 2300\)"),
        (lambda x: x[:0], {}, "shape"),
        (lambda x: x, {"sampling_freq": 50}, "100 Hz or more"),
        (lambda x: x, {"sampling_freq": float("nan")}, "give a number"),
        (lambda x: 1000 * x, {}, "microvolts divide by 1000"),
        (lambda x: np.round(200 * x), {}, "raw counts"),
        (lambda x: np.round(200 * x).astype(int), {}, "raw counts"),
        (lambda x: x[:, :60], {}, "at least 1 s"),
        (lambda x: x, {"leads": ["I", "II"]}, "12 names"),
        (lambda x: x, {"n_partitions": 0}, "n_partitions"),
        (lambda x: x, {"diffusion_timestep": 35}, "multiple of step_interval"),
        (lambda x: x, {"noise_scheduler_type": "ddin"}, "ddim or ddpm"),
        (lambda x: x, {"use_ldm": False}, "latent model"),
        (lambda x: x, {"checkpoint_path": "nowhere.safetensors"}, "no weights"),
    ],
)
def test_mistakes_say_what_to_do(ecg, tiny_model_file, ecg_of, arguments, message):
    with pytest.raises(ValueError, match=message):
        ecg_noise_quantification(
            **{"ecg": ecg_of(ecg), "sampling_freq": 100, "checkpoint_path": tiny_model_file} | arguments
        )


def test_a_model_is_read_once_until_its_file_changes(tiny_model, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_model(path, tiny_model)
    first = load_scorer_model(path)
    assert load_scorer_model(str(path)) is first
    save_model(path, tiny_model, {"name": "another"})
    assert load_scorer_model(path).facts == {"name": "another"}
    assert load_scorer_model(tmp_path).facts == {"name": "another"}


IMPORTS = """
import sys

import noise_quant

assert not {"torch", "diffusers", "pandas"} & sys.modules.keys()
from noise_quant import ecg_noise_quantification
from noise_quant.model.checkpoint import load_model
from noise_quant.scoring import plain_quality

load_model(sys.argv[1])
assert not {"diffusers", "hydra", "neurokit2"} & sys.modules.keys()
"""


def test_libraries_are_imported_when_they_are_needed(tiny_model_file):
    done = subprocess.run([sys.executable, "-c", IMPORTS, str(tiny_model_file)], cwd=ROOT, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.filterwarnings("error:no thresholds are known")
def test_the_bundled_model_tells_noise_from_a_clean_ecg():
    clean = simulate_ecg(1, 500, rhythm="sinus", seed=2)[0].astype(np.float64)
    noisy = clean + 0.2 * np.random.default_rng(0).standard_normal(clean.shape)
    scores = [ecg_noise_quantification(x, 500) for x in (clean, noisy)]
    assert (scores[0].psnr > scores[1].psnr + 2).all()
    assert np.mean(scores[0].verdict == "clean") > 0.5
    assert (scores[1].verdict == "heavily noisy").all()
