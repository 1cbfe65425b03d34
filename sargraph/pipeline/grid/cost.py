"""What a piece of work costs: wall seconds, processor seconds, peak memory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Wall and processor seconds (children included) and peak memory in MB, NaN where unknown."""

    wall: float = 0.0
    cpu: float = 0.0
    peak_mb: float = float("nan")

    def __add__(self, other: Cost) -> Cost:
        """Both pieces one after the other."""
        peaks = [peak for peak in (self.peak_mb, other.peak_mb) if peak == peak]
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(peaks, default=float("nan")))


def measured(work: Callable[[], T]) -> tuple[T, Cost]:
    """The result of `work()` and what it cost."""
    _forget_peak()
    wall, cpu = time.perf_counter(), _cpu_seconds()
    result = work()
    return result, Cost(time.perf_counter() - wall, _cpu_seconds() - cpu, peak_memory())


def peak_memory() -> float:
    """Largest resident memory of this process in MB, since it was last forgotten; NaN if unknown.

    Where the system cannot forget (outside Linux) it is that of the whole life of the process.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    except (OSError, StopIteration):
        return _peak_of_life()


def _peak_of_life() -> float:
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _cpu_seconds() -> float:
    """Processor seconds of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
