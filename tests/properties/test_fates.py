"""Every row of every log has one fate, whatever dirt is in it and whichever rules are on."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.errors import DataError
from sargraph.events.ingest import ingest

FIELDS = ("user", "item", "at", "text", "n")
RECIPE = """
name = "dirt"
max_user_events = {cap}
duplicates = "{duplicates}"
[[tables]]
file = "a.{format}"
format = "{format}"
source = "search"
user = "user"
item = {{ column = "item", optional = true }}
time = {{ column = "at", unit = "s" }}
query = "text"
{group}
[[tables]]
file = "b.{format}"
format = "{format}"
source = "recommend"
user = "user"
item = "item"
time = {{ column = "at", unit = "s" }}
weight = "n"
{keep}
[core]
min_term_uses = {terms}
min_user_items = {core}
min_item_users = {core}
"""

_PLAIN = st.tuples(
    st.sampled_from(["ann", "bob", "7", "7.0", " 7", "", "nan"]),
    st.sampled_from(["p1", "p2", "p2 ", "p3", "", "NULL"]),
    st.sampled_from(["1700000000", "1700000001", "1700005000", "soon", "", "1", "99999999999"]),
    st.sampled_from(["red shoes", "Red  SHOES", "", "blue", "\u200b", "a,b|c", 'say "x"']),
    st.sampled_from(["1", "2.5", "-1", "NaN", "x", "0"]),
)
ROWS = st.lists(_PLAIN, max_size=25)
RULES = st.fixed_dictionaries(
    {
        "duplicates": st.sampled_from(["keep", "first", "last", "count"]),
        "cap": st.sampled_from([0, 1, 3]),
        "terms": st.sampled_from([0, 2]),
        "core": st.sampled_from([0, 2]),
        "keep": st.sampled_from(["", 'keep = [{ column = "n", at_least = 1 }]']),
        "group": st.sampled_from(["", 'group_by = ["user", "item", "at"]']),
        "format": st.sampled_from(["csv", "jsonl", "parquet"]),
    }
)
GOOD = [("ann", item, "1700000100", "red", "1") for item in ("p1", "p2")]
GOOD += [("bob", item, "1700000200", "red", "1") for item in ("p1", "p2")]


def _write(path: Path, rows: list[tuple[str, ...]], broken: list[int]) -> int:
    """Write rows in the format of the path's ending; returns how many rows it holds.

    `broken` places get a row too short, where the format can hold one.
    """
    if path.suffix == ".parquet":
        columns = zip(*rows, strict=True)
        table = {name: list(values) for name, values in zip(FIELDS, columns, strict=True)}
        pq.write_table(pa.table(table), path)
        return len(rows)
    is_csv = path.suffix == ".csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_csv:
            writer.writerow(FIELDS)
        for place, row in enumerate(rows):
            if is_csv:
                writer.writerow(row[:2] if place in broken else row)
            else:
                line = json.dumps(dict(zip(FIELDS, row, strict=True)))
                file.write((line[:-1] if place in broken else line) + "\n")
    return len(rows)


def _adds_up(found: dict[str, Any]) -> bool:
    fates = [found[name] for name in ("merged", "filtered", "quarantined")]
    lost = sum(fate if isinstance(fate, int) else sum(fate.values()) for fate in fates)
    return bool(found["rows"] == found["used"] + lost)


@settings(deadline=None, max_examples=50)
@given(ROWS, ROWS, st.lists(st.integers(0, 24), max_size=3), RULES)
def test_rows_are_used_merged_filtered_or_quarantined(
    searches: list[tuple[str, ...]],
    shown: list[tuple[str, ...]],
    broken: list[int],
    rules: dict[str, Any],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        (folder / "recipe.toml").write_text(RECIPE.format(**rules), encoding="utf-8")
        sizes = {
            f"{stem}.{rules['format']}": _write(
                folder / "logs" / f"{stem}.{rules['format']}",
                [*rows, *GOOD],
                [b for b in broken if b < len(rows)],
            )
            for stem, rows in (("a", searches), ("b", shown))
        }
        try:
            events = ingest(folder / "recipe.toml", folder / "logs", folder / "out", threads=1)
        except DataError as error:
            # The good rows survive every rule but a cap so tight that the core dissolves.
            assert "gave no event" in str(error) and rules["cap"] and rules["core"]
            return
        report = events.report
        files = report["files"]
        assert {file: counts["rows"] for file, counts in files.items()} == sizes
        assert _adds_up(report) and all(_adds_up(counts) for counts in files.values())
        fates = pq.read_table(folder / "out" / "fates.parquet").to_pylist()
        bad = pq.read_table(folder / "out" / "quarantine.parquet").to_pylist()
    named = {(row["file"], row["row"]) for row in fates}
    assert len(named) == len(fates) == report["rows"] - report["used"]
    for file, counts in files.items():
        listed = [row["row"] for row in fates if row["file"] == file]
        assert all(1 <= row <= sizes[file] for row in listed)
        assert len(listed) == counts["rows"] - counts["used"]
    in_quarantine = {(r["file"], r["row"]) for r in fates if r["fate"] == "quarantined"}
    assert {(row["file"], row["row"]) for row in bad} == in_quarantine
    # No slates here: a used row is one event.
    assert report["used"] == report["events"] == len(events)
