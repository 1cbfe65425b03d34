"""One tiny grid on a simulated log, run once for all tests that read its outcome."""

from __future__ import annotations

import copy

import pytest

from sargraph.testing.grids import TINY, UNISAR, tiny_grid


@pytest.fixture
def tiny() -> dict:
    """The tiny grid as a dictionary to be changed."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope="package")
def shared(tmp_path_factory):
    """(config, folder of runs, folder of cells, what the first run found)."""
    from sargraph.pipeline.grid.run import run_grid

    folder = tmp_path_factory.mktemp("grid")
    config = tiny_grid(models={**TINY["models"], "unisar": UNISAR})
    return config, folder, folder / "cells", run_grid(config, folder, folder / "cells")
