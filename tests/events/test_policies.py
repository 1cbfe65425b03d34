"""Policies on repeated events and on users with more events than a person has."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.rng import make_rng
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.reading.ledger import Ledger
from sargraph.events.reading.log import Log
from sargraph.events.reading.policies import cap_users, settle_duplicates
from sargraph.events.text import Query

Shop: TypeAlias = Callable[..., tuple[Path, Path]]

HEADER = "user,product,at,clicked\n"
KEYS = ("user", "time", "item", "query", "source", "action")


def _log(seed: int, size: int) -> tuple[Log, Ledger]:
    """A sorted log of two users, few items, queries and times, with weights 1..9."""
    rng = make_rng(seed, "policies")
    user = np.sort(rng.integers(0, 2, size)).astype(np.int32)
    time = rng.integers(0, 3, size).astype(np.int64)
    time = time[np.lexsort((time, user))]
    columns = {
        "user": user,
        "time": np.concatenate([np.sort(time[user == u]) for u in (0, 1)]),
        "item": rng.integers(-1, 2, size).astype(np.int32),
        "query": rng.integers(-1, 2, size).astype(np.int32),
        "source": rng.integers(0, 2, size).astype(np.int8),
        "action": rng.integers(0, 3, size).astype(np.int8),
        "search": np.full(size, -1, np.int32),
        "position": np.arange(size, dtype=np.int32),
        "weight": rng.integers(1, 10, size).astype(np.float32),
        "row": np.arange(size, dtype=np.int32),
    }
    ledger = Ledger()
    ledger.open("x.csv", size)
    return Log(columns, ["u", "v"], ["a", "b"], [Query(("q",)), Query(("r",))], Counter()), ledger


def _groups(log: Log) -> dict[tuple[int, ...], list[int]]:
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in range(len(log)):
        groups[tuple(int(log[name][row]) for name in KEYS)].append(row)
    return groups


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(1, 120),
    st.sampled_from(["keep", "first", "last", "count"]),
)
def test_policies_against_groups_of_equal_events(seed: int, size: int, policy: str) -> None:
    log, ledger = _log(seed, size)
    groups, weight = _groups(log), log["weight"].copy()
    settle_duplicates(log, policy, ledger)  # type: ignore[arg-type]
    chosen = {
        "keep": [row for rows in groups.values() for row in rows],
        "last": [rows[-1] for rows in groups.values()],
    }.get(policy, [rows[0] for rows in groups.values()])
    assert log["row"].tolist() == sorted(chosen)
    assert ledger.counts()["x.csv"]["merged"].get("duplicate", 0) == size - len(chosen)
    if policy == "count":
        expected = {rows[0]: float(weight[rows].sum()) for rows in groups.values()}
        assert dict(zip(log["row"].tolist(), log["weight"].tolist(), strict=True)) == expected
        assert log["weight"].sum() == weight.sum()
    else:
        assert np.array_equal(log["weight"], weight[log["row"]])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 40))
def test_the_most_recent_events_of_a_user_stay(seed: int, size: int, most: int) -> None:
    log, ledger = _log(seed, size)
    rows_of = {u: np.flatnonzero(log["user"] == u).tolist() for u in (0, 1)}
    found = cap_users(log, most, ledger)
    kept = [row for rows in rows_of.values() for row in (rows[-most:] if most else rows)]
    assert log["row"].tolist() == kept
    cut = {log.user_ids[u]: len(rows) for u, rows in rows_of.items() if 0 < most < len(rows)}
    assert {line["user"]: line["events"] for line in found} == cut
    assert [line["events"] for line in found] == sorted(cut.values(), reverse=True)
    assert ledger.counts()["x.csv"]["filtered"].get("bot cap", 0) == size - len(kept)


def _shown(events: Events) -> list[tuple[int, float]]:
    rows = np.flatnonzero(events.is_recommend)
    positions, weights = events.columns["position"], events.columns["weight"]
    return [(int(positions[row]), float(weights[row])) for row in rows]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", [(1, 2.0), (2, 3.0), (3, 4.0)]),
        ("first", [(1, 2.0)]),
        ("last", [(3, 4.0)]),
        ("count", [(1, 9.0)]),
    ],
)
def test_dedup_policy_keep_first_last_count(
    shop: Shop, tmp_path: Path, policy: str, expected: list[tuple[int, float]]
) -> None:
    rows = "".join(f"ann,p1,1700000100,1,{place},{place + 1}\n" for place in (1, 2, 3))
    recipe, folder = shop(
        shown="user,product,at,clicked,place,strength\n" + rows,
        recipe=(
            'item = "product"\n',
            'item = "product"\nposition = "place"\nweight = "strength"\n',
        ),
    )
    events = ingest(recipe, folder, tmp_path / policy, overrides=[f"duplicates={policy}"])
    assert _shown(events) == expected
    fates = pq.read_table(tmp_path / policy / "fates.parquet").to_pylist()
    merged = [row["row"] for row in fates if row["file"] == "shown.csv"]
    assert merged == {"keep": [], "last": [1, 2]}.get(policy, [2, 3])
    assert {row["why"] for row in fates if row["file"] == "shown.csv"} <= {"duplicate"}


def test_bots_are_capped_and_the_report_names_them(shop: Shop) -> None:
    rows = [f"bot,p{n},{1_700_000_000 + n},1\n" for n in range(50)]
    rows += [f"crawler,p{n},{1_700_000_000 + n},1\n" for n in range(40)]
    recipe, folder = shop(shown=HEADER + "".join(reversed(rows)))
    events = ingest(recipe, folder, overrides=["max_user_events=10"])
    assert events.report["capped_users"] == [
        {"user": "bot", "events": 50},
        {"user": "crawler", "events": 40},
    ]
    assert events.report["filtered_by_reason"] == {"bot cap": 70}
    bot = events.time[events.user == events.users.ids.index("bot")]
    assert bot.tolist() == [(1_700_000_000 + n) * 1000 for n in range(40, 50)]
    assert ingest(recipe, folder).report["capped_users"] == []
