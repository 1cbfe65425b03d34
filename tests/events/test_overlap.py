"""Overlap of neighbouring sequences, against plain loops over the definition."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sargraph.core.errors import DataError
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.describing.resolution import DAY
from sargraph.events.events import Categories, Events
from sargraph.events.overlap import (
    KUAISAR_USERS,
    PUBLISHED,
    VARIANT,
    WINDOWS,
    click_rates,
    is_kuaisar,
    nearest_variant,
    overlap,
    overlap_refusal,
)
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.events import Row, make_events

LINE = [*VARIANT, "transition", "level", "days"]


def _events(seed: int, broad: int = 4, narrow: int = 9) -> Events:
    """A month of searches of a few rows and of batches; categories nest, some are missing."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for number in range(140):
        user, is_search = int(rng.integers(6)), rng.random() < 0.4
        time = int(rng.integers(30 * 4)) * DAY // 4
        for shown in range(int(rng.integers(1, 4))):
            later = time + (shown * int(rng.integers(2)) * 1000 if is_search else 0)
            action = CLICK if rng.random() < 0.5 else IMPRESSION
            item = int(rng.integers(25)) if rng.random() < 0.9 else NO_ROW
            source, query = (SEARCH, 0) if is_search else (RECOMMEND, NO_ROW)
            untimed = not is_search and rng.random() < 0.1
            rows.append((user, NO_TIME if untimed else later, source, action, item, query, number))
    rows = [_joined(row) for row in rows]
    events = make_events(
        rows, num_users=7, num_items=25, query_terms=[[0]], num_terms=broad + narrow
    )
    second = rng.integers(0, narrow, 25)
    lists = [[int(c % broad), broad + int(c)] if c else [] for c in second]
    lists = [row[: 1 if rng.random() < 0.2 else 2] for row in lists]
    ids = [f"1/{i}" for i in range(broad)] + [f"2/{i}" for i in range(narrow)]
    level = np.array([1] * broad + [2] * narrow)
    categories = Categories(Vocabulary(ids, ids), level, Ragged.from_lists(lists))
    return replace(events, categories=categories)


