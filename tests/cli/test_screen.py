"""What commands print: JSON that any reader takes, failures in one line with their status."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from sargraph import screen
from sargraph.core.errors import DataError, TrainingError


def test_nan_is_null_in_json(capsys):
    screen.facts("title", {"value": float("nan"), "inner": [{"x": float("nan")}]}, True)
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found == {"title": "title", "value": None, "inner": [{"x": None}]}


@pytest.mark.parametrize(
    ("error", "status"),
    [(DataError("bad\nfile"), 2), (TrainingError("nan"), 1), (OSError("disk full"), 1)],
)
def test_a_failure_is_one_line_and_a_status(error, status, capsys):
    def fail():
        raise error

    with pytest.raises(SystemExit) as stop:
        screen.guarded(fail)
    printed = capsys.readouterr().err
    assert stop.value.code == status
    assert printed.startswith("error: ") and printed.count("\n") == 1


def test_only_our_own_progress_is_printed():
    code = """if True:
        import logging
        from sargraph import screen

        def work():
            logging.getLogger("library.loader").info("loading with AVX2")
            logging.getLogger("library.loader").warning("file is old")
            logging.getLogger("sargraph").info("pass 1 of 3")

        screen.guarded(work)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "file is old\npass 1 of 3\n"


def test_numbers_are_readable(capsys):
    screen.facts("title", {"count": 12345, "share": 0.25, "none": float("nan")}, False)
    out = capsys.readouterr().out
    assert "12,345" in out and "0.25" in out and "none   -" in out
