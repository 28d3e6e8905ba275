"""Which cases are run, where, and what comes of them."""

import multiprocessing
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.attack.attempt import AttackClass
from tests.attack.victim import FAULTS, Verdict, run_case


@dataclass(frozen=True)
class Case:
    """A case by class and number: the known ones come first."""

    name: str
    number: int
    seed: int

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


def _modules() -> tuple[Any, ...]:
    from tests.attack import arguments, arrays, configs, files, folders, uploads, weights

    return files, arrays, folders, weights, arguments, configs, uploads


@cache
def table() -> dict[str, AttackClass]:
    """Returns all classes by name."""
    found = [one for module in _modules() for one in module.classes()]
    return {one.name: one for one in found}


def plan(n_cases: int, seed: int, name: str = "") -> list[Case]:
    """Lists all known cases, and random ones by the shares of their classes, up to a number of cases in all."""
    classes = [one for one in table().values() if not name or one.name == name]
    left = max(0, n_cases - sum(len(one.known) for one in classes))
    total = sum(one.share for one in classes)
    return [
        Case(one.name, number, seed)
        for one in classes
        for number in range(len(one.known) + round(left * one.share / total))
    ]


@cache
def warm() -> None:
    """Gets this process ready: what cases import and build is there already when they are forked."""
    for module in _modules():
        module.warm()


def run(case: Case) -> Verdict:
    """Runs a case."""
    warm()
    one = table()[case.name]
    make = one.known[case.number] if case.number < len(one.known) else one.draw
    generator = np.random.default_rng([case.seed, case.number, *case.name.encode()])
    return run_case(partial(make, generator))


def attack(cases: Sequence[Case], jobs: int) -> list[Verdict]:
    """Runs cases in this process, or in some that it forks; each forks one for each case."""
    warm()
    if jobs <= 1:
        return list(map(run, cases))
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        return pool.map(run, cases, chunksize=8)


def count(cases: Sequence[Case], verdicts: Sequence[Verdict]) -> dict[str, Counter[str]]:
    """Counts the ends by class."""
    counts = {name: Counter[str]() for name in dict.fromkeys(case.name for case in cases)}
    for case, verdict in zip(cases, verdicts, strict=True):
        counts[case.name][verdict.kind] += 1
    return counts


def describe(cases: Sequence[Case], verdicts: Sequence[Verdict]) -> str:
    """Returns a table of counts by class."""
    counts = count(cases, verdicts)
    counts["all"] = sum(counts.values(), Counter())
    lines = [
        "| attacked | cases | result | one line | " + " | ".join(FAULTS) + " |",
        "|---|" + "---:|" * (3 + len(FAULTS)),
    ]
    for name, found in counts.items():
        numbers = [sum(found.values()), found["result"], found["refused"], *(found[kind] for kind in FAULTS)]
        lines.append(f"| {name} | " + " | ".join(f"{number:,}" for number in numbers) + " |")
    return "\n".join(lines)


BEGIN, END = "<!-- counts: begin -->", "<!-- counts: end -->"


def write_table(page: Path, cases: Sequence[Case], verdicts: Sequence[Verdict]) -> None:
    """Writes the counts into a page, between two marks."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{describe(cases, verdicts)}\n{END}{after}", encoding="utf-8")
