"""The run folder: the result of a script, with the config, the provenance and the metrics that belong to it."""

import json
import math
import os
import platform
import shlex
import subprocess
import sys
import warnings
import weakref
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from einthoven.arguments import check_path
from einthoven.checked_files import intact, read_json, read_yaml
from einthoven.run.aliases import rename_targets
from einthoven.run.files import write_json, write_text
from einthoven.run.hashing import differing_keys
from einthoven.run.lock import hold_folder

CONFIG = "config.yaml"
PROVENANCE = "provenance.json"
METRICS = "metrics.jsonl"

FREE_KEYS = ("engine",)
"""Keys of a config that say how the work is done and not what comes out: a run may be taken up with other ones."""
PACKAGES = ("einthoven", "torch", "numpy", "scipy", "pandas", "pyarrow", "wfdb", "accelerate", "safetensors")


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds `config.yaml`, `provenance.json`, `metrics.jsonl` and what the run made.

    Attributes:
        path: The folder.
        config: The resolved config of the run: dictionaries, lists and plain values.
    """

    path: Path
    config: dict[str, Any]

    @classmethod
    def create(
        cls,
        path: Path | str,
        config: Mapping[str, Any],
        *,
        seed: int,
        device: str,
        data_manifest_hash: str | None = None,
        files: Mapping[str, str] | None = None,
    ) -> "RunFolder":
        """Makes a run folder, or takes one up again whose config (but for `FREE_KEYS`), data and files are the same.

        Taking up adds the time to `resumed_at` of `provenance.json` and leaves all else as it is. As long as
        the object lives, no other process can take the folder up.

        Args:
            path: The folder; it may exist, and hold other files.
            config: The resolved config, as plain dictionaries, lists and values.
            seed: The seed of the run.
            device: The device of the run, such as "cpu" or "cuda:0".
            data_manifest_hash: The hash of the manifest of the data that the run reads, if it reads a store.
            files: SHA-256 of the weights and what other files the run reads, by role, such as "prior".

        Raises:
            ValueError: If the folder is that of a run with other settings, data or files, or another process works in
                it.
        """
        path = Path(path)
        text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
        origin = {"data_manifest_hash": data_manifest_hash, "files": files or {}}
        with ExitStack() as held:
            held.callback(hold_folder(path).release)
            if (path / CONFIG).is_file():
                run = cls._take_up(path, yaml.safe_load(text), origin)
            else:
                write_json(path / PROVENANCE, _provenance(seed, device, origin))
                write_text(path / CONFIG, text)
                run = cls(path, yaml.safe_load(text))
            weakref.finalize(run, held.pop_all().close)
        return run

    @classmethod
    def _take_up(cls, path: Path, config: dict[str, Any], origin: dict[str, Any]) -> "RunFolder":
        run = cls.open(path)
        before, now = (_without_free_keys(part) for part in (run.config, config))
        provenance = run.provenance()
        if not {"data_manifest_hash"} <= set(provenance) or not isinstance(provenance.get("files", {}), dict):
            raise ValueError(f"{path / PROVENANCE} is damaged: it lacks the hashes of the data: choose another folder")
        notes = []
        if "files" not in provenance:  # of a version that did not note them
            notes.append(f"taken up at {_now()}: whether its weights were those of today was not noted")
            warnings.warn(f"{path}: {notes[0]}", stacklevel=4)
            provenance["files"] = origin["files"]
        changed = {
            "settings": differing_keys(before, now),
            "data": {"data_manifest_hash"} if provenance["data_manifest_hash"] != origin["data_manifest_hash"] else {},
            "files": differing_keys(provenance["files"], origin["files"]),
        }
        reasons = [f"other {kind} ({', '.join(sorted(keys))})" for kind, keys in changed.items() if keys]
        if reasons:
            raise ValueError(
                f"{path} holds a run with {' and '.join(reasons)}: choose another folder, or what it was begun with"
            )
        notes = [*_listed(provenance.get("notes")), *notes]
        resumed_at = [*_listed(provenance.get("resumed_at")), _now()]
        write_json(path / PROVENANCE, {**provenance, **({"notes": notes} if notes else {}), "resumed_at": resumed_at})
        return run

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """Opens a run folder that exists (see `find_result`); ValueError, if it is none."""
        path = find_result(check_path("run", path))
        if not (path / CONFIG).is_file():
            reason = f"has no {CONFIG}" if path.is_dir() else "does not exist"
            like = "such as runs/inpaint/2025-01-31_12-00-00"
            raise ValueError(f"{path} is not a run folder, it {reason}: give the folder that a script made, {like}")
        return cls(path, rename_targets(read_yaml(path / CONFIG)))

    def provenance(self) -> dict[str, Any]:
        """Reads `provenance.json`: commit, versions, seed, device, hashes of data and files, command, times."""
        return read_json(self.path / PROVENANCE, "run the script again")

    def log(self, **metrics: float | int | str | bool | None) -> None:
        """Adds one line to `metrics.jsonl`, with a single write, so that a killed run tears at most its last line.

        `step` is among the names by convention; scalars of numpy and torch are taken too; not finite is null.
        """
        line = _json_line(metrics)
        with open(self.path / METRICS, "ab+") as file:
            _cut_torn_line(file)
            file.write(line.encode())
            file.flush()

    def metrics(self) -> list[dict[str, Any]]:
        """Reads `metrics.jsonl`, a dictionary a line, without its last line if a kill has torn it."""
        file = self.path / METRICS
        if not file.is_file():
            return []
        with intact(file, "remove the damaged lines"):
            entries = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
            if not all(isinstance(entry, dict) for entry in entries):
                raise ValueError("a line holds no names with values")
            return entries

    def truncate_metrics(self, step: int) -> None:
        """Drops the entries of steps after `step`, which a resumed run will log again; entries without a step stay."""
        if (self.path / METRICS).is_file():
            kept = [entry for entry in self.metrics() if entry.get("step", step) <= step]
            write_text(self.path / METRICS, "".join(map(_json_line, kept)))


def find_result(path: Path | str) -> Path:
    """Returns the place of a result: a relative path that leads nowhere is looked for below `ECG_RUNS` too."""
    below = Path(os.environ.get("ECG_RUNS") or "") / path
    return below if below.exists() and not Path(path).exists() else Path(path)


def code_commit() -> str | None:
    """Names the commit of this code, with `+changes` if files differ from it; None outside a git checkout."""
    root = Path(__file__).resolve().parents[2]
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root:
        return None
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if commit and changes else commit


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _without_free_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a config without `FREE_KEYS` and without the name of the folder itself, `results_path`."""
    parts = {key: value for key, value in config.items() if key not in (*FREE_KEYS, "results_path")}
    return {
        key: {name: one for name, one in value.items() if name != "results_path"} if isinstance(value, dict) else value
        for key, value in parts.items()
    }


def _provenance(seed: int, device: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "commit": code_commit(),
        "versions": {"python": platform.python_version(), **_package_versions()},
        "platform": platform.platform(),
        "seed": seed,
        "device": device,
        **origin,
        "command": shlex.join(sys.argv),
        "started_at": _now(),
    }


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _json_line(metrics: Mapping[str, Any]) -> str:
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in metrics.items()}
    finite = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in plain.items()}
    return json.dumps(finite, allow_nan=False) + "\n"


def _cut_torn_line(file: BinaryIO) -> None:
    """Cuts what follows the last line end of a file that is open for reading and appending."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)
