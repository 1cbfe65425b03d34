"""Overlap: do a user's searches and the recommendations around them share categories?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.describing.levels import TERM_LEVEL, category_levels
from sargraph.events.describing.resolution import DAY
from sargraph.events.describing.sequences import (
    CategorySets,
    Sequences,
    category_sets,
    find_sequences,
)
from sargraph.events.events import Events
from sargraph.events.schema import SOURCES

WINDOWS = (1, 3, 14)
"""Days from the end of the earlier sequence to the start of the later one."""

ITEMS = ("clicked", "shown")
"""Which items of a sequence count."""

PAIRS = ("last", "all")
"""A sequence is compared with the last one before it, or with all before it."""

RULES = ("existential", "majority")
"""A user counts if one of its pairs overlaps, or if more than half of them do."""

USERS = ("all", "both")
"""Shares are of all users, or of those with sequences of both sources."""

VARIANT = ["items", "pairs", "rule", "users"]

PUBLISHED = {
    ("R2S", 1): (0.26, 0.40, 0.60),
    ("R2S", 2): (0.24, 0.35, 0.52),
    ("S2R", 1): (0.24, 0.32, 0.37),
    ("S2R", 2): (0.20, 0.30, 0.35),
}
"""Shares of users published for KuaiSAR, by (transition, level), one for each of WINDOWS.

