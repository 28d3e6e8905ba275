"""Peak memory of processes, and the machine that something is measured on."""

import os
import platform
import resource
import sys
from pathlib import Path

import torch


def peak_memory_mb(pid: int | None = None) -> float:
    """Largest resident memory of a process, by default this one; 0 for one that has ended.

    The kernel's high-water mark of the address space: `getrusage` would also count what the parent had before.
    """
    own = os.getpid()
    peak = _memory_mb("VmHWM", pid or own)
    if peak or Path("/proc/self").exists() or pid not in (None, own):
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def resident_memory_mb() -> float:
    """Resident memory of this process now; 0 where there is no /proc."""
    return _memory_mb("VmRSS", os.getpid())


def _memory_mb(name: str, pid: int) -> float:
    """Reads a line of a process's status; 0 if it is not there."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and theirs; none where there is no /proc."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in file.read_text(encoding="ascii").split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def machine() -> str:
    """Names what is measured on: processor, cores, how busy they are now (1: each has one program), and torch."""
    cores = os.cpu_count() or 1
    load = f", load {os.getloadavg()[0] / cores:.1f} a core before" if hasattr(os, "getloadavg") else ""
    return f"{platform.machine()}, {cores} cores{load}, {torch.get_num_threads()} threads, torch {torch.__version__}"
