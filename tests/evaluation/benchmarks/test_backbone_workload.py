"""The published order gives what our network gives; and what the benchmark makes of the networks' times."""

import pandas as pd
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from diffusion_prior.model.sashimi import Sashimi
from einthoven.run.launch import plain
from evaluation.benchmarks import backbone_workload
from evaluation.benchmarks.backbone_report import report_backbone
from evaluation.benchmarks.backbone_workload import (
    BACKBONE,
    NETWORKS,
    PUBLISHED_ORDER,
    Setting,
    backbone_jobs,
    build_network,
    call_network,
    compare_networks,
    noised,
    time_mgps,
    with_memory,
    with_times,
)
from evaluation.benchmarks.published_order import PublishedOrder
from tests.scripts import run_script
from tests.test_configs import compose

TINY = {"d_model": 8, "n_layers": 1, "pool": [2], "L": 32}
ON_CPU = ["U-Net", "SaShiMi", "SaShiMi, kernels per call", PUBLISHED_ORDER]


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    backbone = {"name": "unet1d", "channels": (8,), "kernel_sizes": (3,), "attention": (False,), "n_blocks": 1}
    save_denoiser(path, build_denoiser({"backbone": backbone}))
    return {"sashimi": TINY, "weights": str(path), "length": 30, "n_threads": 1, "device": "cpu"}


@pytest.mark.parametrize(
    "change",
    [{}, {"unconditional": True}, {"conjugate_pairs": True}, {"unet": False}, {"pool": [1, 2, 2], "n_layers": 2}],
    ids=str,
)
def test_the_published_order_gives_the_same_noise(change):
    torch.manual_seed(0)
    network = Sashimi(**{**TINY, **change}).eval().requires_grad_(False)
    for weight in network.final_conv.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    published = PublishedOrder(network)
    step, label = torch.tensor([0.0, 400.0, 999.0]), torch.eye(3, 71)
    for length in (32, 16):  # whole kernels, and cut ones
        x = torch.randn(3, 9, length)
        torch.testing.assert_close(published(x, step, label), network(x, step, label), atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="samples here, got"):
        published(torch.randn(1, 9, 64), step[:1], label[:1])


def test_all_networks_take_the_same_ecgs_and_are_frozen(setting):
    how = Setting(**setting)
    for name in ON_CPU:
        denoiser = build_network(name, how)
        assert not denoiser.training and not any(weight.requires_grad for weight in denoiser.parameters())
        x = noised(denoiser, 2, how)
        assert x.shape == (2, 8 if name == "U-Net" else 9, 30)
        assert call_network(denoiser, x, backward=False) > 0 and call_network(denoiser, x, backward=True) > 0
    kept, fresh, published = (build_network(name, how) for name in ON_CPU[1:])
    assert kept.backbone.keep_kernels and not fresh.backbone.keep_kernels
    outputs = [denoiser(x, torch.tensor(0.3)) for denoiser in (kept, fresh, published)]
    assert torch.equal(outputs[0], outputs[1])
    torch.testing.assert_close(outputs[2], outputs[0], atol=1e-4, rtol=1e-4)
    assert outputs[0].std() > 0


def test_networks_are_timed_in_turn(setting, monkeypatch):
    calls = []

    def call(denoiser, x, backward):
        calls.append((type(denoiser.backbone).__name__, len(x), backward))
        return float(len(calls))

    monkeypatch.setattr(backbone_workload, "call_network", call)
    monkeypatch.setattr(
        backbone_workload, "measure_alone", lambda work, **arguments: {**work(**arguments), "peak_memory_mb": 500.0}
    )
    rows = compare_networks(["U-Net", PUBLISHED_ORDER], [1, 3], [2, 1], setting)["calls"]
    timed = calls[8:]
    assert timed[:6] == [("UNet1d", 1, False), ("PublishedOrder", 1, False)] * 3  # the first of each is not counted
    assert timed[6:10] == [("UNet1d", 3, False), ("PublishedOrder", 3, False)] * 2
    assert timed[10:16] == [(name, 1, True) for name, _, _ in timed[:6]]
    first = rows[0]
    assert (first["network"], first["batch"], first["backward"]) == ("U-Net", 1, False)
    assert first["laps"] == [11.0, 13.0] and first["seconds"] == 12.0
    assert first["peak_memory_mb"] == 500.0
    assert {row["parameters"] for row in rows if row["network"] == "U-Net"} == {rows[0]["parameters"]}
    assert len(rows) == 8 and all(row["seconds"] > 0 for row in rows)


def test_what_would_not_fit_into_memory_is_not_run(setting, monkeypatch):
    monkeypatch.setattr(backbone_workload, "_free_memory_mb", lambda: 5000.0)
    rows = [{"network": PUBLISHED_ORDER, "batch": batch, "backward": True, "device": "cpu"} for batch in (1, 10, 64)]

    def alone(work, batch, **arguments):
        return {"peak_memory_mb": 400.0 + 100.0 * batch}

    found = with_memory(rows, setting, alone)
    assert [row.get("peak_memory_mb") for row in found] == [500.0, 1400.0, None]
    assert found[2]["note"] == "not run: it would take about 7 GB, 5 GB are free"
    timed = with_times(found, {1: 1, 10: 1, 64: 1}, Setting(**setting))
    assert ["seconds" in row for row in timed] == [True, True, False]


