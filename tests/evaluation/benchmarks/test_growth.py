"""Growth: slopes, the plan of a cohort, and the works that are measured."""

import math
import re

import pandas as pd
import pytest

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from evaluation.benchmarks.growth import GROWTH, fit_slopes, growth_points, write_growth
from evaluation.benchmarks.growth_plan import STAGES, Cohort, Machines, plan_cohort, refresh_page, write_plan
from evaluation.benchmarks.growth_report import report_growth
from evaluation.benchmarks.growth_workload import WORKS, grow, growth_jobs
from noise_quant.model.checkpoint import build_model, save_model
from tests.evaluation.benchmarks.test_noise_workload import SMALL
from tests.test_configs import compose


def points(values, seconds, n_records=None, n_bytes=math.nan):
    counts = n_records or [8] * len(values)
    return [
        {"value": value, "seconds": lap, "n_records": n, "peak_memory_mb": 400.0 + 2 * n, "n_bytes": n_bytes * n}
        for value, lap, n in zip(values, seconds, counts, strict=True)
    ]


MEASURED = growth_points(
    [
        # 0.5 s once and 0.1 s a record; twice the leads, twice the time; two workers are 1.8 times as fast
        {"work": "score", "axis": "records", "points": points([8, 16, 32], [1.3, 2.1, 3.7], [8, 16, 32], 1000.0)},
        {"work": "score", "axis": "leads", "points": points([3, 6, 12], [0.2, 0.4, 0.8])},
        {"work": "score", "axis": "workers", "points": points([1, 2], [1.8, 1.0])},
        {"work": "inpaint", "axis": "records", "points": points([4, 8], [4.0, 8.0], [4, 8], 5e5)},
        {"work": "superlets", "axis": "seconds", "points": points([10], [1.0])},
    ]
)
COHORT = Cohort("archive", 36_000, 12, 10, 500)
MACHINES = [Machines("small", 1, 2), Machines("large", 4, 8)]


def test_slopes_are_those_of_the_logarithms():
    slopes = fit_slopes(MEASURED).set_index(["work", "axis"])
    assert slopes.loc[("score", "leads"), "slope"] == pytest.approx(1.0)
    assert slopes.loc[("score", "workers"), "slope"] == pytest.approx(-math.log2(1.8))
    assert slopes.loc[("inpaint", "records"), "slope"] == pytest.approx(1.0)
    assert 0.5 < slopes.loc[("score", "records"), "slope"] < 1.0
    assert slopes.loc[("score", "records"), "memory_mb_per_unit"] == pytest.approx(2.0)
    assert math.isnan(slopes.loc[("superlets", "seconds"), "slope"])


def test_growth_is_written_as_tables_and_a_picture(tmp_path):
    markdown = write_growth(MEASURED, tmp_path, "a machine")
    assert re.search(r" leads \| +3 - 12 \| +1\.00 \|", markdown) and "- a machine" in markdown
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "growth.csv")) == len(MEASURED)


def test_plan_counts_the_rise_with_records_and_the_efficiency():
    plan = plan_cohort(MEASURED, COHORT, MACHINES).set_index("stage")
    score = plan.loc[STAGES["score"]]
    assert score["seconds_per_record"] == pytest.approx(0.1)  # the 0.5 s that are done once do not count
    assert score["efficiency"] == pytest.approx(0.9)
    assert score["core_hours"] == pytest.approx(36_000 * 0.1 / 0.9 / 3600)
    assert score["hours_large"] == pytest.approx(score["core_hours"] / 32)
    assert score["storage_gb"] == pytest.approx(36_000 * 1000 / 1e9)
    assert plan.loc[STAGES["inpaint"], "efficiency"] == pytest.approx(0.9)  # not measured: the lowest that was
    assert COHORT.raw_gigabytes == pytest.approx(36_000 * 12 * 5000 * 2 / 1e9)


def test_plan_needs_two_numbers_of_records():
    with pytest.raises(ValueError, match="two numbers of records"):
        plan_cohort(MEASURED[MEASURED["axis"] == "leads"], COHORT, MACHINES)


