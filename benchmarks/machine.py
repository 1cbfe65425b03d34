"""What every benchmark says of the machine it ran on, and the one line it ends with."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Processor, cores, and versions that speed depends on."""
    import duckdb
    import numpy
    import pandas
    import pyarrow

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "pandas": pandas.__version__,
        "pyarrow": pyarrow.__version__,
        "duckdb": duckdb.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def goal(name: str, value: float, limit: float, *, at_least: bool = False) -> dict[str, Any]:
    """One goal of a benchmark and whether it was met."""
    met = value >= limit if at_least else value <= limit
    return {"name": name, "value": value, "goal": limit, "met": bool(met)}


def print_line(benchmark: str, figures: dict[str, Any], goals: list[dict[str, Any]]) -> None:
    """The last line of `--json` output."""
    found = {"benchmark": benchmark, "machine": machine(), "figures": figures, "goals": goals}
    print(json.dumps(found))
