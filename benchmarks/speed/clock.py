"""How time and memory are taken: CPU time of this process, two sides in turn, least of several rounds."""

import ctypes
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Timed", "compare", "peak_mib", "wall_seconds"]

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Timed(NamedTuple):
    """Of one side: least CPU seconds of a call; what the first call cost beyond that [CPU s], which is compilation;
    memory that a call needs at its peak [MiB]."""

    seconds: float
    compile_seconds: float
    peak_mib: float | None


def compare(ours: Callable[[], Any], peer: Callable[[], Any], *, rounds: int, least: float) -> tuple[Timed, Timed]:
    """Both sides timed in turn, so that a drift of the machine's speed hits both; a call returns finished results."""
    sides = (ours, peer)
    first, peaks, times = [], [], ([], [])
    for run in sides:
        began = time.process_time()
        run()
        first.append(time.process_time() - began)
        rises = [_rise_mib(run) for _ in range(2)]  # what the call before held may be freed late and hide one
        peaks.append(None if None in rises else max(rises))
    for _ in range(rounds):
        for run, found in zip(sides, times, strict=True):
            found.append(_seconds_per_call(run, least))
    least_of = [min(found) for found in times]
    return tuple(Timed(s, max(f - s, 0.0), p) for s, f, p in zip(least_of, first, peaks, strict=True))


def _seconds_per_call(run: Callable[[], Any], least: float) -> float:
    """CPU seconds of a call, over as many calls as take `least` seconds together."""
    began, calls, spent = time.process_time(), 0, 0.0
    while spent < least:
        run()
        calls += 1
        spent = time.process_time() - began
    return spent / calls


def wall_seconds(run: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _rise_mib(run: Callable[[], Any]) -> float | None:
    """How far one call lifts the resident memory of this process; None where the system does not tell."""
    try:
        # what earlier calls freed would be used again and hide the rise; only glibc has this function
        ctypes.CDLL(None).malloc_trim(0)
        _CLEAR.write_text("5")  # resets the peak to what is resident now
    except (OSError, AttributeError):
        return None
    before = _status_mib("VmRSS")
    run()
    return max(_status_mib("VmHWM") - before, 0.0)


def peak_mib() -> float:
    """Most memory that this process has held so far."""
    if _STATUS.exists():
        return _status_mib("VmHWM")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def _status_mib(field: str) -> float:
    (line,) = [line for line in _STATUS.read_text().splitlines() if line.startswith(field + ":")]
    return int(line.split()[1]) / 1024
