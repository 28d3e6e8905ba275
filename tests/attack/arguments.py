"""Attacks on the arguments of the public functions, and on what may hold an ECG in memory."""

import inspect
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import einthoven
from einthoven.ecg.adapters import as_recording
from einthoven.ecg.leads import LEADS
from einthoven.ecg.recording import Recording
from tests.attack import files
from tests.attack.attempt import ODD_VALUES, AttackClass, Attempt, Make, insane, pick

Generator = np.random.Generator
ECG_NAMES = ("ecg", "ECG", "sampling_rate", "lead", "recording", "samples", "table", "column", "rate")


@cache
def recording() -> Recording:
    """The ECG in memory."""
    return Recording(files.ecg(), 250.0, LEADS, "rec")


def odd_ecg(generator: Generator) -> tuple[Any, str]:
    """Returns what is no plain ECG, and what it is."""
    x = files.ecg().copy()
    at = tuple(int(generator.integers(side)) for side in x.shape)
    kind = int(generator.integers(12))
    if kind < 3:
        x[at] = pick(generator, (np.nan, np.inf, -np.inf, 1e30, -9.96921e36, 1e6, 1e300))
        return x, f"a sample of {x[at]}"
    makers: list[Callable[[], Any]] = [
        lambda: np.ma.masked_array(x, mask=x > 0.5),
        lambda: np.ma.masked_all(x.shape),
        lambda: x.astype(pick(generator, ("<f2", "<i2", "<u1", "<c8", "|b1", "|O", "<U5"))),
        lambda: x.reshape(pick(generator, ((750, 12), (9000,), (1, 12, 750), (12, 750, 1), (2, 6, 750)))),
        lambda: x[:, : int(generator.integers(0, 4))],
        lambda: x.tolist(),
        lambda: pd.DataFrame(x.T, columns=pick(generator, (list(LEADS), ["I"] * 12, range(12), list("abcdefghijkl")))),
        lambda: x * pick(generator, (0, 1e3, 1e-3, 1e30, np.nan)),
        lambda: pick(generator, ODD_VALUES),
    ]
    return makers[kind - 3](), f"kind {kind}"


def adapting(generator: Generator, folder: Path) -> Attempt:
    """An odd ECG, or odd words beside it."""
    ecg, what = odd_ecg(generator) if generator.random() < 0.6 else (files.ecg(), "sound")
    rates = (*ODD_VALUES, np.float32(250), np.array([250.0]))
    rate: Any = 250.0 if generator.random() < 0.6 else pick(generator, rates)
    leads: Any = LEADS if generator.random() < 0.6 else pick(generator, ODD_VALUES)
    wrong = lambda found: "" if found.signal.shape[-1] > 0 else "empty"  # noqa: E731
    return Attempt(lambda: as_recording(ecg, rate, leads), ECG_NAMES, wrong, f"{what}, {rate!r}, {leads!r}"[:90])


def _functions() -> dict[str, Callable[..., Any]]:
    from noise_quant.api import ecg_noise_quantification

    names = (
        "read",
        "score",
        "reconstruct",
        "denoise",
        "repair",
        "generate",
        "measure",
        "check_electrodes",
        "name_lead",
    )
    found = {name: getattr(einthoven, name) for name in names if hasattr(einthoven, name)}
    return {**found, "ecg_noise_quantification": ecg_noise_quantification}


def _first(name: str) -> dict[str, Any]:
    if name == "generate":
        return {"n": 1, "n_steps": 2, "duration": 1.0}
    if name == "read":
        return {}
    if name == "ecg_noise_quantification":
        return {"ecg": files.ecg(), "sampling_freq": 250.0}
    return {"ecg": recording()}


def calling(generator: Generator, folder: Path) -> Attempt:
    """A public function with one odd argument."""
    name, function = pick(generator, list(_functions().items()))
    given = _first(name)
    skipped = {"ecg", "sampler", "tools", "progress", "folder"}
    key = pick(generator, [key for key in inspect.signature(function).parameters if key not in skipped])
    odd = pick(generator, (*ODD_VALUES, np.float32(2), np.int64(3), np.nan, Path("nowhere"), object()))
    if "n_samples" in inspect.signature(function).parameters:
        given["n_samples"] = 2
    given[key] = odd
    words = {key, key.split("_")[-1], str(odd)[:20] or "path"}
    words |= {"recording", "rate", "lead", "path", "labels", "statement", "weights", "n_samples", "noise", "sample"}
    return Attempt(lambda: function(**given), sorted(words), what=f"{name}({key}={odd!r})"[:90])


def odd_ecg_call(generator: Generator, folder: Path) -> Attempt:
    """A function that computes, with an odd ECG: what comes of it is finite or missing, and never huge."""
    ecg, what = odd_ecg(generator)
    function = pick(generator, (einthoven.score, einthoven.reconstruct, einthoven.repair))
    more: dict[str, Any] = {} if function is einthoven.score else {"n_samples": 2}

    def wrong(result: Any) -> str:
        if function is einthoven.score:
            bad = np.isnan(result.psnr) & ~np.asarray(result.unusable)
            return "no score of a usable lead" if bad.any() else ""
        if function is einthoven.repair:
            return insane(result.recording)
        largest = np.abs(result.mean).max()
        return "" if largest <= 100 else f"{largest} mV"

    return Attempt(lambda: function(ecg, 250.0, LEADS, **more), ECG_NAMES, wrong, f"{function.__name__}: {what}")


def known() -> list[Make]:
    """Calls that were faults once."""

    def case(call: Callable[[], Any], names: tuple[str, ...], what: str, **more: Any) -> Make:
        return lambda generator, folder: Attempt(call, names, what=what, **more)

    x = files.ecg()
    cases = []
    for rate in (np.float32(250), np.int16(250), np.array(250.0)):
        cases.append(case(lambda rate=rate: einthoven.score(x[:1], rate, ["I"]), ("rate",), f"a rate of {rate!r}"))
    for value in (0, -1, 1, 10**9, 2.5, "ten", None, np.nan, True):
        call = partial(einthoven.reconstruct, x, 250.0, LEADS, value)
        cases.append(case(call, ("n_samples",), f"n_samples={value}", refused=True))
    for value in ("cuda:99", "nowhere", "cpu:x", 5.5):
        call = partial(einthoven.score, recording(), device=value)
        cases.append(case(call, ("device",), f"device={value}", refused=True))
    for value in (0, -1, 10**9, 0.5, "x"):
        cases.append(case(lambda value=value: einthoven.generate(n=value), ("n",), f"n={value}", refused=True))
    return cases


def warm() -> None:
    """Loads the models, so that cases share them."""
    einthoven.score(recording())
    einthoven.reconstruct(recording(), n_samples=2)
    einthoven.repair(recording(), n_samples=2)
    einthoven.generate(n=1, n_steps=2, duration=1.0)


def classes() -> list[AttackClass]:
    """The attacks on arguments."""
    return [
        AttackClass("ECGs in memory", adapting),
        AttackClass("arguments", calling, known(), 1.0),
        AttackClass("odd ECGs through models", odd_ecg_call, (), 0.3),
    ]
