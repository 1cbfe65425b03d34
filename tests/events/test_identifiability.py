"""What a data set can decide: counted by plain loops, refused where the protocol refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.describing.resolution import DAY, HOUR, resolution_of
from sargraph.events.events import Categories, Events
from sargraph.events.identifiability import MIN_PAIRS, MIN_USERS, identifiability
from sargraph.events.ingest import ingest
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH, QueryKind
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.events import Row, make_events, random_events

START = 1_684_742_000_000


def _searchers(num_users: int, pairs_per_user: int, gap: int = HOUR // 2) -> Events:
    """Users who search and choose a recommendation `gap` later, every four days."""
    rows: list[Row] = []
    for user in range(num_users):
        for pair in range(pairs_per_user):
            time = START + 4 * DAY * pair + 1_001 * user
            number = 2 * len(rows)
            rows.append((user, time, SEARCH, CLICK, user % 7, 0, number))
            rows.append((user, time + gap, RECOMMEND, CLICK, 3, NO_ROW, number + 1))
    return make_events(rows, num_users=num_users, num_items=9, query_terms=[[0]])


def test_enough_real_timed_pairs_pass() -> None:
    found = identifiability(_searchers(MIN_USERS, 4))
    assert found.passes and found.reason == ""
    assert "1,200 timed S2R pairs within 3 d from 300 users" in found.verdict
    found.refuse(real_only=True)


@pytest.mark.parametrize(("users", "pairs"), [(MIN_USERS - 1, 10), (MIN_USERS, 3)])
def test_too_few_pairs_or_users_are_refused(users: int, pairs: int) -> None:
    found = identifiability(_searchers(users, pairs))
    assert not found.passes
    with pytest.raises(DataError, match=f"at least {MIN_PAIRS:,} from {MIN_USERS:,}"):
        found.refuse()


@pytest.mark.parametrize("kind", ["typed", "derived", "none"])
def test_texts_that_are_no_searches_are_refused(kind: QueryKind) -> None:
    found = identifiability(replace(_searchers(MIN_USERS, 4), query_kind=kind))
    assert f"its query texts are {kind}" in found.verdict
    with pytest.raises(DataError, match="not searches"):
        found.refuse()


def test_a_simulated_log_passes_only_as_simulated() -> None:
    found = identifiability(replace(_searchers(MIN_USERS, 4), query_kind="simulated"))
    assert found.passes and "simulated" in found.verdict
    found.refuse()
    with pytest.raises(DataError, match="it is simulated"):
        found.refuse(real_only=True)


@pytest.mark.parametrize("zone", [0, -8 * HOUR, 5 * HOUR])
@pytest.mark.parametrize(("step", "name"), [("D", "day"), ("M", "month")])
def test_dates_and_months_are_no_real_times(zone: int, step: str, name: str) -> None:
    """Dates of a time zone are not multiples of a day, but they all share their remainder."""
    times = np.arange("2020-01", "2026-01", dtype=f"datetime64[{step}]")
    time = times.astype("datetime64[ms]").astype(np.int64) + zone
    assert resolution_of(time, "ms") == name
    events = _searchers(MIN_USERS, 4)
    columns = {**events.columns, "time": np.sort(np.resize(time, len(events)))}
    found = identifiability(replace(events, columns=columns))
    assert found.real_time == {"search": 0.0, "recommend": 0.0}
    assert f"whole {name}s" in found.reason
    assert all(p.pairs == p.users == 0 for p in found.pairs)


@pytest.mark.parametrize(
    ("times", "name"),
    [
        ([], "none"),
        ([5, 5], "one time"),
        ([0, HOUR, 5 * HOUR], "hour"),
        ([0, 60_000, 180_000], "minute"),
        ([0, 1_000, 3_000], "second"),
        ([0, 1, 3], "millisecond"),
    ],
)
def test_resolution(times: list[int], name: str) -> None:
    assert resolution_of(np.array(times, dtype=np.int64), "ms") == name
    assert resolution_of(np.array(times, dtype=np.int64), "ordinal") == ("place" if times else name)


def _naive_pairs(events: Events, sources: tuple[int, int], window: int) -> tuple[int, int]:
    """Pairs and users by the definition; sessions of `random_events` have one row each."""
    pairs, users = 0, set()
    source, time, user = events.columns["source"], events.time, events.user
    steps = {
        (int(u), int(t), int(s))
        for u, t, s, chosen in zip(user, time, source, events.is_positive, strict=True)
        if t != NO_TIME and (s == SEARCH or chosen)
    }
    # A batch is one behaviour; searches of equal time are several.
    searches = [(int(u), int(t)) for u, t, s in zip(user, time, source, strict=True) if s == SEARCH]
    for u, t, s in steps:
        earlier = [e for e in steps if e[0] == u and e[1] < t]
        last = max((e[1] for e in earlier), default=None)
        before = [e[2] for e in earlier if e[1] == last]
        if s == sources[1] and before == [sources[0]] and t - last <= window:
            pairs += searches.count((u, t)) if s == SEARCH else 1
            users.add(u)
    return pairs, len(users)


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_plain_loops(seed: int) -> None:
    events = random_events(np.random.default_rng(seed), untimed_share=0.1, num_times=200)
    slow = {**events.columns, "time": np.where(events.is_timed, events.time * 900, NO_TIME)}
    events = replace(events, columns=slow)
    found = identifiability(events)
    for p in found.pairs:
        order = (SEARCH, RECOMMEND) if p.transition == "S2R" else (RECOMMEND, SEARCH)
        window = {"1 h": HOUR, "1 d": DAY, "3 d": 3 * DAY}[p.window]
        assert (p.pairs, p.users) == _naive_pairs(events, order, window)
    chosen = events.is_positive
    users_of = [set(events.user[chosen & (events.item == i)].tolist()) for i in range(20)]
    seen = [users for users in users_of if users]
    assert found.shared_items == pytest.approx(sum(len(u) > 1 for u in seen) / len(seen))
    recommended = events.is_recommend
    assert found.timed["recommend"] == pytest.approx(events.is_timed[recommended].mean())
    assert found.timed["search"] == 1.0


def test_coverage_counts_categories_and_falls_back_to_terms_saying_so() -> None:
    events = _searchers(4, 2)
    events = replace(events, item_terms=Ragged.from_lists([[0]] * 3 + [[]] * 6))
    plain = identifiability(events)
    assert "there are no categories" in plain.coverage_of
    assert plain.covered_items == pytest.approx(3 / 9)
    of_item = Ragged.from_lists([[]] * 3 + [[0]] + [[]] * 5)
    categories = Categories(Vocabulary(["1/a"], ["a"]), np.array([1]), of_item)
    known = identifiability(replace(events, categories=categories))
    assert known.coverage_of == "a category"
    assert known.covered_items == pytest.approx(1 / 9)
    assert known.covered_events == pytest.approx(float(np.mean(events.item == 3)))


def test_the_table_says_the_verdict_first() -> None:
    frame = identifiability(_searchers(3, 2)).to_frame()
    assert frame.iloc[0, :2].tolist() == ["verdict", "no"]
    assert {"S2R within 1 h", "R2S within 3 d", "shared items"} <= set(frame["statistic"])


@pytest.mark.parametrize(
    ("recipe", "folder", "why"),
    [
        ("lastfm", "lastfm_hetrec", ["typed", "whole months", "recommend are not known"]),
        ("movielens", "movielens_small", ["typed", "246 timed S2R pairs within 3 d from 46 users"]),
        ("amazon_sequences", "amazon_beauty", ["derived", "places in an order"]),
        ("trivago", "trivago", ["at least 1,000 from 300 are needed"]),
        ("jdsearch", "jdsearch_sample", ["places in an order"]),
    ],
)
def test_small_public_logs_are_refused(
    data_dir: Path, recipe: str, folder: str, why: list[str]
) -> None:
    found = identifiability(ingest(recipe, data_dir / folder))
    assert not found.passes
    assert all(reason in found.reason for reason in why)
