"""The task of reading what was uploaded, in a process of its own: a hostile file costs nothing but itself."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from einthoven.ecg.reading import read
from einthoven.ecg.recording import Recording
from einthoven.web.child import Report
from einthoven.web.stored import save_recording
from einthoven.web.uploads import Upload, shown_name, sort_out, unpack, without_paths

LARGEST = "it is larger than the server takes once it is decoded, {size:.0f} MB: take a part of it"


def warm_up() -> None:
    """Imports what reading files takes, so that the first one is read at once."""
    read()
    for name in ("pandas", "pydicom", "einthoven.ecg.formats.table"):
        with suppress(ImportError):
            __import__(name)


def read_upload(
    report: Report,
    files: Sequence[tuple[str, str]],
    folder: str,
    max_bytes: int,
    sampling_rate: float | None = None,
    unit: str | None = None,
) -> dict[str, Any]:
    """Reads the recordings among uploaded files, each into a folder of its own.

    Args:
        report: Told how far it is.
        files: Names as uploaded, for people, and where the files lie. None at all: the bundled ECG.
        folder: Where the recordings go; the files may be changed, and are removed with it.
        max_bytes: Most bytes of unpacked files, and of each recording's samples.
        sampling_rate: As for `einthoven.read`.
        unit: As for `einthoven.read`.

    Returns:
        `recordings`: folder and facts of each; `problems`: file and message of each that could not be read.

    Raises:
        ValueError: If a zip or a WFDB record is not complete and harmless.
    """
    place = Path(folder)
    if not files:
        return {"recordings": [_keep(read(), place / "0", max_bytes)], "problems": []}
    uploads = [Upload(shown_name(name), Path(path)) for name, path in files]
    (place / "unpacked").mkdir(parents=True)
    unpacked = unpack(uploads, place / "unpacked", max_bytes)
    found, problems = [], []
    recordings = sort_out(unpacked)
    for number, upload in enumerate(recordings):
        report(number, len(recordings), "reading")
        try:
            recording = read(upload.path, sampling_rate=sampling_rate, unit=unit)
            notes = tuple(without_paths(note, unpacked) for note in recording.notes)
            named = replace(recording, name=Path(upload.name).stem, notes=notes)
            found.append(_keep(named, place / str(number), max_bytes))
        except (ValueError, MemoryError, OSError) as error:
            problems.append({"file": upload.name, "message": _message(error, upload, unpacked)})
        except Exception as error:  # a reader's own fault: it costs this file alone
            problems.append({"file": upload.name, "message": f"{upload.name} cannot be read ({type(error).__name__})"})
    shutil.rmtree(place / "unpacked", ignore_errors=True)
    return {"recordings": found, "problems": problems}


def _keep(recording: Recording, folder: Path, max_bytes: int) -> dict[str, Any]:
    if recording.signal.nbytes > max_bytes:
        raise ValueError(LARGEST.format(size=recording.signal.nbytes / 1e6))
    if not recording.signal.size:
        raise ValueError("it holds no samples")
    return {"folder": str(folder), "facts": save_recording(recording, folder)}


def _message(error: Exception, upload: Upload, uploads: Sequence[Upload]) -> str:
    if isinstance(error, MemoryError):
        return f"{upload.name}: reading it takes more memory than the server allows"
    if isinstance(error, OSError):
        return f"{upload.name} cannot be read ({type(error).__name__})"
    text = without_paths(" ".join(str(error).split()), uploads)
    if upload.suffix in (".dat", ".atr"):
        text = f"{upload.name} is a part of a WFDB record: drop its header (.hea) with it"
    return text if upload.name in text else f"{upload.name}: {text}"