def test_mgps_beside_the_published_calls(setting, monkeypatch):
    ours = {"seconds": 10.0, "network_calls": 145, "gradient_calls": 80}
    monkeypatch.setattr(backbone_workload, "restore", lambda *arguments: ours)
    monkeypatch.setattr(backbone_workload, "call_network", lambda denoiser, x, backward: 5.0 if backward else 2.0)
    found = time_mgps(4, 1, setting)
    assert found["published_seconds"] == 248 * 2.0 + 290 * 5.0
    assert {**ours, "n_samples": 4, "device": "cpu", "precision": "float32"}.items() <= found.items()


def test_report_judges_ratios(tmp_path):
    seconds = {"U-Net": 0.1, "SaShiMi": 1.0, PUBLISHED_ORDER: 2.5}
    calls = [
        {"network": name, "device": "cpu", "batch": batch, "backward": backward, "seconds": batch * value}
        | {"peak_memory_mb": 800.0, "parameters": 7_400_000, "laps": [1.0]}
        for name, value in seconds.items()
        for batch in (1, 10)
        for backward in (False, True)
    ]
    left_out = {
        "network": PUBLISHED_ORDER,
        "device": "cpu",
        "batch": 64,
        "backward": True,
        "note": "not run: too large",
    }
    sampler = {"device": "cpu", "precision": "bf16", "n_samples": 10, "seconds": 30.0}
    sampler |= {"network_calls": 145, "gradient_calls": 80}
    sampler |= {"forward_seconds": 2.0, "backward_seconds": 5.0, "published_seconds": 1946.0}
    text = report_backbone([{"calls": [*calls, left_out]}, {**sampler, "calls": float("nan")}], tmp_path, "a machine")
    assert text == (tmp_path / "backbone.md").read_text()
    assert "- a machine" in text and "batch 64, forward + backward, cpu: not run: too large" in text
    assert "248 x 2 s forward + 290 x 5 s" in text and "not a run" in text
    targets = pd.read_csv(tmp_path / "backbone_targets.csv").set_index("target")
    assert targets["ratio"].tolist() == pytest.approx([2.5, 2.5, 25.0, 64.9], rel=1e-3)
    assert targets["met"].tolist() == [False, True, True, True]
    assert text.count("MISSED") == 1
    table = pd.read_csv(tmp_path / "backbone.csv")
    assert len(table) == 13
    assert table[table["network"] == "U-Net"]["times_as_fast"].tolist() == pytest.approx([25.0] * 4)
    assert (tmp_path / "backbone.png").stat().st_size > 10_000


def test_the_config_measures_what_is_known():
    part = plain(compose("benchmark"))["benchmark"]
    jobs = backbone_jobs(**part["backbone"])
    assert {(BACKBONE, "cpu"), (BACKBONE, "MGPS, float32, cpu"), (BACKBONE, "MGPS, bf16, cpu")} <= jobs.keys()
    assert set(ON_CPU) == set(jobs[BACKBONE, "cpu"][1]["networks"])
    assert set(part["backbone"]["networks"]["cuda"]) <= NETWORKS.keys()
    assert BACKBONE in part["parts"]
    with pytest.raises(ValueError, match="unknown benchmark.backbone.networks Unet: choose from U-Net"):
        backbone_jobs(**{**part["backbone"], "networks": {"cpu": ["Unet"]}})
    with pytest.raises(ValueError, match="ascending batches, and n_repeats for each"):
        backbone_jobs(**{**part["backbone"], "batches": [1, 10]})


@pytest.mark.slow
def test_the_benchmark_measures_it_by_a_bare_word(setting, tmp_path):
    settings = {"weights": setting["weights"], "length": 30, "batches": "[2]", "n_repeats": "[1]", "n_threads": 1}
    sizes = [f"benchmark.backbone.{key}={value}" for key, value in settings.items()]
    sizes += ["benchmark.backbone.sashimi={d_model: 8, n_layers: 1, pool: [2], L: 32}"]
    sizes += ["benchmark.backbone.networks.cpu=[published order]", "benchmark.backbone.mgps.n_samples=2"]
    sizes += ["benchmark.backbone.mgps.precisions=[bf16]", "benchmark.backbone.mgps.n_repeats=1"]
    done = run_script("evaluation.benchmark", "backbone", *sizes, environment={"ECG_RUNS": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "times as fast as the published order" in done.stdout and "MGPS, bf16, beside" in done.stdout
    (folder,) = (tmp_path / "benchmark").iterdir()
    assert {"backbone.csv", "backbone.md", "backbone.png", "config.yaml", "provenance.json"} <= {
        file.name for file in folder.iterdir()
    }
    done = run_script("evaluation.benchmark", "bakbone", environment={"ECG_RUNS": str(tmp_path)})
    assert done.returncode == 2
    assert "unknown benchmark.parts bakbone: choose from" in done.stderr and done.stderr.count("\n") == 1
