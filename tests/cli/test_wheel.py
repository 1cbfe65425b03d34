"""The wheel: built, installed elsewhere, walks a small quickstart with the recipes inside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import sys, sargraph
from sargraph.cli import main
assert sys.argv[1] in sargraph.__file__, sargraph.__file__
sys.argv = ["sargraph", *sys.argv[2:]]
main()
"""
SMALL = [
    "--users", "40", "--days", "6", "--set", "train.config.num_epochs=1",
    "--set", "fit.config.fit.num_epochs=1", "--set", "fit.inits=['graph']",
    "--set", "evaluate.max_requests=20", "--set", "evaluate.validation_requests=50",
    "--set", "fit.config.num_contrast=16",
]  # fmt: skip


def run(*command, **kwargs):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_wheel_walks_a_small_quickstart(tmp_path):
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT)
    wheel = next(tmp_path.glob("*.whl"))
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    out = run(
        sys.executable, "-c", CODE, site, "quickstart", *SMALL, cwd=elsewhere, env=environment
    )
    assert "similar users" in out and "popularity" in out
    page = elsewhere / "quickstart" / "report.html"
    assert f"report: {Path('quickstart') / 'report.html'}" in out
    text = page.read_text(encoding="utf-8")
    assert "<title>" in text and "Virtual queries" in text
