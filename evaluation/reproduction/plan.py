"""The plan of a reproduction: for each of the papers' tables, its stages and the sections that are made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from einthoven.run.registry import check_choice
from evaluation.reproduction.stages import HYDRA_FOLDER, Stage

TABLES: dict[str, str] = {
    "lead_i": "Twelve leads from lead I",
    "missing_block": "A missing block",
    "denoising": "Denoising",
    "generation": "Generated ECGs",
    "noise": "Noise scores",
}
"""The tables and their titles."""
NEXT_SIZE: dict[str, str] = {"smoke": "shared", "shared": "full"}
"""The size after one that is done."""


@dataclass(frozen=True)
class Section:
    """A part of a table, made of the results of a stage, or of several.

    Attributes:
        kind: How to read and show them: a key of `evaluation.reproduction.tables.KINDS`.
        title: Its title.
        stages: Names of the stages, by what their rows are called; with one stage "", its rows keep their names.
        pictures: Which pictures of the run folders to show, as patterns.
    """

    kind: str
    title: str
    stages: Mapping[str, str]
    pictures: tuple[str, ...] = ()


@dataclass
class Plan:
    """All stages, by name, each after those that it reads, and the sections of each table, at one size.

    `root` is the folder of the run folders, `settings` are the size's, as `configs/size/*.yaml` have them, `common`
    are overrides of every command, and `device` is that of the networks, for scripts that ask for it.
    """

    root: Path
    settings: Mapping[str, Any]
    common: tuple[str, ...] = ()
    device: str = "cpu"
    stages: dict[str, Stage] = field(default_factory=dict)
    sections: dict[str, list[Section]] = field(default_factory=lambda: {name: [] for name in TABLES})

    def folder(self, name: str) -> Path:
        """Names the run folder of a stage."""
        return self.root / name

    def add(
        self,
        name: str,
        module: str,
        overrides: Sequence[str],
        result: str | Path,
        reads: Sequence[str] = (),
        *,
        key: str = HYDRA_FOLDER,
        is_derived: bool = False,
    ) -> str:
        """Adds a stage, unless there is one of this name; returns its name. Arguments are as in `Stage`.

        The overrides stand beside what all are given. A result that is no absolute path is in the run folder.

        Raises:
            ValueError: If it reads a stage that was not added before.
        """
        if missing := [one for one in reads if one not in self.stages]:
            raise ValueError(f"stage {name} reads {', '.join(missing)}, which no stage makes")
        folder, given = self.folder(name), (*self.common, *overrides)
        stage = Stage(name, module, given, folder, folder / result, key, tuple(reads), is_derived)
        self.stages.setdefault(name, stage)
        return name

    def train(self, name: str, module: str, overrides: Sequence[str], reads: Sequence[str]) -> str:
        """Adds a training; returns its name."""
        return self.add(name, module, overrides, "weights.safetensors", reads, key="train.results_path")

    def evaluate(
        self, name: str, module: str, runs: Sequence[str], overrides: Sequence[str] = (), reads: Sequence[str] = ()
    ) -> str:
        """Adds an evaluation of runs, with bootstrap intervals; returns its name."""
        given = [self.folders("runs", runs), *overrides, *self.resamples()]
        return self.add(name, module, given, "table.csv", [*reads, *runs], is_derived=True)

    def show(self, table: str, kind: str, title: str, stages: str | Mapping[str, str], *pictures: str) -> None:
        """Adds a section to a table."""
        named = {"": stages} if isinstance(stages, str) else stages
        self.sections[table].append(Section(kind, title, named, pictures))

    def with_needed(self, names: Sequence[str]) -> list[Stage]:
        """Returns stages with all that they read, directly or not, each after what it reads."""
        needed = set(names)
        for stage in reversed(self.stages.values()):
            if stage.name in needed:
                needed.update(stage.reads)
        return [stage for stage in self.stages.values() if stage.name in needed]

    def wanted(self, tables: Sequence[str]) -> list[Stage]:
        """Returns the stages of some tables, each after those that it reads."""
        sections = [section for table in tables for section in self.sections[table]]
        return self.with_needed([name for section in sections for name in section.stages.values()])

    def folders(self, key: str, names: Sequence[str]) -> str:
        """Returns the override that names the run folders of stages."""
        return f"{key}=[{','.join(str(self.folder(name)) for name in names)}]"

    def resamples(self) -> list[str]:
        """Returns the override that sets the number of bootstrap draws."""
        return [f"evaluate.n_resamples={self.settings['n_resamples']}"]

    def on_device(self) -> list[str]:
        """Returns the override that names the device, where it is not the scripts' own choice."""
        return [] if self.device == "cpu" else [f"device={self.device}"]


def record_overrides(key: str, chosen: Mapping[str, Any]) -> list[str]:
    """Returns the overrides of a method or a source: of `n_records` (None: all) under a key, and its `overrides`."""
    n_records = chosen["n_records"]
    return [*([] if n_records is None else [f"{key}={n_records}"]), *chosen.get("overrides", [])]


def describe_records(n_records: object) -> str:
    """Says for how many records something was done."""
    return "all records" if n_records in ("all", None) else f"{n_records} records"


def chosen_tables(table: str | Sequence[str]) -> list[str]:
    """Returns the tables that a user names: one, several, or "all"; ValueError says what there is."""
    names = [table] if isinstance(table, str) else list(table)
    for name in names or [""]:
        check_choice("table", name, [*TABLES, "all"])
    return list(TABLES) if "all" in names else [name for name in TABLES if name in names]


def next_command(size: str, tables: Sequence[str]) -> list[str]:
    """Names what comes after a size that is done: the next one, or a recording of the user's own."""
    if size in NEXT_SIZE:
        return ["reproduce", f"table=[{','.join(tables)}]", f"size={NEXT_SIZE[size]}"]
    return ["inpaint", "data=file", "data.path=RECORDING"]
