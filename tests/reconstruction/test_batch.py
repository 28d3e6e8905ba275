import numpy as np
import pandas as pd
import pytest
import torch

from diffusion_prior.checkpoint import build_denoiser, save_denoiser
from einthoven.ecg.leads import INDEPENDENT_LEADS, LEADS
from einthoven.run.chunked_job import DEPENDS_ON
from einthoven.run.lock import LOCK
from einthoven.run.run_folder import RunFolder
from evaluation.inpainting.runs import Reconstructions
from preprocessing.cohorts.simulator import simulate_store
from preprocessing.store.store import Store
from reconstruction.batch import ARRAYS, reconstruct_batch
from reconstruction.measurement.missingness import HideSamples, Missingness
from reconstruction.samplers.amortised import AmortisedSampler
from reconstruction.samplers.mgps import MGPS, GradientSchedule
from reconstruction.samplers.spec import SamplerSpec


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return simulate_store(tmp_path_factory.mktemp("stores") / "store", 5, 100, 2.5)


class Stopping(AmortisedSampler):
    """Stops when it has been called so many times, as a killed run does."""

    _n_left = 100

    def __call__(self, likelihood, n_samples, generator):
        if self._n_left == 0:
            raise KeyboardInterrupt
        self._n_left -= 1
        return super().__call__(likelihood, n_samples, generator)


def run(store, denoiser, folder, rows=range(5), pattern=None, sampler=None, **settings):
    sampler = sampler or AmortisedSampler(denoiser, n_steps=3)
    task = HideSamples(pattern or Missingness("lead", 1))
    return reconstruct_batch(store, np.array(rows), sampler, folder, task, n_samples=3, **settings)


def results(folder):
    return {name: np.load(folder / f"{name}.npy") for name in ARRAYS}


def test_files_and_their_content(store, tiny_denoiser, tmp_path):
    done = []
    summary = run(store, tiny_denoiser, tmp_path, batch_size=2, progress=done.append)
    arrays = results(tmp_path)
    assert {name: array.shape for name, array in arrays.items()} == {
        "samples": (5, 3, 12, 250),
        **dict.fromkeys(("mean", "lower", "upper", "truth", "observed"), (5, 12, 250)),
    }
    assert {array.dtype for name, array in arrays.items() if name != "observed"} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(arrays["truth"], store.read(np.arange(5)))
    np.testing.assert_array_equal(arrays["mean"][arrays["observed"]], arrays["truth"][arrays["observed"]])
    assert not np.allclose(arrays["mean"], arrays["samples"].mean(1))  # the sampler's own, not an average
    np.testing.assert_array_equal(arrays["samples"][:, 0, 0], arrays["truth"][:, 0])
    assert arrays["observed"].all(axis=(0, 2)).tolist() == [lead == "I" for lead in LEADS]
    records = pd.read_parquet(tmp_path / "records.parquet")
    assert records["ecg_id"].tolist() == store.table["ecg_id"].tolist()
    assert (records["network_calls"] == 4).all()
    assert done == [2, 2, 1]
    assert summary.n_records == summary.n_new == 5
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{name}.npy" for name in ARRAYS),
        "records.parquet",
        DEPENDS_ON,
        LOCK,
    }


