"""Fixtures for the tests of events: small raw logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sargraph.events.reading.workspace import Workspace, workspace

from .kuaisar_fixture import write_kuaisar

TWO_LOGS = """
name = "shop"

[[tables]]
file = "searches.csv"
source = "search"
user = "user"
item = { column = "product", optional = true }
time = { column = "at", unit = "s" }
query = "text"

[[tables]]
file = "shown.csv"
source = "recommend"
user = "user"
item = "product"
time = { column = "at", unit = "s" }
action = { column = "clicked", at_least = 1, yes = "click", no = "impression" }
"""

SEARCHES = """user,product,at,text
ann,p1,1700000000,Red  SHOES
bob,,1700000050,"blue, hat"
ann,p2,1700000000,Red  SHOES
"""

SHOWN = """user,product,at,clicked
ann,p1,1700000100,1
bob,p3,1700000000,0
ann,p2,1700000100,0
"""


@pytest.fixture
def work() -> Iterator[Workspace]:
    """A workspace, closed after the test."""
    with workspace() as opened:
        yield opened


@pytest.fixture(params=["v1", "v2"])
def kuaisar(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with KuaiSAR's files in small, in both published shapes."""
    return write_kuaisar(tmp_path / "kuaisar", request.param)


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write a user's two logs and a recipe; returns (recipe, folder).

    Keyword arguments replace texts: `searches`, `shown`, and `recipe` (a pair old, new).
    """

    def write(
        searches: str | bytes = SEARCHES,
        shown: str | bytes = SHOWN,
        recipe: tuple[str, str] = ("", ""),
    ) -> tuple[Path, Path]:
        folder = tmp_path / "logs"
        folder.mkdir(exist_ok=True)
        for name, text in (("searches.csv", searches), ("shown.csv", shown)):
            content = text if isinstance(text, bytes) else text.encode()
            (folder / name).write_bytes(content)
        path = tmp_path / "shop.toml"
        assert recipe[0] in TWO_LOGS
        path.write_text(TWO_LOGS.replace(*recipe) if recipe[0] else TWO_LOGS, encoding="utf-8")
        return path, folder

    return write
