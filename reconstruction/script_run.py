"""What the scripts share that restore a store's records or one recording; for this one no tables are loaded."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy import int64
from numpy.typing import NDArray

from einthoven.command.ending import Outcome
from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from einthoven.run.chunks import ENGINES
from einthoven.run.progress import show_progress
from einthoven.run.registry import check_choice
from einthoven.run.run_folder import RunFolder
from reconstruction.measurement.missingness import Task
from reconstruction.recording_report import reconstruct_recording
from reconstruction.result import POINT_ESTIMATES
from reconstruction.samplers.spec import SamplerSpec
from reconstruction.windows.restorer import WINDOW_S

if TYPE_CHECKING:
    from preprocessing.store.store import Store


class RestorationRun:
    """The sampler, engine and settings of a run in a folder, from a script's config.

    Raises:
        ValueError: If a setting is not usable, or one recording shall be restored by other processes.
    """

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        algo, self.data, seed, device = (config[key] for key in ("algo", "data", "seed", "device"))
        if config["n_threads"]:
            torch.set_num_threads(config["n_threads"])
        self.name, self.batch_size, self.folder = algo["name"], algo["batch_size"], folder
        self.engine, self.spec = ENGINES.build(config["engine"]), SamplerSpec.from_config(config)
        if self.engine.is_remote and self.data["kind"] != "store":
            raise ValueError("one recording is restored in this process: leave engine=local, or take data=store")
        self.sampler = self.spec.build("cpu" if self.engine.is_remote else device)
        self.point_estimate = algo["point_estimate"]
        check_choice("algo.point_estimate", self.point_estimate, POINT_ESTIMATES)
        self.settings = {"n_samples": algo["n_samples"], "seed": seed, "sigma_y": algo["sigma_y"], "device": device}
        files = self.spec.identity()["weights"]
        self.create = partial(RunFolder.create, self.folder, config, seed=seed, device=device, files=files)

    def load_recording(self) -> Recording:
        """Reads the one recording."""
        told = {name: self.data.get(name) for name in ("sampling_rate", "unit", "duration")}
        return read(self.data["path"], leads=self.data.get("channels"), start=self.data["start"], **told)

    def restore_recording(self, recording: Recording, **settings: Any) -> Outcome:  # noqa: ANN401
        """Restores it: see `reconstruct_recording`."""
        folder, duration = self.create().path, recording.signal.shape[-1] / recording.sampling_rate
        with show_progress(round(duration), "second", self.name, shown=duration > WINDOW_S) as bar:
            settings |= {**self.settings, "progress": bar.update, "point_estimate": self.point_estimate}
            text = reconstruct_recording(recording, folder, self.sampler, **settings)
        made = [folder / f"reconstruction.{suffix}" for suffix in ("png", "npz", "hea")]
        path = self.data["path"]
        return Outcome(
            text, made, ["plot", f"record={path}"] if path else ["inpaint", "data=file", "data.path=RECORDING"]
        )

    def restore_records(self, store: "Store", rows: NDArray[int64], task: Task, **settings: Any) -> str:  # noqa: ANN401
        """Restores records of a store, and says what was done: see `reconstruct_batch`."""
        from reconstruction.batch import reconstruct_batch

        run = self.create(data_manifest_hash=store.manifest_hash)
        settings |= self.settings | {"batch_size": self.batch_size, "engine": self.engine}
        with show_progress(len(rows), "ECG", self.name) as bar:
            summary = reconstruct_batch(store, rows, self.spec, run.path, task, progress=bar.update, **settings)
        return f"{self.name}: {summary.describe()}"
