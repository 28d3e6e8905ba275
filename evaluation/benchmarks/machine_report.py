"""What a machine has: versions, processor, threads, GPUs, extras; as text."""

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import torch

from einthoven import __version__
from einthoven.run.processor import has_bfloat16_units, processor_name
from evaluation.benchmarks.measuring import list_cases, measure
from evaluation.benchmarks.report import describe_rows
from evaluation.benchmarks.self_test import Check

VERSIONS = ("torch", "numpy", "scipy", "pandas")
_EXTRA = re.compile(r"""([A-Za-z0-9._-]+).*extra\s*==\s*['"]([\w-]+)['"]""")


def devices() -> list[str]:
    """Lists the devices that networks can run on here, the processor first."""
    found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return found + ["mps"] * torch.backends.mps.is_available()


def describe_machine() -> str:
    """Says what is here, a line each."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONS)
    processor = processor_name() or platform.processor() or platform.machine()
    lines = [
        f"einthoven {__version__}, Python {platform.python_version()}, {versions}",
        f"{platform.platform()}",
        f"cpu: {processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of torch, {_units('cpu')}",
        *_gpu_lines(),
        *_extra_lines(),
    ]
    return "\n".join(lines)


def _gpu_lines() -> Iterator[str]:
    if not torch.cuda.is_available():
        yield "cuda: none" + ("" if torch.version.cuda else " (this torch is built without CUDA)")
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        memory = facts.total_memory / 1e9
        yield f"cuda:{number}: {facts.name}, {memory:.0f} GB, CUDA {torch.version.cuda}, {_units(f'cuda:{number}')}"


def _units(device: str) -> str:
    return "bfloat16 units" if has_bfloat16_units(device) else "no bfloat16 units: leave precision at float32"


def _extra_lines() -> Iterator[str]:
    """Yields a line for each extra: there, or what it lacks."""
    needed: dict[str, list[str]] = {}
    try:
        requirements = metadata.requires("einthoven") or []
    except metadata.PackageNotFoundError:
        return
    for requirement in requirements:
        if found := _EXTRA.match(requirement):
            needed.setdefault(found[2], []).append(found[1])
    for extra, packages in sorted(needed.items()):
        lacking = [package for package in dict.fromkeys(packages) if not _is_installed(package)]
        yield f"extra {extra}: " + (
            f"lacks {', '.join(lacking)}: pip install 'einthoven[{extra}]'" if lacking else "there"
        )


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def measured_rows(parts: Mapping[str, Any]) -> str:
    """Measures parts of the benchmark, as its config has them; returns a table, or why there is none."""
    try:
        from evaluation.benchmarks.cases import CASES
    except ValueError as error:  # training is among the cases
        return f"no rows of the benchmark: {error}"
    return describe_rows(measure(list_cases(parts, list(parts), CASES)))


def describe_checks(checks: Sequence[Check]) -> str:
    """Returns a table of a self-test; an error of 1 is the largest that is allowed."""
    lines = ["| self-test | device | answer | error | seconds |", "|---|---|---|---:|---:|"]
    for check in checks:
        answer = f"none: {check.note}" if check.error is None else "WRONG" if check.failed else "as known"
        error = "-" if check.error is None else f"{check.error:.2f}"
        lines.append(f"| {check.name} | {check.device} | {answer} | {error} | {check.seconds:.1f} |")
    return "\n".join(lines)
