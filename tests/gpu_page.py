"""`make gpu`: runs the tests that need a GPU, the self-test and rows of the benchmark, and writes docs/gpu.md."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from einthoven.run.files import write_text
from einthoven.run.launch import plain
from evaluation.benchmarks.machine_report import describe_checks, describe_machine, measured_rows
from evaluation.benchmarks.self_test import CHECKS, self_test
from tests.paths import ROOT
from tests.test_configs import compose

PAGE = ROOT / "docs" / "gpu.md"


def main(device: str = "cuda", page: Path = PAGE) -> int:
    """Writes the page; the exit status is 1 where there is no GPU, or something failed on it."""
    if device == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("make gpu: error: torch finds no GPU here: run it where there is one, with a torch for CUDA\n")
        return 1
    said, tests_failed = run_tests("gpu", ROOT / "tests")
    parts = plain(compose("benchmark"))["benchmark"]["gpu"]
    return write_page(page, device, said, tests_failed, {f"gpu, {name}": part for name, part in parts.items()})


def run_tests(marker: str, folder: Path) -> tuple[str, bool]:
    """Runs the tests of a marker; returns pytest's last line and whether one failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", marker, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED") or re.search(r" in [\d.]+s", line)]
    return "\n".join(lines), done.returncode != 0


def write_page(
    page: Path,
    device: str,
    said: str,
    tests_failed: bool,
    parts: Mapping[str, Any],
    names: tuple[str, ...] = tuple(CHECKS),
) -> int:
    """Runs the self-test and the benchmark's parts, and writes all into the page; returns the exit status."""
    checks = self_test([device], names)
    text = f"""# On a GPU

Written by `make gpu`: the tests that need a GPU, known answers computed on it, and ten minutes of the benchmark.

```text
{describe_machine()}
```

## Tests

```text
{said}
```

## Known answers

An error of 1 is the largest that is allowed.

{describe_checks(checks)}

## Speed

{measured_rows(parts)}
"""
    write_text(page, text)
    sys.stdout.write(text)
    return 1 if tests_failed or any(check.failed for check in checks) else 0


if __name__ == "__main__":
    raise SystemExit(main())