def test_page_gets_the_tables_and_keeps_the_rest(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n<!-- plan -->\nold\n<!-- /plan -->\ntext\n")
    table = write_plan(plan_cohort(MEASURED, COHORT, MACHINES), COHORT, MACHINES, tmp_path, "a machine")
    refresh_page(page, {"plan": table})
    refresh_page(page, {"plan": table})  # twice is once
    text = page.read_text()
    assert text == f"# Page\n<!-- plan -->\n{table}<!-- /plan -->\ntext\n"
    assert "36,000 records" in table and "hours, large" in table
    with pytest.raises(ValueError, match="<!-- growth -->"):
        refresh_page(page, {"growth": table})


def test_report_joins_works_and_workers(tmp_path):
    kinds = [{"name": "one", "n_machines": 1, "n_cores": 4}]
    cohort = {"name": "archive", "n_records": 100, "n_leads": 12, "seconds": 10, "sampling_rate": 500}
    rows = [
        {"part": GROWTH, "work": "score", "axis": "records", "points": points([1, 2], [1.0, 2.0], [1, 2])},
        {"part": "engine", "work": "score", "axis": "workers", "points": points([1, 2], [2.0, 1.0])},
        {"part": "training", "records_per_second": 3.0},
    ]
    text = report_growth(pd.DataFrame(rows), {"cohort": cohort, "machines": kinds}, tmp_path, "a machine")
    assert "workers" in text and "noise scores" in text
    assert pd.read_csv(tmp_path / "plan.csv")["efficiency"].tolist() == [1.0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    backbone = {"name": "unet1d", "channels": (8,), "kernel_sizes": (3,), "attention": (False,), "n_blocks": 1}
    save_denoiser(folder / "prior.safetensors", build_denoiser({"backbone": backbone}))
    save_model(folder / "noise.safetensors", build_model(SMALL))
    return {
        "prior": str(folder / "prior.safetensors"),
        "noise": str(folder / "noise.safetensors"),
        "backbone": backbone,
    }


SAMPLING = {"weights": "prior", "samples": 2}


@pytest.mark.parametrize(
    ("work", "axis", "fixed"),
    [
        ("superlets", "leads", {"records": 1, "seconds": 10}),
        ("score", "leads", {"weights": "noise", "records": 1, "seconds": 10}),
        ("inpaint", "records", {**SAMPLING, "method": "amortised", "batch_size": 2, "leads": 3, "length": 256}),
        ("denoise", "records", {**SAMPLING, "method": "spectral_em", "leads": 12, "seconds": 2.5}),
        ("train", "records", {"model": None, "n_steps": 5, "precision": "no", "length": 128}),
    ],
)
def test_works_are_measured_at_each_size(weights, work, axis, fixed):
    if "weights" in fixed:
        fixed = {**fixed, "weights": weights[fixed["weights"]]}
    if "model" in fixed:
        fixed = {**fixed, "model": {"backbone": weights["backbone"]}}
    found = grow(work, axis, [1, 2], fixed, n_threads=1, n_repeats=1)
    table = growth_points([found])
    assert table["value"].tolist() == [1, 2]
    assert (table["seconds"] > 0).all()
    assert table["n_records"].tolist() == ([1, 2] if axis == "records" else [1, 1])
    assert table["n_bytes"].notna().all() == (work == "inpaint")
    assert table["peak_memory_mb"].is_monotonic_increasing


@pytest.mark.data
def test_files_are_prepared(ecg_data):
    found = grow("prepare", "records", [2, 4], {"raw_path": str(ecg_data / "ptb-xl"), "workers": 1}, 1, 1)
    assert [point["n_records"] for point in found["points"]] == [2, 4]
    assert all(point["n_bytes"] > 4e4 for point in found["points"])


def test_the_config_measures_every_work():
    part = compose("benchmark").benchmark
    jobs = growth_jobs(part.growth.works, part.growth.n_threads, part.growth.n_repeats)
    assert {arguments["work"] for _, arguments in jobs.values()} == WORKS.keys()
    assert {name for name, _ in jobs} == {GROWTH} <= set(part.parts)
    for _, arguments in jobs.values():
        assert arguments["axis"] in arguments["fixed"]
        assert list(arguments["values"]) == sorted(arguments["values"])
    some = growth_jobs(part.growth.works, 1, 1, only=["score"])
    assert {arguments["work"] for _, arguments in some.values()} == {"score"}
    with pytest.raises(ValueError, match="choose from prepare"):
        growth_jobs({"cooking": {"fixed": {}, "axes": {}}}, 1, 1)
