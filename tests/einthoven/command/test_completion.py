"""Completion: words that fit, from the YAML files, and in a shell."""

import os
import shutil
import stat
import subprocess
import sys

import pytest

from einthoven.command.completion import SCRIPTS, complete
from einthoven.command.help import CONFIGS

COMMANDS = ["inpaint", "denoise", "statements", "train", "train_rival"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["--help", "--version", *sorted(COMMANDS)]),
        (["tr"], ["train", "train_rival"]),
        (["inpaint", "algo.n_s"], ["algo.n_samples="]),
        (["inpaint", "algo=d"], ["algo=ddnm", "algo=decoupled", "algo=descod", "algo=diffpir", "algo=dps"]),
        (["inpaint", "algo=ddnm", "algo.sampler.n_t"], ["algo.sampler.n_travels="]),
        (["inpaint", "experiment="], [f"experiment=inpaint_{name}" for name in ("lead_i", "missing_block", "sweep")]),
        (["inpaint", "algo"][:2], None),
        (["inpaint", "--m"], ["--multirun"]),
        (["inpaint", "device="], []),
        (["statements", ""], []),
        (["nothing", "x"], []),
    ],
)
def test_words_that_fit(words, expected):
    found = complete(CONFIGS, COMMANDS, words)
    if expected is None:
        assert {"algo=", "algo.n_samples=", "algo.sampler.n_steps="} <= set(found)
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("einthoven inpa", ["inpaint"]),
        ("einthoven inpaint data=demo algo=ampu algo=am", ["amortised"]),
        ("einthoven inpaint data=demo algo.n_sa", ["algo.n_samples="]),
        ("einthoven generate ", None),
    ],
)
def test_bash_takes_them(tmp_path, line, expected):
    if not shutil.which("bash"):
        pytest.skip("needs bash")
    program = tmp_path / "einthoven"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from einthoven.cli import main; main()" "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    script = f"""{SCRIPTS["bash"]}
COMP_LINE='{line}' COMP_POINT={len(line)}
_einthoven
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    words = done.stdout.splitlines()
    if expected is None:
        assert {"generate.labels=", "experiment=", "--help"} <= set(words)
    else:
        assert words == expected
