"""Help: quick to load, an example for every command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sargraph.cli import app

NAMES = [c.name or c.callback.__name__.replace("_", "-") for c in app.registered_commands]


def test_help_loads_none_of_the_heavy_libraries():
    code = (
        "import sys, sargraph.cli; "
        "heavy = {'torch', 'pandas', 'numpy', 'scipy', 'duckdb', 'pyarrow', 'plotly', 'pydantic'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_an_example(command, name):
    result = command(name, "--help")
    assert result.status == 0
    assert f"Example: sargraph {name}" in " ".join(result.out.split())
