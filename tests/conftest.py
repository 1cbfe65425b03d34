"""Shared fixtures: shape checks switched on, real data and golden numbers found or skipped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

import sargraph.nn.pair_kernels  # noqa: F401  compiled loops, which the hook below must not wrap

# Every tensor annotation of these packages is checked at run time while tests run.
install_import_hook(["sargraph.nn", "sargraph.embedding", "sargraph.sequence"], "beartype.beartype")

ROOT = Path(__file__).resolve().parents[1]


def _folder(variable: str, default: str) -> Path:
    folder = Path(os.environ.get(variable, ROOT / default))
    if not folder.is_dir():
        pytest.skip(f"{variable} does not name a folder (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets, or a skip that says where it was sought."""
    return _folder("SARGRAPH_DATA", "../shared/data")


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """The folder of golden numbers, or a skip that says where it was sought."""
    return _folder("SARGRAPH_GOLDEN", "../shared/golden")
