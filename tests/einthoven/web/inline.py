"""Queues that do their jobs at once, in the process of the tests, and files to upload."""

import io
import zipfile

import numpy as np

from einthoven.ecg.reading import read
from einthoven.web.child import DONE, run_task
from einthoven.web.lanes import CANCELLED, FAILED, FINISHED, RUNNING

RATE = read().sampling_rate


class Inline:
    """Does a job when it is submitted; one whose task holds a name in `held` waits for ever."""

    def __init__(self, held=()):
        self.held, self.jobs = held, []

    def submit(self, job):
        self.jobs.append(job)
        if any(name in job.task for name in self.held):
            return
        job.state = RUNNING
        kind, content = run_task(job.task, job.arguments, lambda done, total, message="": None)
        if kind == DONE:
            if job.then is not None:
                job.then(content)
            job.end(FINISHED)
        else:
            job.end(FAILED, content)

    def position(self, job):
        return 0

    def cancel(self, job):
        job.end(CANCELLED, "cancelled")

    def close(self):
        self.jobs.clear()


def ecg(leads=("I", "II"), seconds=4.0):
    """Returns a part of the bundled ECG in mV, shape (n_leads, L); its rate is `RATE`."""
    return read(leads=leads, duration=seconds).signal


def npz_file(signal, rate=RATE, leads=("I", "II")):
    """Returns a recording as the bytes of an NPZ file."""
    content = io.BytesIO()
    np.savez(content, signal=signal, sampling_rate=rate, leads=np.array(leads))
    return content.getvalue()


def zip_file(files, **attributes):
    """Returns a zip of files, by name; attributes are set on each entry."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for key, value in attributes.items():
                setattr(entry, key, value)
            archive.writestr(entry, data)
    return content.getvalue()
