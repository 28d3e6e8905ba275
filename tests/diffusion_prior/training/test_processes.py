"""Training on several processes: the same steps as one process takes, for the same batch over all of them."""

import json
import os
import socket
import sys

import pytest
import torch

from diffusion_prior.checkpoint import load_denoiser
from diffusion_prior.training.processes import join_processes
from einthoven.run.run_folder import RunFolder
from preprocessing.cohorts.simulator import simulate_store
from tests.scripts import fork_context

N_STEPS, STOP = 6, 4


def overrides(store, results):
    return [
        f"dataset.database_path={store}", f"train.results_path={results}", "model=tiny", "model.backbone.dropout=0",
        f"train.n_steps={N_STEPS}", "train.batch_size=4", "train.warmup_steps=1", "train.validate_every=4",
        "train.save_every=2", "dataset.segment_length=64",
    ]  # fmt: skip


def train(rank, n_processes, port, arguments, seen_path, stop):
    """Trains as a process of torchrun does; keeps the loss and this process's records of each step."""
    if n_processes > 1:
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n_processes, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in names.items()}, MASTER_ADDR="127.0.0.1")
    torch.set_num_threads(1)
    from diffusion_prior.train import main
    from diffusion_prior.training.trainer import Trainer

    update, draw, losses, records = Trainer._update, Trainer._draw, {}, {}

    def watched_update(trainer):
        if trainer.step == stop:
            raise KeyboardInterrupt
        loss = update(trainer)
        losses[trainer.step] = float(loss)
        assert trainer.accelerator.num_processes == n_processes
        seen_path.with_suffix(f".{rank}").write_text(json.dumps({"losses": losses, "records": records}))
        return loss

    def watched_draw(trainer, step):
        batch = draw(trainer, step)
        records[step] = batch["x"][:, 0, 0].tolist()
        return batch

    Trainer._update, Trainer._draw = watched_update, watched_draw
    sys.argv = ["train", *arguments]
    main()


def launch(n_processes, store, results, seen_path, stop=None):
    """Runs the script on several processes; returns the loss of each step and, for each process, its records' starts.

    A record is known by its first sample, which is the same to the bit in each process of one machine.
    """
    context = fork_context()  # torch is imported once
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = overrides(store, results)
    processes = [
        context.Process(target=train, args=(rank, n_processes, port, arguments, seen_path, stop), daemon=True)
        for rank in range(n_processes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    if stop is None:
        assert [process.exitcode for process in processes] == [0] * n_processes
    seen = [json.loads(seen_path.with_suffix(f".{rank}").read_text()) for rank in range(n_processes)]
    return seen[0]["losses"], [each["records"] for each in seen]


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_two_or_one_go_on_where_two_stopped(tmp_path):
    store = simulate_store(tmp_path / "store", n_records=20, duration=1.0).path
    one, [records] = launch(1, store, tmp_path / "one", tmp_path / "seen")
    two, shares = launch(2, store, tmp_path / "two", tmp_path / "seen", stop=STOP)
    assert list(two) == [str(step) for step in range(STOP)]
    for step in two:  # each process took its half of the records, and no other
        assert [share[step] for share in shares] == [records[step][0::2], records[step][1::2]]
    again, _ = launch(2, store, tmp_path / "two", tmp_path / "seen", stop=STOP + 1)
    assert list(again) == [str(STOP)]
    rest, _ = launch(1, store, tmp_path / "two", tmp_path / "seen")
    assert two | again | rest == pytest.approx(one, rel=1e-5) and len(one) == N_STEPS
    assert len(RunFolder.open(tmp_path / "two").provenance()["resumed_at"]) == 2  # of two processes one made the folder
    curves = [
        {line["step"]: line["validation/none/1"] for line in RunFolder.open(tmp_path / name).metrics() if len(line) > 3}
        for name in ("one", "two")
    ]
    assert list(curves[1]) == [4, 6] and curves[1] == pytest.approx(curves[0], rel=1e-5)
    weights = [dict(load_denoiser(tmp_path / name).named_parameters()) for name in ("one", "two")]
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-3, atol=1e-4)


def test_processes_that_were_not_joined_are_refused(monkeypatch):
    assert join_processes().num_processes == 1
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # what accelerate launch --cpu --num_processes 2 leaves
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(ValueError, match="--multi_gpu"):
        join_processes()
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION")
    assert join_processes().num_processes == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="torchrun"):
        join_processes()
