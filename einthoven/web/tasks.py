"""The tasks of the process that holds the networks: verdict, repair, reconstruction, electrodes, measures."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from einthoven.ecg.hum import find_hum
from einthoven.ecg.recording import Recording
from einthoven.web import doors
from einthoven.web.child import Report
from einthoven.web.results import load_result, save_corrected, save_reconstruction, save_repair
from einthoven.web.stored import load_recording
from noise_quant.scoring.scorer import Scorer
from reconstruction import api
from reconstruction.repairs.finding.finder import Finder, Findings
from reconstruction.repairs.hum import LEAST_MV, without_hum
from reconstruction.repairs.repairing import Tools
from reconstruction.repairs.repairing import repair as repair_recording
from reconstruction.repairs.storage import Storage
from reconstruction.repairs.windows import WindowRepairer

_REMEMBERED = 4
_found: "OrderedDict[str, Findings]" = OrderedDict()


@dataclass(frozen=True)
class RememberingFinder(Finder):
    """The finder, which tells how far it is and remembers what it found last: a repair after a verdict is quick.

    Attributes:
        progress: Called with the seconds of each window that was looked at.
    """

    progress: Callable[[float], object] = lambda seconds: None

    def __call__(
        self,
        ecg: NDArray[np.float64],
        sampling_rate: float,
        leads: Sequence[str],
        repairer: WindowRepairer,
        scorer: Scorer | None,
        key: int | str = 0,
        storage: Storage | None = None,
    ) -> Findings:
        """Looks at a recording: see `Finder`."""
        if storage is not None and storage.folder is not None:  # of a long recording, in files that go with the job
            return super().__call__(ecg, sampling_rate, leads, repairer, scorer, key, storage)
        digest = hashlib.sha256(np.ascontiguousarray(ecg).tobytes())
        digest.update(repr((ecg.shape, sampling_rate, tuple(leads), key, repairer.seed)).encode())
        name = digest.hexdigest()
        if name in _found:
            self.progress(ecg.shape[-1] / sampling_rate)
        else:
            _found[name] = super().__call__(ecg, sampling_rate, leads, repairer, scorer, key, storage)
            while len(_found) > _REMEMBERED:
                _found.popitem(last=False)
        return _found[name]

    def features(
        self,
        ecg: NDArray[np.float64],
        rate: float,
        leads: Sequence[str],
        repairer: WindowRepairer,
        scorer: Scorer | None,
        key: str,
    ) -> NDArray[np.float64]:
        """Computes the features of a window: see `Finder`."""
        values = super().features(ecg, rate, leads, repairer, scorer, key)
        self.progress(ecg.shape[-1] / rate)
        return values


class _Steps:
    """Adds up progress and reports it."""

    def __init__(self, report: Report, total: float) -> None:
        self.report, self.total, self.done, self.message = report, total, 0.0, ""

    def begin(self, message: str) -> None:
        self.message = message
        self.report(self.done, self.total, message)

    def __call__(self, seconds: float) -> None:
        self.done = min(self.total, self.done + seconds)
        self.report(self.done, self.total, self.message)


@lru_cache(maxsize=1)
def load_tools() -> Tools:
    """Loads the networks, once a process."""
    return Tools.load()


def warm_up() -> None:
    """Loads what jobs take, and runs it once, so that the first job finds it warm."""
    tools = load_tools()
    part = np.random.default_rng(0).normal(0, 0.1, (1, 500))
    tools.finder(part, 100.0, ("I",), tools.repairer, tools.scorer, "warm")


def judge(report: Report, folder: str, until: float | None = None) -> dict[str, Any]:
    """Says which parts of a recording are bad, lead by lead.

    Args:
        report: Told how far it is.
        folder: Folder of the recording.
        until: Seconds of it that are looked at; None: all.
    """
    recording = load_recording(folder)
    if until is not None:
        recording = replace(recording, signal=recording.signal[:, : round(until * recording.sampling_rate)])
    duration = recording.signal.shape[-1] / recording.sampling_rate
    steps = _Steps(report, duration)
    steps.begin("looking for what is bad")
    signal, hum = recording.signal.copy(), {}
    for row, lead in enumerate(recording.leads):  # as `repair` does
        if lines := find_hum(recording.signal[row], recording.sampling_rate, LEAST_MV):
            signal[row] = without_hum(signal[row], recording.sampling_rate, lines)
            hum[lead] = ", ".join(f"{frequency:.1f} Hz {amplitude:.2f} mV" for frequency, amplitude in lines)
    tools = _tools(steps)
    name = recording.name or "0"
    found = tools.finder(signal, recording.sampling_rate, recording.leads, tools.repairer, tools.scorer, name)
    return {"until": duration, "hum": hum, **_verdict(found, recording)}


def repair(report: Report, folder: str, result: str, complete: bool = False) -> dict[str, Any]:
    """Repairs a recording: see `einthoven.repair`."""
    recording = load_recording(folder)
    steps = _Steps(report, 2 * recording.signal.shape[-1] / recording.sampling_rate)
    steps.begin("looking for what is bad")

    def restored(samples: int) -> None:
        steps.message = "repairing"
        steps(samples / recording.sampling_rate)

    made = repair_recording(recording, complete=complete, tools=_tools(steps), progress=restored)
    steps.begin("writing")
    verdict = {"until": made.duration, **_verdict(made.findings, recording)}
    return {**save_repair(made, Path(result)), "verdict": verdict}


def reconstruct(
    report: Report, folder: str, result: str, kind: str, leads: Sequence[str] | None = None, n_samples: int = 10
) -> dict[str, Any]:
    """Rebuilds the twelve leads from what was measured (`kind` "reconstruct"), or denoises them too ("denoise")."""
    recording = load_recording(folder)
    steps = _Steps(report, recording.signal.shape[-1] / recording.sampling_rate)
    steps.begin("rebuilding the twelve leads" if kind == "reconstruct" else "denoising")
    restore = api.reconstruct if kind == "reconstruct" else api.denoise
    made = restore(recording, leads=leads or None, n_samples=n_samples, progress=steps)
    return save_reconstruction(made, Path(result), kind)


def check_electrodes(report: Report, folder: str) -> dict[str, Any]:
    """Says where the electrodes of a recording probably were."""
    report(0.0, 1.0, "checking the electrodes")
    recording = load_recording(folder)
    if len(recording.leads) == 1:
        named = doors.name_lead(recording)
        note = f"Read as lead {recording.leads[0]}; by its beats: {named.notes[0]}."
        return {"note": note, "remark": "", "best": "as recorded", "probabilities": named.probabilities}
    found = doors.check_electrodes(recording)
    return {"note": found.note, "remark": found.remark, "best": found.best, "probabilities": found.probabilities}


def correct(report: Report, folder: str, result: str) -> dict[str, Any]:
    """Puts the electrodes of a recording right, as they probably were."""
    report(0.0, 1.0, "checking the electrodes")
    found = doors.check_electrodes(load_recording(folder))
    return save_corrected(found.corrected, Path(result))


def measure(report: Report, folder: str, result: str | None = None) -> dict[str, Any]:
    """Measures a recording, or a result of it."""
    report(0.0, 1.0, "measuring")
    ecg: Any = load_recording(folder) if result is None else load_result(Path(result), Path(folder))
    return {"rows": doors.measure(ecg)}


def _tools(progress: Callable[[float], object]) -> Tools:
    tools = load_tools()
    own = {field.name: getattr(tools.finder, field.name) for field in fields(Finder)}
    return replace(tools, finder=RememberingFinder(**own, progress=progress))


def _verdict(found: Findings, recording: Recording) -> dict[str, Any]:
    edges = (found.edges / recording.sampling_rate).tolist()
    leads = {
        lead: {
            "bad": found.bad[row].tolist(),
            "probability": np.round(found.probability[row], 3).tolist(),
            "reason": [str(reason) for reason in found.reason[row]],
            "score": [round(float(score), 1) if np.isfinite(score) else None for score in found.score[row]],
        }
        for row, lead in enumerate(recording.leads)
    }
    return {"edges": edges, "leads": leads}
