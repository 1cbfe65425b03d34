"""What memory there is, so that work that cannot fit is refused before it starts, in words."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def available_memory() -> float:
    """Bytes that this process may still take: of the machine, and of its container if it has one.

    Never negative. Where the system does not say what is free, all of its physical memory;
    infinity where even that is unknown.
    """
    return max(0.0, min(_of_machine(), _of_container()))


def readable_bytes(number: float) -> str:
    """Bytes as text, such as `1.2 GB` (powers of 1,000)."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def readable_seconds(seconds: float) -> str:
    """A duration as text: seconds, minutes, hours, or days."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _of_machine() -> float:
    with suppress(OSError):
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    return _physical()


def _physical() -> float:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # no sysconf on this system, or not these names
        return math.inf
    return float(pages) * size if pages > 0 else math.inf


def _of_container() -> float:
    """Limit less use, where pages of files do not count as used; infinite without a limit."""
    try:
        limit = float((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = float((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        return math.inf
    return limit - used + _idle_file_pages()


def _idle_file_pages() -> float:
    """Bytes of files kept in memory that can be given back at once; 0 where nothing says so."""
    with suppress(OSError):
        for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines():
            if line.startswith("inactive_file "):
                return float(line.split()[1])
    return 0.0
