"""Vocabularies are bijections, and events decode to the ids and times of the raw log."""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.events.events import VOCABULARIES, Events
from sargraph.events.ingest import ingest
from sargraph.events.text import canonical_id

RECIPE = """
name = "ids"
duplicates = "keep"
[[tables]]
file = "searches.csv"
source = "search"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
query = { column = "text", tokens = "ids", list = " " }
[[tables]]
file = "shown.csv"
source = "recommend"
user = "user"
item = "item"
time = { column = "at", unit = "s" }
"""

_WORD = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Cf")), min_size=1, max_size=6
).filter(lambda text: text.lower() not in ("nan", "null", "none", "na", "<na>", "\\n"))
_ID = st.one_of(_WORD, st.integers(0, 2**70).map(str), st.sampled_from(["7", "7.0", "007"]))
ROWS = st.lists(
    st.tuples(_ID, _ID, st.integers(1_600_000_000, 1_600_000_005), st.lists(_WORD, max_size=3)),
    min_size=1,
    max_size=20,
)


def _write(folder: Path, rows: list[tuple[str, str, int, list[str]]]) -> None:
    folder.mkdir()
    for name, chosen in (("searches", rows[::2]), ("shown", rows[1::2] or rows[:1])):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
            writer.writerow(["user", "item", "at", "text"])
            writer.writerows((user, item, at, " ".join(words)) for user, item, at, words in chosen)


def _read(rows: list[tuple[str, str, int, list[str]]]) -> tuple[Events, Events]:
    """The events, and the same as they were saved and loaded."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder / "logs", rows)
        (folder / "ids.toml").write_text(RECIPE, encoding="utf-8")
        events = ingest(folder / "ids.toml", folder / "logs", folder / "out", threads=1)
        return events, Events.load(folder / "out")


@settings(deadline=None, max_examples=30)
@given(ROWS)
def test_rows_and_ids_are_a_bijection(rows: list[tuple[str, str, int, list[str]]]) -> None:
    events, loaded = _read(rows)
    for kind in VOCABULARIES:
        vocabulary = events.vocabularies[kind]
        ids = list(vocabulary.ids)
        assert ids == sorted(set(ids))
        assert [vocabulary.row(id_) for id_ in ids] == list(range(len(ids)))
        assert loaded.vocabularies[kind].ids == vocabulary.ids
    for name in ("user", "item", "query"):
        codes = events.columns[name]
        assert codes.min() >= -1 and codes.max() < len(events.vocabularies[name])
        used = np.unique(codes[codes >= 0])
        assert len(used) == len(events.vocabularies[name])
    assert events.users.ids and np.all(events.user >= 0)


@settings(deadline=None, max_examples=30)
@given(ROWS)
def test_events_decode_to_the_ids_of_the_log(rows: list[tuple[str, str, int, list[str]]]) -> None:
    events, loaded = _read(rows)
    assert all(np.array_equal(events.columns[n], loaded.columns[n]) for n in events.columns)
    queries = (*events.queries.ids, None)
    found = Counter(
        (
            events.users.ids[events.user[e]],
            events.items.ids[events.item[e]],
            int(events.time[e]) // 1000,
            queries[events.query[e]] if events.is_search[e] else None,
        )
        for e in range(len(events))
    )
    expected: Counter[tuple[str, str, int, str | None]] = Counter()
    for place, (user, item, at, words) in enumerate(rows):
        query = " ".join(canonical_id(word).replace("|", "/") for word in words)
        pair = (canonical_id(user), canonical_id(item), at)
        expected[(*pair, query if place % 2 == 0 else None)] += 1
    if len(rows) == 1:  # its row stands in both files
        expected[(*pair, None)] += 1
    assert found == expected
