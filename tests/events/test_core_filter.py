"""The core filter, against plain loops."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.errors import DataError
from sargraph.events.ingest import ingest
from sargraph.events.reading.core_filter import core_of
from sargraph.events.schema import CLICK

from .formats_fixture import ingest_files

PAIRS = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40)


def _naive(pairs: set[tuple[int, int]], least: tuple[int, int]) -> set[tuple[int, int]]:
    """Remove one user or item at a time until all that are left have enough partners."""
    left = set(pairs)
    while True:
        poor = [
            pair
            for pair in left
            if sum(u == pair[0] for u, _ in left) < least[0]
            or sum(i == pair[1] for _, i in left) < least[1]
        ]
        if not poor:
            return left
        left.remove(min(poor))


@settings(deadline=None)
@given(PAIRS, st.integers(0, 4), st.integers(0, 4))
def test_the_core_is_the_fixed_point(
    pairs: set[tuple[int, int]], min_user_items: int, min_item_users: int
) -> None:
    least = (min_user_items, min_item_users)
    user = np.array([u for u, _ in sorted(pairs)], dtype=np.int64)
    item = np.array([i for _, i in sorted(pairs)], dtype=np.int64)
    kept_user, kept_item = core_of(user, item, (8, 8), least)
    core = _naive(pairs, least)
    users, items = {u for u, _ in core}, {i for _, i in core}
    everything = set(range(8))  # a bound of 0 keeps all
    assert set(np.flatnonzero(kept_user).tolist()) == (users if least[0] else everything)
    assert set(np.flatnonzero(kept_item).tolist()) == (items if least[1] else everything)


RECIPE = """
name = "core"
time_kind = "ordinal"
duplicates = "keep"
[[tables]]
file = "searches.csv"
source = "search"
user = "u"
item = { column = "i", optional = true }
time = { column = "t", unit = "ordinal" }
query = "q"
[[tables]]
file = "shown.csv"
source = "recommend"
user = "u"
item = "i"
time = { column = "t", unit = "ordinal" }
action = { column = "c", at_least = 1 }
"""
SEARCH_ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-1, 3), st.text("abc ", max_size=5)), max_size=15
)
SHOWN_ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=15
)


def _naive_core(
    searches: list[tuple[int, int, str]],
    shown: list[tuple[int, int, int]],
    min_terms: int,
    least: tuple[int, int],
) -> tuple[list[tuple[int, int, str]], list[tuple[int, int, int]]]:
    """Rows that stay: first by the uses of terms, then by the core of the pairs of choices."""
    uses = Counter(term for _, _, query in searches for term in set(query.split()))
    cut = [
        (u, i, " ".join(term for term in query.split() if uses[term] >= min_terms))
        for u, i, query in searches
    ]
    searches = [
        new for new, (_, _, query) in zip(cut, searches, strict=True) if new[2] or not query.split()
    ]
    pairs = {(u, i) for u, i, _ in searches if i >= 0} | {(u, i) for u, i, c in shown if c}
    core = _naive(pairs, least)
    users, items = {u for u, _ in core}, {i for _, i in core}
    if not least[0]:
        users = set(range(4))  # a bound of 0 keeps all
    if not least[1]:
        items = set(range(4))
    return (
        [row for row in searches if row[0] in users and (row[1] in items or row[1] < 0)],
        [row for row in shown if row[0] in users and row[1] in items],
    )


@settings(deadline=None, max_examples=30)
@given(SEARCH_ROWS, SHOWN_ROWS, st.integers(0, 3), st.integers(0, 2), st.integers(0, 2))
def test_a_whole_log_keeps_what_plain_loops_keep(
    searches: list[tuple[int, int, str]],
    shown: list[tuple[int, int, int]],
    min_terms: int,
    min_items: int,
    min_users: int,
) -> None:
    kept = _naive_core(searches, shown, min_terms, (min_items, min_users))
    rules = [("min_term_uses", min_terms), ("min_user_items", min_items)]
    rules.append(("min_item_users", min_users))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [f"{u},{'' if i < 0 else i},{t},{q}\n" for t, (u, i, q) in enumerate(searches)]
        # Without searches the file still needs a row: one that is out of the count.
        (folder / "searches.csv").write_text("u,i,t,q\n" + "".join(rows or ["NA,,0,\n"]))
        rows = [f"{u},{i},{t},{c}\n" for t, (u, i, c) in enumerate(shown)]
        (folder / "shown.csv").write_text("u,i,t,c\n" + "".join(rows))
        (folder / "core.toml").write_text(RECIPE)
        overrides = [f"core.{rule}={least}" for rule, least in rules]
        if not any(kept):
            with pytest.raises(DataError, match="gave no event"):
                ingest(folder / "core.toml", folder, overrides=overrides)
            return
        events = ingest(folder / "core.toml", folder, overrides=overrides)
    items, queries = (*events.items.ids, "-1"), events.queries.ids
    found = [
        (int(events.users.ids[events.user[e]]), int(items[events.item[e]]), e)
        for e in range(len(events))
    ]
    is_search = events.is_search
    assert Counter(
        (u, i, queries[events.query[e]]) for u, i, e in found if is_search[e]
    ) == Counter((u, i, " ".join(query.split())) for u, i, query in kept[0])
    clicked = events.columns["action"] == CLICK
    assert Counter((u, i, int(clicked[e])) for u, i, e in found if not is_search[e]) == Counter(
        kept[1]
    )
    report = events.report
    assert report["filtered"] == len(searches) + len(shown) - len(kept[0]) - len(kept[1])


def test_the_rows_of_one_search_use_a_term_once(tmp_path: Path) -> None:
    recipe = RECIPE.replace('query = "q"', 'query = "q"\nsearch = "s"', 1)
    rows = [f"0,{item},{item},rare,1\n" for item in range(3)]
    rows += [f"0,9,{9 + search},common,{9 + search}\n" for search in range(3)]
    searches = "u,i,t,q,s\n" + "".join(rows)
    files = {"searches.csv": searches, "shown.csv": "u,i,t,c\n0,1,20,1\n"}
    events = ingest_files(tmp_path, recipe, files, overrides=["core.min_term_uses=3"])
    assert events.terms.ids == ("common",)
    assert events.report["filtered_by_reason"] == {"rare terms": 3}
