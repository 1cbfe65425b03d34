"""What a bug report needs to say: versions, threads, memory, data folders."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sargraph
from sargraph.pipeline.cells import data_folder

_PACKAGES = (
    "torch",
    "torch-geometric",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "duckdb",
    "pydantic",
)


def examine() -> dict[str, Any]:
    """Facts of this installation: versions, device, threads, free memory (GB), data folders."""
    import torch

    folder = data_folder()
    sets = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return {
        "sargraph": sargraph.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in _PACKAGES},
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set"),
        "free_memory_gb": _free_memory(),
        "data_folder": f"{folder} ({'found' if folder.is_dir() else 'absent; set SARGRAPH_DATA'})",
        "data_sets": ", ".join(sets) or "none",
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _free_memory() -> float:
    """Available memory in GB where the system says so, else NaN."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable")]
    return round(int(found[0]) / 1e6, 1) if found else float("nan")
