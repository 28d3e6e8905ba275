"""Attacks on the command line and on configs: scripts end with what they made, or with one line."""

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.attack.attempt import ODD_VALUES, AttackClass, Attempt, Make, pick

Generator = np.random.Generator
SCRIPTS: dict[str, tuple[str, ...]] = {
    "reconstruction.inpaint": ("algo.n_samples=2", "dataset.n_records=1", "algo.sampler.n_steps=2"),
    "reconstruction.denoise": ("algo.n_samples=2", "dataset.n_records=1"),
    "diffusion_prior.generate": ("generate.n_ecgs=1", "generate.n_steps=2"),
    "diffusion_prior.train": ("dry_run=true",),
    "noise_quant.score_noise": ("n_records=1",),
    "preprocessing.prepare": ("dataset.name=ptbxl",),
    "reconstruction.repair": (),
    "evaluation.evaluate_reconstruction": (),
}
"""Scripts, and what makes them small; none has the data that it would need, beside the bundled ECG."""
HOSTILE = (
    "engine._target_=os.system",
    "+engine._args_=['touch ../outside/ran']",
    "+x={_target_: os.mkdir, _args_: ['../outside/ran']}",
    "engine={_target_: builtins.eval, _args_: ['1']}",
    "hydra/launcher=nowhere",
    "hydra.run.dir=/proc/nowhere",
    "hydra.callbacks.a._target_=os.system",
    "+hydra.job_logging.handlers.a={(): os.mkdir, path: ../outside/ran}",
    "hydra.searchpath=[../outside]",
    "--config-path=../outside",
    "--config-dir=/nowhere",
    "--config-name=nowhere",
    "=",
    "==",
    "a",
    "~",
    "~engine",
    "++",
    "seed=",
    "seed=[",
    "seed={a",
    "seed=${oc.env:NOWHERE}",
    "seed=${seed}",
    "seed=${nowhere}",
    "seed=${oc.decode:x}",
    "${seed}=1",
    "engine=nowhere",
    "device=nowhere",
    "-",
    "--",
    "\x00",
    "seed=" + "9" * 400,
    "seed=" + "[" * 300,
    "x" * 5000,
)


def run_script(module: str, words: list[str]) -> str:
    """Runs a script in this process; ValueError with its standard error where its status is not 0."""
    out, err = io.StringIO(), io.StringIO()
    sys.argv = [module, *words]
    status: Any = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            status = stop.code
    if status in (0, None):
        return out.getvalue()
    told = [line for line in err.getvalue().splitlines() if line.strip()]
    text = err.getvalue().strip() if len(told) > 1 else "".join(told)
    raise ValueError(text or f"status {status} without a word")


def script_case(module: str, words: list[str], **more: Any) -> Attempt:
    """A call of a script."""
    pairs = [word.lstrip("+~").partition("=") for word in words]
    names = [part for key, _, _ in pairs for part in (key, key.split(".")[-1], key[:12])] + ["'", "give ", "="]
    names += [value for _, _, value in pairs if "/" in value]  # a file is named, not the key that it was given for

    def call() -> str:
        os.environ["ECG_RUNS"] = str(Path.cwd() / "runs")
        return run_script(module, words)

    return Attempt(call, names, what=f"{module} {' '.join(words)}"[-100:], **more)


def odd_override(generator: Generator, folder: Path) -> Attempt:
    """A key of a script with an odd value, or hostile words."""
    module, words = pick(generator, list(SCRIPTS.items()))
    if generator.random() < 0.3:
        return script_case(module, [*words, pick(generator, HOSTILE)])
    key = pick(generator, _keys(module))
    odd = pick(generator, (*ODD_VALUES, "'[1, 2'", "{a: 1}", "[1, 2]", "null", "1e999", "???"))
    return script_case(module, [*words, f"{key}={odd}"])


def _keys(module: str) -> list[str]:
    """Lists the keys of a script's config."""
    import yaml

    from tests.paths import ROOT

    content = yaml.safe_load((ROOT / "configs" / f"{module.rpartition('.')[2]}.yaml").read_text())

    def walk(node: Any, prefix: str = "") -> list[str]:
        if not isinstance(node, dict):
            return [prefix[:-1]]
        return [
            key
            for name, value in node.items()
            if name not in ("defaults", "hydra")
            for key in walk(value, f"{prefix}{name}.")
        ]

    return walk(content) or ["seed"]


def known() -> list[Make]:
    """Words that would run code, or take away what a script needs."""
    words = [
        ["data=demo", "engine._target_=os.system"],
        ["data=demo", "+engine={_target_: os.mkdir, _args_: ['../outside/ran']}"],
        ["data=demo", "engine=nowhere"],
        ["data=demo", "~engine"],
        ["--config-path", "../outside", "--config-name", "config"],
        ["data=demo", "hydra.launcher._target_=os.system", "--multirun", "seed=1,2"],
        ["data=demo", "+hydra.callbacks.a={_target_: os.mkdir, path: ../outside/ran}"],
    ]
    return [
        lambda generator, folder, some=some: script_case("reconstruction.inpaint", some, refused=True) for some in words
    ]


def warm() -> None:
    """Imports what scripts import."""
    import hydra  # noqa: F401

    import einthoven.run.launch  # noqa: F401


def classes() -> list[AttackClass]:
    """The attacks on configs."""
    return [AttackClass("command lines", odd_override, known(), 0.5)]
