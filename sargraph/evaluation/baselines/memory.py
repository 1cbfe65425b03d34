"""What memory there is, so that work that cannot fit is refused before it starts."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


def available_memory() -> float:
    """Bytes that this process may still take: of the machine, and of its container if it has one.

    Where the system does not say what is free, all of its physical memory.
    """
    return min(_of_machine(), _of_container())


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
    if _MEMINFO.is_file():
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")


def _of_container() -> float:
    """Limit less use (pages of files can be given back); infinite without a limit."""
    try:
        limit = float((_CGROUP / "memory.max").read_text(encoding="ascii"))
        used = float((_CGROUP / "memory.current").read_text(encoding="ascii"))
        lines = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # no such file, or "max"
        return float("inf")
    pages = dict(line.split() for line in lines)
    return limit - used + float(pages.get("inactive_file", 0))