def test_a_second_call_does_nothing(store, tiny_denoiser, tmp_path):
    run(store, tiny_denoiser, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    summary = run(store, tiny_denoiser, tmp_path)
    assert summary.n_new == 0
    assert "nothing to do" in summary.describe()
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_a_killed_run_goes_on_and_ends_the_same(store, tiny_denoiser, tmp_path):
    sampler = Stopping(tiny_denoiser, n_steps=3)
    run(store, tiny_denoiser, tmp_path / "whole", sampler=sampler, batch_size=2)
    sampler._n_left = 1
    with pytest.raises(KeyboardInterrupt):
        run(store, tiny_denoiser, tmp_path / "killed", sampler=sampler, batch_size=2)
    assert not (tmp_path / "killed" / "records.parquet").exists()
    sampler._n_left = 100
    assert run(store, tiny_denoiser, tmp_path / "killed", sampler=sampler, batch_size=2).n_new == 3
    whole, killed = results(tmp_path / "whole"), results(tmp_path / "killed")
    for name in ARRAYS:
        np.testing.assert_array_equal(whole[name], killed[name])


def test_a_run_goes_on_with_the_same_signals_only(tiny_denoiser, tmp_path):
    own = simulate_store(tmp_path / "store", 2, 100, 2.5)
    sampler = Stopping(tiny_denoiser, n_steps=3)
    sampler._n_left = 1
    with pytest.raises(KeyboardInterrupt):
        run(own, tiny_denoiser, tmp_path / "run", range(2), sampler=sampler, batch_size=1)
    np.save(tmp_path / "store" / "signals.npy", np.load(tmp_path / "store" / "signals.npy") // 2)
    sampler._n_left = 9
    with pytest.raises(ValueError, match="not what its manifest says"):
        run(Store.open(own.path), tiny_denoiser, tmp_path / "run", range(2), sampler=sampler, batch_size=1)


@pytest.mark.parametrize("pattern", [Missingness("lead", 1), Missingness("bm", 50), Missingness("rm", 30)])
def test_a_record_does_not_depend_on_its_batch_mates(store, tiny_denoiser, tmp_path, pattern):
    run(store, tiny_denoiser, tmp_path / "first", [0, 1], pattern, batch_size=2)
    run(store, tiny_denoiser, tmp_path / "second", [4, 1], pattern, batch_size=2)
    run(store, tiny_denoiser, tmp_path / "alone", [1], pattern, batch_size=1)
    first, second, alone = (results(tmp_path / name)["samples"] for name in ("first", "second", "alone"))
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_allclose(first[1], alone[0], atol=1e-5)


def test_what_a_task_adds_is_kept_beside_the_results(store, tiny_denoiser, tmp_path):
    hide = HideSamples(Missingness("lead", 1))

    def task(keys, truth):
        return hide(keys, truth)[0], {"doubled": 2 * truth}

    sampler = AmortisedSampler(tiny_denoiser, n_steps=2)
    reconstruct_batch(store, np.arange(3), sampler, tmp_path, task, n_samples=2, batch_size=2)
    np.testing.assert_array_equal(np.load(tmp_path / "doubled.npy"), 2 * np.load(tmp_path / "truth.npy"))


class Picky(AmortisedSampler):
    """Fails where one record's ECG is there, and returns no numbers for another's."""

    def __init__(self, denoiser, failing, infinite):
        super().__init__(denoiser, n_steps=2)
        self.failing, self.infinite = (torch.from_numpy(ecg[0]) for ecg in (failing, infinite))

    def __call__(self, likelihood, n_samples, generator):
        first = likelihood.y[:, 0]
        if any(torch.equal(lead, self.failing) for lead in first):
            raise IndexError("no such row")
        draws = super().__call__(likelihood, n_samples, generator)
        for record, lead in enumerate(first):
            if torch.equal(lead, self.infinite):
                draws.samples[:, record] = torch.inf
        return draws


def test_records_that_fail_cost_no_other_record_its_results(store, tiny_denoiser, tmp_path):
    ecgs = store.read(np.arange(5), LEADS)
    sampler = Picky(tiny_denoiser, ecgs[1], ecgs[4])
    task = HideSamples(Missingness("lead", 1))
    done = []
    summary = reconstruct_batch(
        store, np.arange(5), sampler, tmp_path / "run", task, n_samples=2, batch_size=2, progress=done.append
    )
    keys = store.table["ecg_id"].tolist()
    assert list(summary.problems) == [str(keys[1]), str(keys[4])]
    assert summary.problems[str(keys[1])].startswith("IndexError: no such row (test_batch.py:")
    assert "not finite" in summary.problems[str(keys[4])]
    assert "2 records failed (records.parquet lists them)" in summary.describe()
    assert done == [2, 2, 1]
    arrays = results(tmp_path / "run")
    np.testing.assert_array_equal(arrays["truth"], ecgs[[0, 2, 3]])
    records = pd.read_parquet(tmp_path / "run" / "records.parquet").set_index("ecg_id")
    assert records.index[records["problem"] == ""].tolist() == [keys[0], keys[2], keys[3]]
    assert np.isnan(records.loc[[keys[1], keys[4]], "seconds"]).all()
    RunFolder.create(tmp_path / "run", {}, seed=0, device="cpu")
    opened = Reconstructions.open(tmp_path / "run")
    assert opened.ecg_ids.tolist() == [keys[0], keys[2], keys[3]]
    assert len(opened.cost) == len(opened.samples) == 3
    alone = reconstruct_batch(store, np.array([2]), sampler, tmp_path / "alone", task, n_samples=2)
    assert alone.problems == {}
    np.testing.assert_allclose(results(tmp_path / "alone")["samples"][0], arrays["samples"][1], atol=1e-5)


def test_a_cohort_of_which_nothing_works_is_an_error_and_leaves_nothing(store, tiny_denoiser, tmp_path):
    ecgs = store.read(np.arange(5), LEADS)
    with pytest.raises(ValueError, match="none of the 1 records could be reconstructed, e.g. IndexError"):
        run(store, tiny_denoiser, tmp_path, [1], sampler=Picky(tiny_denoiser, ecgs[1], ecgs[4]))
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize("pattern", [Missingness("low_rate", 2), Missingness("clip", 50), Missingness("bm", "50%")])
def test_segments_and_other_recorders(store, tiny_denoiser, tmp_path, pattern):
    sampler = MGPS(tiny_denoiser, n_steps=2, gradients=GradientSchedule(1, 1, 1))
    run(store, tiny_denoiser, tmp_path / "all", pattern=pattern, sampler=sampler, segment_length=128, batch_size=2)
    run(store, tiny_denoiser, tmp_path / "one", [3], pattern, sampler, segment_length=128)
    arrays, alone = results(tmp_path / "all"), results(tmp_path / "one")
    assert arrays["samples"].shape == (5, 3, 12, 128)
    whole = store.read([3], LEADS)[0]
    windows = np.lib.stride_tricks.sliding_window_view(whole, 128, axis=-1)
    assert (windows == arrays["truth"][3][:, None]).all(axis=(0, 2)).sum() == 1
    for name in ("truth", "observed"):
        np.testing.assert_array_equal(arrays[name][3], alone[name][0])
    np.testing.assert_allclose(arrays["samples"][3], alone["samples"][0], atol=1e-4)
    if pattern.kind == "clip":
        rail = 0.5 * np.abs(arrays["truth"]).max(-1, keepdims=True)
        cut = (np.abs(arrays["truth"]) >= rail)[:, None] & np.isin(LEADS, INDEPENDENT_LEADS)[:, None]
        assert (arrays["samples"] * np.sign(arrays["truth"])[:, None] >= rail[:, None] - 1e-5)[
            np.broadcast_to(cut, arrays["samples"].shape)
        ].all()


def test_mistakes_are_told(store, tiny_denoiser, tmp_path):
    with pytest.raises(ValueError, match="no record"):
        run(store, tiny_denoiser, tmp_path, [])
    faster = simulate_store(tmp_path / "store", 1, 200, 2.5)
    with pytest.raises(ValueError, match="dataset.sampling_rate=100"):
        run(faster, tiny_denoiser, tmp_path, [0])


def test_a_spec_makes_what_the_sampler_itself_makes_and_follows_its_weights(store, tiny_denoiser, tmp_path):
    path = tmp_path / "w.safetensors"
    save_denoiser(path, tiny_denoiser)
    task, spec = HideSamples(Missingness("lead", 1)), SamplerSpec("amortised", {"n_steps": 2}, str(path))
    rows = np.arange(2)
    reconstruct_batch(store, rows, AmortisedSampler(tiny_denoiser, n_steps=2), tmp_path / "object", task, n_samples=2)
    reconstruct_batch(store, rows, spec, tmp_path / "spec", task, n_samples=2)
    samples = [np.load(tmp_path / name / "samples.npy") for name in ("object", "spec")]
    np.testing.assert_array_equal(*samples)
    assert reconstruct_batch(store, rows, spec, tmp_path / "spec", task, n_samples=2).n_new == 0
    torch.manual_seed(1)
    save_denoiser(path, build_denoiser(tiny_denoiser.spec))
    with pytest.raises(ValueError, match=r"other"):
        reconstruct_batch(store, rows, spec, tmp_path / "spec", task, n_samples=2)
