"""What the benchmark measures of Ray's workers; the cohorts run here, in this process, and Ray's times are made up."""

from types import SimpleNamespace

from einthoven.run.chunks import LocalEngine
from evaluation.benchmarks.engine_workload import ENGINE, compare_workers, engine_jobs, score_cohort
from noise_quant.model.checkpoint import build_model, save_model

TINY = {
    "ae": {"width": 8, "latent_channels": 2, "n_blocks": 1},
    "unet": {"in_channels": 2, "channels": [8, 16]},
}


def test_jobs_name_the_workers():
    score = {"weights": None, "n_records": 8, "chunk_records": 2}
    jobs = engine_jobs({"workers": [1, 2], "score": score, "inpaint": None})
    [((part, case), (work, arguments))] = jobs.items()
    assert (part, case) == (ENGINE, "score: 1 and 2 Ray workers")
    assert work is compare_workers
    assert arguments == {"cohort": score_cohort, "work": "score", "workers": [1, 2], **score}


def test_the_steady_state_leaves_out_the_start(monkeypatch):
    clock = SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr("evaluation.benchmarks.engine_workload.time", clock)
    monkeypatch.setattr("evaluation.benchmarks.engine_workload.find_spec", lambda name: name)

    def cohort(engine, progress, n_chunks):
        clock.now += 6.0  # the start
        for number in range(n_chunks):
            if number % engine.n_workers == 0:
                clock.now += 1.0
            progress(2)

    found = compare_workers(cohort, "score", [1, 2], n_chunks=12)
    one, two = found["points"]
    assert (found["work"], found["axis"]) == ("score", "workers")
    assert (one["value"], two["value"], one["n_records"], two["n_records"]) == (1, 2, 24, 24)
    assert (one["seconds"], one["seconds_with_start"]) == (12, 18)
    assert (two["seconds"], two["seconds_with_start"]) == (6, 12)
    assert (found["times_faster"], found["times_faster_with_start"]) == (2, 1.5)


def test_without_ray_it_says_so(monkeypatch):
    monkeypatch.setattr("evaluation.benchmarks.engine_workload.find_spec", lambda name: None)
    assert "einthoven[ray]" in compare_workers(print, "score", [1, 2])["note"]


def test_cohorts_are_worked_on_chunk_by_chunk(tmp_path):
    model = build_model({"kind": "latent", "size": "small", "scaling_factor": 1.0, **TINY})
    save_model(tmp_path / "tiny.safetensors", model)
    done = []
    score_cohort(str(tmp_path / "tiny.safetensors"), 3, 2, LocalEngine(), done.append)
    assert done == [2, 1]
