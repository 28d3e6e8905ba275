"""The rivals trained here: what their papers say of loss and sampling, and that they stand in for a sampler."""

import hydra
import numpy as np
import pytest
import torch

from einthoven.ecg.leads import INDEPENDENT_LEADS
from einthoven.randomness import record_generators
from einthoven.run.files import write_json
from einthoven.run.launch import CONFIGS, plain
from einthoven.run.run_folder import RunFolder
from evaluation.denoising.report import evaluate_denoising_runs
from evaluation.inpainting.report import evaluate_runs
from preprocessing.cohorts.nstdb import load_noise
from preprocessing.cohorts.simulator import simulate_store
from preprocessing.store.store import Store
from reconstruction.api import reconstruct
from reconstruction.batch import reconstruct_batch
from reconstruction.measurement.added_noise import AddNoise
from reconstruction.measurement.likelihood import GaussianLikelihood
from reconstruction.measurement.missingness import HideSamples, Missingness
from reconstruction.measurement.operators import LeadSelection
from reconstruction.rivals.descod import Descod, DescodNetwork
from reconstruction.rivals.noise import add_noise, read_noise, validation_noise
from reconstruction.rivals.training import OBJECTIVES, build_rival, train_rival
from reconstruction.rivals.unet_denoiser import UNetDenoiser
from reconstruction.rivals.unet_regression import UNetRegression, correlation
from reconstruction.samplers.registry import RIVALS
from reconstruction.samplers.spec import SamplerSpec

