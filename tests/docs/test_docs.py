"""The documentation tells the truth: its code runs, its links and commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sargraph.cli import app
from sargraph.events.simulate import simulate

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("graphs/*.md"),
         *ROOT.glob("experiments/*/*.md")]  # fmt: skip
GUIDE = sorted(ROOT.glob("docs/guide/*.md"))
COMMANDS = {c.name or c.callback.__name__.replace("_", "-") for c in app.registered_commands}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_readmes_code_runs(tmp_path):
    code = blocks(ROOT / "README.md", "python")
    assert len(code) >= 4
    script = tmp_path / "readme.py"
    script.write_text("\n".join(code), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_guides_code_runs(tmp_path):
    """All blocks of a page one after the other, beside the logs of a small world."""
    simulate(tmp_path / "logs", preset="tiny")
    pages = [page for page in GUIDE if blocks(page, "python")]
    assert pages
    for page in pages:
        script = tmp_path / "page.py"
        script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"(?:^    |`)sargraph ([a-z][a-z-]+)", text, re.MULTILINE):
        assert name in COMMANDS, f"{page}: sargraph {name}"


def test_every_recipe_is_described():
    text = (ROOT / "graphs" / "README.md").read_text(encoding="utf-8")
    for recipe in (ROOT / "graphs").glob("*.toml"):
        assert f"`{recipe.stem}`" in text
