"""Two ingestions give the same bytes, whatever the threads and the memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sargraph.core.rng import make_rng
from sargraph.events.events import Events
from sargraph.events.ingest import ingest

SIZE = 200_000
RECIPE = """
name = "ties"
duplicates = "count"
max_user_events = 2000
[[tables]]
file = "searches.csv"
source = "search"
user = "user"
item = { column = "item", optional = true }
time = { column = "at", unit = "s" }
query = "text"
[[tables]]
file = "shown.parquet"
format = "parquet"
source = "recommend"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
action = { column = "clicked", at_least = 1 }
[[lookups]]
of = "item"
file = "items.csv"
id = "item"
name = "title"
terms = [{ column = "title" }]
[core]
min_term_uses = 2
min_item_users = 2
"""


@pytest.fixture(scope="module")
def ties(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two logs of 200,000 rows in all, three in four of which share their time with others."""
    folder = tmp_path_factory.mktemp("ties")
    rng = make_rng(0, "determinism")
    (folder / "logs").mkdir()
    half = SIZE // 2
    user = rng.zipf(1.3, SIZE) % 900
    item, word = rng.integers(0, 3000, SIZE), rng.integers(0, 500, (half, 2))
    at = 1_700_000_000 + rng.integers(0, 2000, SIZE)
    lines = [
        f"u{user[n]},{item[n] if n % 5 else ''},{at[n] if n % 97 else 'soon'},w{a} W{b}\n"
        for n, (a, b) in enumerate(word.tolist())
    ]
    (folder / "logs" / "searches.csv").write_text("user,item,at,text\n" + "".join(lines))
    columns = {
        "user": pa.array([f"u{u}" for u in user[half:].tolist()]),
        "item": pa.array(item[half:], pa.int64()),
        "at": pa.array(at[half:], pa.int64()),
        "clicked": pa.array(rng.integers(0, 2, half), pa.int8()),
    }
    pq.write_table(pa.table(columns), folder / "logs" / "shown.parquet", row_group_size=10_000)
    titles = [f"{i},Title w{i % 500}\n" for i in rng.permutation(3000).tolist()]
    (folder / "logs" / "items.csv").write_text("item,title\n" + "".join(titles))
    (folder / "ties.toml").write_text(RECIPE)
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_threads_and_memory_do_not_change_a_byte(ties: Path, tmp_path: Path) -> None:
    settings = {"one": (1, "1GB"), "two": (2, "200MB"), "four": (4, "3GB")}
    found = {
        name: ingest(
            ties / "ties.toml", ties / "logs", tmp_path / name, threads=threads, memory_limit=limit
        )
        for name, (threads, limit) in settings.items()
    }
    assert len({events.content_hash for events in found.values()}) == 1
    first = _files(tmp_path / "one")
    assert len(first) >= 12
    for name in ("two", "four"):
        assert _files(tmp_path / name) == first


def test_the_large_log_is_accounted_for_and_sorted(ties: Path) -> None:
    events = ingest(ties / "ties.toml", ties / "logs", now=1_800_000_000_000)
    report = events.report
    lost = report["merged"] + report["filtered"] + report["quarantined"]
    assert report["rows"] == SIZE == report["used"] + lost
    assert report["quarantined_by_reason"] == {"unreadable time": -(-SIZE // 2 // 97)}
    assert report["merged"] > 0 and set(report["filtered_by_reason"]) >= {"bot cap"}
    key = events.user.astype(np.int64) * 10**14 + events.time
    assert np.all(np.diff(key) >= 0)
    same_time = np.diff(key) == 0
    assert same_time.mean() > 0.02


def test_ties_keep_the_order_of_tables_and_rows(tmp_path: Path) -> None:
    """All events of one user at one time: searches first, each log in its own order."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "ties.toml").write_text(RECIPE.split("[[lookups]]")[0])
    items = [f"{n:04d}" for n in make_rng(1, "ties").permutation(3000).tolist()]
    lines = "".join(f"ann,{item},1700000000,x\n" for item in items[:1500])
    (tmp_path / "logs" / "searches.csv").write_text("user,item,at,text\n" + lines)
    later = items[1500:]
    columns = {"user": ["ann"] * 1500, "item": later, "at": [1_700_000_000] * 1500}
    pq.write_table(pa.table(columns | {"clicked": [1] * 1500}), tmp_path / "logs" / "shown.parquet")
    events: Events = ingest(
        tmp_path / "ties.toml", tmp_path / "logs", overrides=["max_user_events=0"]
    )
    assert [events.items.ids[i] for i in events.item] == items