R2S: a search and the recommendations before it; S2R: the other way round. How users were
aggregated is not published."""

PUBLISHED_CLICK_RATES = {"search": 0.11, "recommend": 0.50}
"""Published for KuaiSAR: clicked items per shown item."""

KUAISAR_USERS = 25_877

AGREEMENT = 5.0
"""Mean difference in points up to which a variant is said to agree."""


@dataclass(frozen=True)
class Nearest:
    """The variant nearest to the published figures.

    `distance`: mean absolute difference in points over `compared` figures. `is_kuaisar`: whether
    the data are those of the publication, without which agreement means nothing.
    """

    items: str
    pairs: str
    rule: str
    users: str
    distance: float
    compared: int
    is_kuaisar: bool

    @property
    def verdict(self) -> str:
        """The finding in words."""
        pairs = "the last sequence before" if self.pairs == "last" else "all pairs"
        users = "all users" if self.users == "all" else "users with both sources"
        variant = f"{self.items} items, {pairs}, {self.rule}, {users}"
        found = (
            f"nearest to the {self.compared} published figures: {variant}; "
            f"mean difference {self.distance:.1f} points"
        )
        if not self.is_kuaisar:
            return f"{found}. No agreement is claimed: these are not the data of the publication"
        agrees = self.distance <= AGREEMENT
        return f"{found}. This {'agrees' if agrees else 'does not agree'} (limit {AGREEMENT:g})"


def overlap(events: Events) -> pd.DataFrame:
    """Share of users whose neighbouring sequences of the two sources share a category.

    For user u, window w and direction R2S: `1[exists s, r: 0 < start(s) - end(r) <= w and
    categories(s) & categories(r)]`, in all variants of VARIANT. One line per variant, `transition`
    (R2S: a search and the recommendations before it; S2R: the reverse), `level` (0: item terms
    stand in for categories) and `days`, with `share` and `published` (NaN where there is none).
    Raises DataError where there is nothing to compare (`overlap_refusal` says so beforehand).
    Cost: O(events) + pairs of sequences within 14 days, 1 to 3 ns each.
    """
    why = overlap_refusal(events)
    if why:
        raise DataError(f"overlap of {events.name} cannot be measured: {why}")
    lines = [line for measured in _measure(events) for line in measured]
    columns = [*VARIANT, "transition", "level", "days", "share", "published"]
    return pd.DataFrame(lines, columns=columns)


def overlap_refusal(events: Events) -> str:
    """Why there is nothing to compare; empty where there is."""
    if events.time_kind != "ms":
        return "its events have no clock times"
    if not category_levels(events):
        return "its items have neither categories nor terms"
    for name, here in zip(SOURCES, (events.is_search, events.is_recommend), strict=True):
        if not np.any(here & events.is_timed & (events.item != NO_ROW)):
            return f"no timed event of {name} has an item"
    return ""


def click_rates(events: Events) -> pd.DataFrame:
    """Chosen per shown item of each source: (source, shown, chosen, share, published).

    Shares are of 1. Cost: O(events).
    """
    lines = []
    for code, name in enumerate(SOURCES):
        shown = (events.columns["source"] == code) & (events.item != NO_ROW)
        chosen = int(np.sum(shown & events.is_positive))
        share = chosen / max(int(shown.sum()), 1)
        lines.append((name, int(shown.sum()), chosen, share, PUBLISHED_CLICK_RATES[name]))
    return pd.DataFrame(lines, columns=["source", "shown", "chosen", "share", "published"])


def is_kuaisar(events: Events) -> bool:
    """True for KuaiSAR's own logs, and not for other logs in its format.

    Told by the name, by real query texts and by the number of users, of which a filter may have
    left out a tenth.
    """
    has_its_users = 0.9 * KUAISAR_USERS <= len(events.users) <= KUAISAR_USERS
    is_named = events.name.lower().startswith("kuaisar")
    return is_named and events.query_kind == "real" and has_its_users


def nearest_variant(frame: pd.DataFrame, *, is_kuaisar: bool = False) -> Nearest:
    """The variant of `overlap`'s table nearest to the published figures.

    Raises DataError where the table has no level that figures were published for.
    """
    known = frame[frame["published"].notna()]
    if known.empty:
        raise DataError(
            "the overlap has no published figure to compare with: got levels "
            f"{sorted(set(frame['level']))}, expected 1 or 2; name categories in the recipe"
        )
    points = 100 * (known["share"] - known["published"]).abs()
    distances = points.groupby([known[name] for name in VARIANT], sort=False).agg(["mean", "size"])
    place = int(distances["mean"].to_numpy().argmin())
    items, pairs, rule, users = distances.index[place]
    distance, compared = distances.iloc[place]
    return Nearest(items, pairs, rule, users, float(distance), int(compared), is_kuaisar)


def _measure(events: Events) -> Iterator[list[tuple[Any, ...]]]:
    """The lines of each (items, level, direction)."""
    sequences = find_sequences(events)
    num_users = len(np.unique(events.user))
    for items, level in product(ITEMS, category_levels(events)):
        counts = events.is_positive if items == "clicked" else events.item != NO_ROW
        holds = np.zeros(len(sequences), dtype=bool)
        holds[sequences.of_event[counts & events.is_timed]] = True
        sets = category_sets(sequences, events.item, counts, level)
        for transition in ("R2S", "S2R"):
            counted = _count(sequences, sets, holds, transition == "S2R", len(events.users))
            both = _num_with_both(sequences, holds, len(events.users))
            yield [
                (items, *line[:3], transition, level.number, *line[3:])
                for line in _shares(counted, num_users, both, transition, level.number)
            ]


def _num_with_both(sequences: Sequences, holds: BoolArray, num_users: int) -> int:
    has = np.zeros((2, num_users), dtype=bool)
    for source, here in enumerate((sequences.is_search, ~sequences.is_search)):
        has[source, sequences.user[here & holds]] = True
    return int(has.all(axis=0).sum())


def _shares(
    counted: IntArray, num_users: int, num_both: int, transition: str, level: int
) -> Iterator[tuple[Any, ...]]:
    """(pairs, rule, users, days, share, published) from the counts per user."""
    nan = (float("nan"),) * len(WINDOWS)
    published = PUBLISHED.get((transition, level), nan) if level != TERM_LEVEL else nan
    for (way, pairs), rule in product(enumerate(PAIRS), RULES):
        compared, overlapping = counted[:, way, 0], counted[:, way, 1]
        counts = overlapping > 0 if rule == "existential" else 2 * overlapping > compared
        hits = counts.sum(axis=0)
        for users, size in zip(USERS, (num_users, num_both), strict=True):
            for place, days in enumerate(WINDOWS):
                share = float(hits[place] / max(size, 1))
                yield pairs, rule, users, days, share, published[place]


def _count(
    sequences: Sequences, sets: CategorySets, holds: BoolArray, from_search: bool, num_users: int
) -> IntArray:
    """Pairs compared and pairs overlapping: int64 [users, PAIRS, 2, WINDOWS]."""
    earlier = np.flatnonzero(holds & (sequences.is_search == from_search))
    later = np.flatnonzero(holds & (sequences.is_search != from_search))
    # A search stands at the time of its first row, a stretch ends with its last one.
    moment = sequences.start if from_search else sequences.end
    counted = np.zeros((num_users, len(PAIRS), 2, len(WINDOWS)), dtype=np.int64)
    windows = np.array(WINDOWS, dtype=np.int64) * DAY
    _count_pairs(
        sequences.user, moment, sequences.start, earlier, later,
        sets.signature, sets.codes, sets.offsets, sets.is_exact, windows, counted,
    )  # fmt: skip
    return counted.cumsum(axis=-1)


@njit(cache=True, nogil=True)
def _count_pairs(
    user: Any, moment: Any, start: Any, earlier: Any, later: Any,
    signature: Any, codes: Any, offsets: Any, is_exact: bool, windows: Any, counted: Any,
) -> None:  # fmt: skip
    """Add each pair to the narrowest window that holds it."""
    reached = 0
    for late in later:
        own = user[late]
        while reached < len(earlier) and (
            user[earlier[reached]] < own
            or (user[earlier[reached]] == own and moment[earlier[reached]] < start[late])
        ):
            reached += 1
        for place in range(reached - 1, -1, -1):
            early = earlier[place]
            gap = start[late] - moment[early]
            if user[early] != own or gap > windows[-1]:
                break
            window = np.searchsorted(windows, gap)
            shares = signature[late] & signature[early] != 0 and (
                is_exact or _meet(codes, offsets, late, early)
            )
            for way in range(0 if place == reached - 1 else 1, 2):
                counted[own, way, 0, window] += 1
                counted[own, way, 1, window] += shares


@njit(cache=True, nogil=True)
def _meet(codes: Any, offsets: Any, one: int, other: int) -> bool:
    """True where two rising lists share a code."""
    left, right = offsets[one], offsets[other]
    while left < offsets[one + 1] and right < offsets[other + 1]:
        if codes[left] == codes[right]:
            return True
        if codes[left] < codes[right]:
            left += 1
        else:
            right += 1
    return False