def _joined(row: Row) -> Row:
    """Recommendation events of one user and week share a session."""
    if row[2] == SEARCH or row[1] == NO_TIME:
        return (*row[:6], row[6] if row[2] == SEARCH else NO_ROW)
    return (*row[:6], 1000 + 10 * row[0] + row[1] // (7 * DAY))


Sequence = tuple[int, int, int, tuple[int, ...]]
"""(user, start, end, events)"""


def _naive_sequences(events: Events) -> tuple[list[Sequence], list[Sequence]]:
    """Searches and stretches of recommendation."""
    searches, stretches = defaultdict(list), defaultdict(list)
    timed = np.flatnonzero(events.is_timed).tolist()
    for row in timed:
        if events.is_search[row]:
            searches[int(events.user[row]), int(events.session[row])].append(row)
    starts = defaultdict(list)
    for (user, _), rows in searches.items():
        starts[user].append(int(events.time[rows].min()))
    for row in timed:
        if not events.is_search[row]:
            user, time = int(events.user[row]), int(events.time[row])
            key = sum(s < time for s in starts[user]), sum(s <= time for s in starts[user])
            stretches[user, int(events.session[row]), key].append(row)
    found = []
    for groups in (searches, stretches):
        found.append([
            (key[0], int(events.time[rows].min()), int(events.time[rows].max()), tuple(rows))
            for key, rows in groups.items()
        ])  # fmt: skip
    return found[0], found[1]


def _naive(events: Events) -> dict[tuple[object, ...], float]:
    shares: dict[tuple[object, ...], float] = {}
    both_kinds = _naive_sequences(events)
    num_users = len(set(events.user.tolist()))
    assert events.categories is not None
    for items in ("clicked", "shown"):
        counts = events.is_positive if items == "clicked" else events.item != NO_ROW
        searches, stretches = ([s for s in kind if any(counts[list(s[3])])] for kind in both_kinds)
        both = {s[0] for s in searches} & {s[0] for s in stretches}
        for level in (1, 2):

            def categories(s: Sequence, level: int = level, counts: object = counts) -> set[int]:
                return {
                    int(c)
                    for row in s[3] if counts[row]
                    for c in events.categories.of_item[int(events.item[row])]
                    if events.categories.level[c] == level
                }  # fmt: skip

            for transition in ("R2S", "S2R"):
                late, early = (
                    (searches, stretches) if transition == "R2S" else (stretches, searches)
                )
                moment = 2 if transition == "R2S" else 1
                for days in WINDOWS:
                    for pairs in ("last", "all"):
                        verdicts = defaultdict(list)
                        for x in late:
                            before = [y for y in early if y[0] == x[0] and y[moment] < x[1]]
                            if pairs == "last" and before:
                                before = [max(before, key=lambda y: (y[moment], y[3][0]))]
                            for y in before:
                                if x[1] - y[moment] <= days * DAY:
                                    meet = bool(categories(x) & categories(y))
                                    verdicts[x[0]].append(meet)
                        some = sum(any(v) for v in verdicts.values())
                        most = sum(2 * sum(v) > len(v) for v in verdicts.values())
                        for rule, hits in (("existential", some), ("majority", most)):
                            for users, size in (("all", num_users), ("both", len(both))):
                                key = (items, pairs, rule, users, transition, level, days)
                                shares[key] = hits / size
    return shares


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("narrow", [9, 300])
def test_shares_are_those_of_plain_loops(seed: int, narrow: int) -> None:
    """With 300 categories the signatures alone would see overlaps that are not there."""
    events = _events(seed, narrow=narrow)
    frame, expected = overlap(events), _naive(events)
    assert len(frame) == len(expected) == 2 * 2 * 2 * 2 * 2 * 2 * 3
    for line in frame.itertuples():
        key = tuple(getattr(line, name) for name in LINE)
        assert line.share == pytest.approx(expected[key]), key


def test_the_world_of_these_tests_is_not_trivial() -> None:
    shares = overlap(_events(0))["share"]
    assert shares.nunique() > 5 and shares.min() < 0.5 < shares.max()


@pytest.mark.parametrize("seed", range(6))
def test_existential_overlap_grows_with_the_window_and_shrinks_with_the_level(seed: int) -> None:
    frame = overlap(_events(seed))
    frame = frame[frame["rule"] == "existential"]
    for _, group in frame.groupby([name for name in LINE if name != "days"]):
        assert group.sort_values("days")["share"].is_monotonic_increasing
    for _, group in frame.groupby([name for name in LINE if name != "level"]):
        first, second = group.sort_values("level")["share"]
        assert second <= first


def test_published_figures_obey_the_same_order() -> None:
    for figures in PUBLISHED.values():
        assert sorted(figures) == list(figures)
    for transition in ("R2S", "S2R"):
        for broad, narrow in zip(PUBLISHED[transition, 1], PUBLISHED[transition, 2], strict=True):
            assert narrow <= broad


def test_item_terms_stand_in_for_categories_and_are_marked() -> None:
    events = _events(0)
    assert events.categories is not None
    terms = replace(events, categories=None, item_terms=events.categories.of_item)
    frame = overlap(terms)
    assert set(frame["level"]) == {0}
    assert frame["published"].isna().all()
    with pytest.raises(DataError, match="expected 1 or 2"):
        nearest_variant(frame)


@pytest.mark.parametrize("missing", ["clock", "categories", "search"])
def test_nothing_to_compare_is_said(missing: str) -> None:
    events = _events(0)
    if missing == "clock":
        events = replace(events, time_kind="ordinal")
    elif missing == "categories":
        events = replace(events, categories=None)
    else:
        events = events.select(events.is_recommend)
    assert missing in overlap_refusal(events)
    with pytest.raises(DataError, match=missing):
        overlap(events)


def _table(shift: float) -> pd.DataFrame:
    """The published figures moved by `shift`, under one variant, and far off under another."""
    lines = []
    for (transition, level), figures in PUBLISHED.items():
        for days, share in zip(WINDOWS, figures, strict=True):
            for pairs, moved in (("last", shift), ("all", 0.4)):
                lines.append(("shown", pairs, "existential", "all", transition, level, days,
                              share + moved, share))  # fmt: skip
    return pd.DataFrame(lines, columns=[*LINE, "share", "published"])


def test_the_nearest_variant_is_named_with_its_distance() -> None:
    nearest = nearest_variant(_table(0.02))
    assert (nearest.items, nearest.pairs, nearest.compared) == ("shown", "last", 12)
    assert nearest.distance == pytest.approx(2.0)


def test_agreement_is_claimed_on_the_published_data_only() -> None:
    assert "No agreement is claimed" in nearest_variant(_table(0.0)).verdict
    assert "This agrees" in nearest_variant(_table(0.02), is_kuaisar=True).verdict
    assert "does not agree" in nearest_variant(_table(0.2), is_kuaisar=True).verdict


def test_logs_in_the_format_of_kuaisar_are_not_kuaisar() -> None:
    names = [str(row) for row in range(KUAISAR_USERS)]
    few = replace(_events(0), name="kuaisar")
    many = replace(few, vocabularies={**few.vocabularies, "user": Vocabulary(names, names)})
    assert is_kuaisar(many)
    assert not is_kuaisar(few)
    assert not is_kuaisar(replace(many, name="synthetic"))
    assert not is_kuaisar(replace(many, query_kind="simulated"))


def test_click_rates_count_items_only() -> None:
    events = _events(3)
    rates = click_rates(events).set_index("source")
    for name, here in (("search", events.is_search), ("recommend", events.is_recommend)):
        shown = here & (events.item != NO_ROW)
        assert rates.loc[name, "shown"] == shown.sum()
        share = (events.columns["action"][shown] == CLICK).mean()
        assert rates.loc[name, "share"] == pytest.approx(share)
    assert rates["published"].tolist() == [0.11, 0.50]
