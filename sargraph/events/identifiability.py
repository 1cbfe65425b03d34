"""What a data set can decide: whether its times and pairs let transitions and decay be studied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sargraph.core.errors import DataError
from sargraph.core.types import NO_ROW
from sargraph.events.describing.levels import TERM_LEVEL, Level, category_levels
from sargraph.events.describing.resolution import DAY, HOUR, REAL, resolution_of
from sargraph.events.events import Events
from sargraph.events.schema import RECOMMEND, SEARCH, SOURCES, QueryKind, TimeKind
from sargraph.events.transitions import R2S, S2R, TRANSITIONS, Transitions, transitions_of

WINDOWS = {"1 h": HOUR, "1 d": DAY, "3 d": 3 * DAY}
"""The windows within which pairs are counted, ms."""

COUNTED_WINDOW = "3 d"
"""The window of the verdict: the widest one, as decay is studied over all gaps inside it."""

MIN_PAIRS, MIN_USERS = 1_000, 300
"""S2R pairs, and users they come from, below which no claim on transitions is made."""


@dataclass(frozen=True)
class Pairs:
    """Behaviours that follow one of the other source within a window, and their users."""

    transition: str
    window: str
    pairs: int
    users: int


@dataclass(frozen=True)
class Identifiability:
    """What the times, sources and items of a data set allow; see `identifiability`.

    `resolution`: of each source's times (millisecond .. month; see `resolution_of`). `timed` and
    `real_time`: shares of each source's events with a time, and with one finer than a day.
    `users_with_both`: users with a really timed search and a really timed choice in
    recommendation. `pairs`: S2R and R2S per window. `shared_items`: share of the chosen items
    that two users or more chose. `covered_items`, `covered_events`: shares with a category
    (or with item terms, where `coverage_of` says so). `verdict`: in words; `passes`: whether it
    is a yes.
    """

    time_kind: TimeKind
    query_kind: QueryKind
    resolution: dict[str, str]
    timed: dict[str, float]
    real_time: dict[str, float]
    users_with_both: int
    pairs: tuple[Pairs, ...]
    shared_items: float
    coverage_of: str
    covered_items: float
    covered_events: float

    @property
    def is_simulated(self) -> bool:
        """True where a simulator wrote the log: what is found holds for that world only."""
        return self.query_kind == "simulated"

    @property
    def reason(self) -> str:
        """Why transitions, decay and triggers cannot be studied; empty where they can."""
        reasons = []
        if self.query_kind not in ("real", "simulated"):
            reasons.append(f"its query texts are {self.query_kind}, not searches")
        reasons += [
            f"the times of {source} are {_WHY_NOT[self.resolution[source]]}"
            for source in SOURCES
            if self.resolution[source] not in REAL
        ]
        found = self._counted()
        is_timed = all(self.resolution[source] in REAL for source in SOURCES)
        if is_timed and (found.pairs < MIN_PAIRS or found.users < MIN_USERS):
            reasons.append(
                f"it has {found.pairs:,} timed S2R pairs within {COUNTED_WINDOW} from "
                f"{found.users:,} users, and at least {MIN_PAIRS:,} from {MIN_USERS:,} are needed"
            )
        return "; ".join(reasons)

    @property
    def passes(self) -> bool:
        """True where transitions, decay and triggers can be studied (see `is_simulated`)."""
        return not self.reason

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        if not self.passes:
            return f"transitions, decay and triggers cannot be studied: {self.reason}"
        found = self._counted()
        world = " (simulated: this says something about the simulated world only)"
        return (
            f"transitions, decay and triggers can be studied{world if self.is_simulated else ''}: "
            f"{found.pairs:,} timed S2R pairs within {COUNTED_WINDOW} from {found.users:,} users"
        )

    def refuse(self, *, real_only: bool = False) -> None:
        """Raise DataError where the data cannot carry a claim on transitions, decay or triggers.

        `real_only` also refuses simulated logs.
        """
        reason = self.reason
        if real_only and self.is_simulated and not reason:
            reason = "it is simulated, and the claim is about real users"
        if reason:
            raise DataError(
                f"transitions, decay and triggers cannot be studied on this data set: {reason}; "
                "take one that `sargraph describe` finds identifiable"
            )

    def to_frame(self) -> pd.DataFrame:
        """One line per figure: (statistic, value, note)."""
        lines = [("verdict", "yes" if self.passes else "no", self.verdict)]
        for source in SOURCES:
            note = f"resolution: {self.resolution[source]}; {self.timed[source]:.1%} have any time"
            lines.append((f"{source}: real time", f"{self.real_time[source]:.1%}", note))
        both = "a search and a choice in recommendation, each with a real time"
        lines.append(("users with both sources timed", f"{self.users_with_both:,}", both))
        lines += [
            (f"{p.transition} within {p.window}", f"{p.pairs:,}", f"pairs from {p.users:,} users")
            for p in self.pairs
        ]
        lines.append(("query texts", self.query_kind, _KINDS[self.query_kind]))
        chosen = "of the chosen items, chosen by two users or more"
        lines.append(("shared items", f"{self.shared_items:.1%}", chosen))
        lines.append(
            (f"items with {self.coverage_of}", f"{self.covered_items:.1%}",
             f"{self.covered_events:.1%} of the events with an item")
        )  # fmt: skip
        return pd.DataFrame(lines, columns=["statistic", "value", "note"])

    def _counted(self) -> Pairs:
        wanted = (TRANSITIONS[S2R], COUNTED_WINDOW)
        return next(p for p in self.pairs if (p.transition, p.window) == wanted)


_KINDS: dict[str, str] = {
    "real": "typed by users to find something",
    "typed": "typed by users after use, such as tags: no searches",
    "derived": "made from the attributes of the item: no searches",
    "simulated": "from a simulator",
    "none": "there are none",
}

_WHY_NOT = {
    "day": "whole days, in which the order is not known",
    "month": "whole months, in which the order is not known",
    "one time": "all the same",
    "place": "places in an order, not clock times",
    "none": "not known",
}


def identifiability(events: Events, labels: Transitions | None = None) -> Identifiability:
    """Measure what `events` can decide; `labels` are their transitions, if at hand.

    A pair is a behaviour (a search, or a recommendation batch with a choice) whose preceding
    behaviour is of the other source and at most a window older. Pairs count only where both
    sources have real times: clock times finer than a day. Cost: O(events).
    """
    labels = labels or transitions_of(events)
    resolution = {name: _resolution(events, code) for code, name in enumerate(SOURCES)}
    timed = {name: _timed_share(events, code) for code, name in enumerate(SOURCES)}
    real = {name: resolution[name] in REAL for name in SOURCES}
    is_real = all(real.values())
    coverage_of, covered_items, covered_events = _coverage(events)
    return Identifiability(
        time_kind=events.time_kind,
        query_kind=events.query_kind,
        resolution=resolution,
        timed=timed,
        real_time={name: timed[name] * real[name] for name in SOURCES},
        users_with_both=_users_with_both(events, labels) if is_real else 0,
        pairs=tuple(_pairs(events, labels, is_real)),
        shared_items=_shared_items(events),
        coverage_of=coverage_of,
        covered_items=covered_items,
        covered_events=covered_events,
    )


def _resolution(events: Events, source: int) -> str:
    here = (events.columns["source"] == source) & events.is_timed
    return resolution_of(events.time[here], events.time_kind)


def _timed_share(events: Events, source: int) -> float:
    here = events.columns["source"] == source
    return float((here & events.is_timed).sum() / max(here.sum(), 1))


def _users_with_both(events: Events, labels: Transitions) -> int:
    has = np.zeros((2, len(events.users)), dtype=bool)
    for source in (SEARCH, RECOMMEND):
        has[source, events.user[labels.is_first & (events.columns["source"] == source)]] = True
    return int(has.all(axis=0).sum())


def _pairs(events: Events, labels: Transitions, is_real: bool) -> list[Pairs]:
    found = []
    for kind in (S2R, R2S):
        rows = np.flatnonzero(labels.is_first & (labels.kind == kind) & is_real)
        for name, window in WINDOWS.items():
            near = rows[labels.gap[rows] <= window]
            users = len(np.unique(events.user[near]))
            found.append(Pairs(TRANSITIONS[kind], name, len(near), users))
    return found


def _shared_items(events: Events) -> float:
    """Share of the chosen items whose first and last user differ."""
    rows = np.flatnonzero(events.is_positive)
    user, item = events.user[rows], events.item[rows]
    first, last = (np.full(len(events.items), NO_ROW, dtype=np.int64) for _ in range(2))
    last[item] = user
    first[item[::-1]] = user[::-1]  # the last to be written stays: the first in the table
    return float(np.sum(first != last) / max(np.sum(last != NO_ROW), 1))


def _coverage(events: Events) -> tuple[str, float, float]:
    levels = category_levels(events)
    known = np.zeros(len(events.items), dtype=bool)
    for level in levels:
        known |= level.is_known
    with_item = events.item[events.item != NO_ROW]
    share = float(known[with_item].mean()) if len(with_item) else 0.0
    return _coverage_name(levels), float(known.mean()) if len(known) else 0.0, share


def _coverage_name(levels: list[Level]) -> str:
    if levels and levels[0].number == TERM_LEVEL:
        return "terms (there are no categories)"
    return "a category"