BACKBONE = {
    "channels": [32, 32], "kernel_sizes": [3, 3], "attention": [False, False], "patch": 4, "n_blocks": 1, "dropout": 0.0
}  # fmt: skip
OVERRIDES = [f"rival.model.backbone.{key}={str(value).lower()}" for key, value in BACKBONE.items()]
TRAIN = {
    "n_steps": 16, "batch_size": 4, "warmup_steps": 2, "validate_every": 8, "save_every": 8, "ema_decay": 0.5,
    "learning_rate": 3e-3,
}  # fmt: skip
KEYS = ("a", "b", "c")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A store of 20 records of 2.5 s, and noise made up: bw a slow wave, em and ma white."""
    root = tmp_path_factory.mktemp("rivals")
    simulate_store(root / "store", 20, 100, 2.5)
    rng = np.random.default_rng(0)
    noise = {name: rng.standard_normal((2, 3000)) for name in ("em_fit", "ma_fit", "em_test", "ma_test", "bw_test")}
    noise["bw_fit"] = np.sin(np.arange(3000) / 100 * 2 * np.pi * 0.8 + np.array([[0.0], [1.0]]))
    (root / "noise").mkdir()
    np.savez(root / "noise" / "noise.npz", **{name: array.astype("f4") for name, array in noise.items()})
    write_json(root / "noise" / "manifest.json", {"name": "nstdb", "sampling_rate": 100.0})
    return root


def composed(root, *overrides):
    with hydra.initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return plain(hydra.compose(root, list(overrides)))


def settings(folders, kind, results_path):
    overrides = [f"rival={kind}", *OVERRIDES, f"dataset.database_path={folders / 'store'}"]
    overrides += [f"train.{key}={value}" for key, value in TRAIN.items()]
    overrides += ["dataset.segment_length=[128]", f"train.results_path={results_path}"]
    if kind != "unet_regression":
        overrides.append(f"rival.objective.noise.path={folders / 'noise'}")
    return composed("train_rival", *overrides)


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    """A run folder of each kind."""
    root = tmp_path_factory.mktemp("trained")
    for kind in OBJECTIVES:
        train_rival(settings(folders, kind, root / kind), root / kind)
    return root


@pytest.fixture(params=OBJECTIVES)
def kind(request):
    return request.param


def test_training_lowers_the_losses(trained, kind):
    metrics = RunFolder.open(trained / kind).metrics()
    first, last = (line for line in metrics if "validation/" in str(line))
    names = [name for name in last if name.startswith("validation/")]
    assert len(names) == (2 if kind == "unet_regression" else 4)
    assert sum(last[name] for name in names) < 0.99 * sum(first[name] for name in names)
    assert (trained / kind / "loss.png").stat().st_size > 1000
    assert RIVALS[kind].network_type.load(trained / kind).facts == {"steps": 16}


def test_correlation_is_pearsons():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 50))
    estimate = x + rng.standard_normal(x.shape)
    where = rng.random(x.shape) < 0.6
    where[0, 1] = False
    found = correlation(*map(torch.from_numpy, (3 * estimate + 5, x, where)))
    for place in np.ndindex(2, 3):
        expected = np.corrcoef(estimate[place][where[place]], x[place][where[place]])[0, 1] if where[place].any() else 0
        assert found[place] == pytest.approx(expected, abs=1e-9)
    assert correlation(torch.ones(1, 4), torch.randn(1, 4), torch.ones(1, 4, dtype=torch.bool)) == 0


def test_regression_reads_and_scores_what_it_should():
    torch.manual_seed(0)
    objective = build_rival(
        {"kind": "unet_regression", "model": {"backbone": BACKBONE}, "objective": {
            "patterns": {"lead_i": 1.0, "leads": 0.0, "blocks": 0.0, "points": 0.0}, "correlation_weight": 2.0}}
    )  # fmt: skip
    torch.nn.init.normal_(objective.network.backbone.patch_out.weight, std=0.1)
    x = 0.3 * torch.randn(3, 8, 64)
    batch = objective.draw({"x": x}, torch.Generator())
    estimate = objective.network(x, batch["observed"])
    assert torch.equal(estimate[:, 0], x[:, 0])
    assert torch.equal(estimate, objective.network(torch.where(batch["observed"], x, torch.nan), batch["observed"]))
    squared = (estimate - x)[:, 1:].square().mean(dim=(1, 2)) / 0.25**2
    r = [
        [np.corrcoef(a, b)[0, 1] for a, b in zip(e[1:], t[1:], strict=True)]
        for e, t in zip(estimate.detach(), x, strict=True)
    ]
    expected = squared + 2 * (1 - torch.tensor(r).mean(dim=1))
    torch.testing.assert_close(objective(batch).double(), expected.double(), rtol=1e-4, atol=1e-4)


def test_descods_steps_and_levels():
    network = DescodNetwork({"backbone": BACKBONE})
    assert len(network.betas) == 50
    torch.testing.assert_close(network.betas[[0, -1]], torch.tensor([1e-4, 0.5], dtype=torch.float64))
    torch.testing.assert_close(network.betas.sqrt().diff().std(), torch.zeros((), dtype=torch.float64))
    assert network.alpha_bars[0] == 1 and network.alpha_bars[-1] < 1e-3
    with pytest.raises(ValueError, match="beta_start"):
        DescodNetwork({"backbone": BACKBONE, "diffusion": {"beta_end": 1.5}})


def test_descods_levels_cover_all_steps_and_its_loss_is_zero_for_the_noise_itself(folders):
    noise = {"path": folders / "noise", "snr_db": {"em": [0, 0]}}
    objective = build_rival({"kind": "descod", "model": {"backbone": BACKBONE}, "objective": {"noise": noise}})
    batch = objective.draw({"x": 0.2 * torch.randn(100, 8, 64)}, torch.Generator().manual_seed(0))
    roots = objective.network.alpha_bars.sqrt().float()
    counts = torch.histogram(batch["alpha"], roots.flip(0)).hist
    assert counts.sum() == 100 and counts.min() == counts.max() == 2
    objective.network.forward = lambda x_l, y, level: batch["gaussian"]
    assert torch.equal(objective(batch), torch.zeros(100))


def test_descods_samples_are_draws_of_the_posterior(trained, tiny_denoiser):
    """With the exact prediction for `x ~ N(0, 1)` and `y = x + noise`, many steps lead to the exact posterior."""
    sampler = Descod(tiny_denoiser, trained / "descod")
    diffusion, variance = {"n_steps": 400, "beta_start": 1e-4, "beta_end": 0.06}, 0.5
    network = sampler.network = DescodNetwork({"backbone": BACKBONE, "diffusion": diffusion})

    def exact(x_l, y, level):
        level = level[:, None, None].double()
        precision = 1 + 1 / variance + level**2 / (1 - level**2)
        clean = (y / network.sigma_data / variance + level / (1 - level**2) * x_l) / precision
        return (x_l - level * clean) / (1 - level**2).sqrt()

    network.forward = exact
    y = torch.full((1, 8, 50), 0.6, dtype=torch.float64) * network.sigma_data
    likelihood = GaussianLikelihood(LeadSelection(INDEPENDENT_LEADS), y, 0.01)
    draws = sampler(likelihood, 20, torch.Generator().manual_seed(0))
    z = draws.samples / network.sigma_data
    assert draws.calls.network == 400
    exact_variance = variance / (1 + variance)
    assert abs(float(z.mean()) - 0.6 / (1 + variance)) < 4 * (exact_variance / z.numel()) ** 0.5
    assert float(z.var()) == pytest.approx(exact_variance, rel=0.05)


def measurement(kind, n_records):
    ecg = 0.3 * torch.randn(3, 8, 96, generator=torch.Generator().manual_seed(3))[:n_records]
    operator = LeadSelection(["I"] if kind == "unet_regression" else INDEPENDENT_LEADS)
    return operator, operator(ecg)


def test_a_record_is_the_same_alone_and_beside_others(kind, trained, tiny_denoiser):
    sampler = RIVALS[kind](tiny_denoiser, trained / kind)
    operator, y = measurement(kind, 3)
    together = sampler(GaussianLikelihood(operator, y, 0.02), 2, record_generators(0, KEYS, 2)).samples
    assert together.shape == (2, 3, 8, 96) and together.isfinite().all()
    wild = torch.cat([y[:1], 50 * y[1:].flip(-1) + 10])
    other = sampler(GaussianLikelihood(operator, wild, 0.02), 2, record_generators(0, ("a", "d", "e"), 2)).samples
    assert torch.equal(other[:, 0], together[:, 0])
    draws = sampler(GaussianLikelihood(operator, y[:1], 0.02), 2, record_generators(0, ("a",), 2))
    alone = draws.samples
    torch.testing.assert_close(alone[:, 0], together[:, 0], rtol=1e-4, atol=1e-4)
    if kind == "descod":
        assert not torch.equal(together[0], together[1])
    else:
        assert torch.equal(together[0], together[1])
        assert torch.equal(draws.mean, alone[0]) and draws.calls.network == 1


def test_mistakes_are_told(trained, tiny_denoiser, folders, tmp_path):
    with pytest.raises(ValueError, match="no weights of descod .* rival=descod"):
        Descod(tiny_denoiser, trained / "unet_denoiser")
    with pytest.raises(ValueError, match="no weights at"):
        Descod(tiny_denoiser, tmp_path)
    operator, y = measurement("unet_regression", 1)
    with pytest.raises(ValueError, match="samples or leads are missing"):
        UNetDenoiser(tiny_denoiser, trained / "unet_denoiser")(
            GaussianLikelihood(operator, y, 0.1), 2, torch.Generator()
        )
    operator, y = measurement("unet_denoiser", 1)
    with pytest.raises(ValueError, match="every sample was measured"):
        UNetRegression(tiny_denoiser, trained / "unet_regression")(
            GaussianLikelihood(operator, y, 0.1), 2, torch.Generator()
        )
    with pytest.raises(ValueError, match="did you mean 'descod'"):
        build_rival({"kind": "deskod"})
    with pytest.raises(ValueError, match="lowest, highest"):
        read_noise({"path": folders / "noise", "snr_db": {"em": [5, 0]}}, 100.0)
    with pytest.raises(ValueError, match="needs weights of its own"):
        reconstruct(np.random.default_rng(0).standard_normal((1, 500)), 100, ["I"], method="unet_regression")
    with pytest.raises(ValueError, match=r"rival=descod, and give algo\.weights="):
        SamplerSpec.from_config(composed("denoise", "algo=descod")).on(tiny_denoiser)


def test_a_recording_can_be_given_to_a_rival(trained, tiny_denoiser):
    ecg = 0.5 * np.sin(np.arange(500) / 100 * 2 * np.pi * 1.3)[None]
    sampler = UNetRegression(tiny_denoiser, trained / "unet_regression")
    result = reconstruct(ecg, 100, ["I"], method="unet_regression", sampler=sampler)
    np.testing.assert_allclose(result.lower, result.upper, atol=1e-6)


def test_training_noise_has_its_level(folders):
    noise = read_noise({"path": folders / "noise", "snr_db": {"bw": [-20, 20], "ma": [0, 6]}}, 100.0)
    x = 0.3 * torch.randn(6, 8, 400, generator=torch.Generator().manual_seed(0))
    x = x - x.mean(dim=-1, keepdim=True)
    batch = add_noise(x, noise, torch.Generator().manual_seed(0))
    assert torch.equal(batch["x"], x) and batch["y"].shape == x.shape
    parts = validation_noise(x, noise, torch.Generator().manual_seed(0))
    assert list(parts) == ["bw", "ma"]
    left = (parts["ma"]["y"] - x).square().mean(dim=(1, 2)) / x.square().mean(dim=(1, 2))
    assert (10 * left.log10()).abs().max() < 1  # white noise, of which the high-pass takes little
    again = validation_noise(x, noise, torch.Generator().manual_seed(0))
    assert torch.equal(again["bw"]["y"], parts["bw"]["y"])


def run_in_batch(folders, trained, root, kind, make_task, denoiser, *overrides):
    """Does what the scripts do, from the composed config."""
    store = Store.open(folders / "store")
    algo = [f"algo={kind}", f"algo.weights={trained / kind}"]
    config = composed(root, *algo, f"dataset.store={folders / 'store'}", *overrides)
    run = RunFolder.create(trained / f"{root}_{kind}", config, seed=0, device="cpu")
    sampler = SamplerSpec.from_config(config).on(denoiser)
    settings = {key: config["algo"][key] for key in ("n_samples", "sigma_y")}
    reconstruct_batch(store, store.rows("train")[:3], sampler, run.path, make_task(sampler), batch_size=3, **settings)
    return run.path


def lines_of(markdown):
    rows = [[cell.strip() for cell in line.split("|")] for line in markdown.splitlines() if "|" in line]
    return {row[1]: row[2:-1] for row in rows}


def test_the_table_of_lead_i_claims_no_band_for_one_estimate(folders, trained, tiny_denoiser, tmp_path):
    def task(sampler):
        return HideSamples(Missingness("lead", 1), sampler.leads)

    folder = run_in_batch(folders, trained, "inpaint", "unet_regression", task, tiny_denoiser)
    lines = lines_of(evaluate_runs([folder], tmp_path, n_resamples=5).markdown)
    assert lines["CRPS (mV)"] == lines["MAE of the mean (mV)"]
    assert lines["network calls"][0] == "1"
    assert not any("coverage" in label or "single samples" in label for label in lines)


def test_the_table_of_denoising_holds_the_rivals(folders, trained, tiny_denoiser, tmp_path):
    def task(sampler):
        return AddNoise(load_noise(folders / "noise", "test"), "em", snr_db=0.0, prior_leads=sampler.leads)

    noise = ["denoising.snr_db=0", f"denoising.noise_path={folders / 'noise'}"]
    runs = [
        run_in_batch(folders, trained, "denoise", kind, task, tiny_denoiser, *noise)
        for kind in ("descod", "unet_denoiser")
    ]
    report = evaluate_denoising_runs(runs, tmp_path, n_resamples=5, n_validation=1)
    found = {(row.method, row.metric): row.value for row in report.table.itertuples()}
    assert np.isfinite(found["descod", "coverage"]) and np.isnan(found["unet_denoiser", "coverage"])
    assert found["unet_denoiser", "crps"] == found["unet_denoiser", "mae"]
    assert found["descod", "network_calls"] == 50
    assert found["noisy", "output_snr"] < found["unet_denoiser", "output_snr"]


def test_dry_run_trains_nothing(folders, tmp_path):
    printed = train_rival({**settings(folders, "descod", tmp_path / "run"), "dry_run": True}, tmp_path / "unused")
    assert "parameters" in printed and not list(tmp_path.iterdir())
