"""Edits of a world of events: an honest model must not notice those of the future."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH
from sargraph.events.split import TEST, VALID, Split


@dataclass(frozen=True)
class World:
    """Events, their split, and the row that each event had before any edit (-1 = added)."""

    events: Events
    split: Split
    origin: IntArray

    @classmethod
    def of(cls, events: Events, split: Split) -> World:
        """A world that nobody has edited."""
        return cls(events, split, np.arange(len(events), dtype=np.int64))

    @property
    def asked_at(self) -> IntArray:
        """When each event may be known: its time, or the cut at which an untimed target is asked.

        int64 [n]; untimed events that are no target keep NO_TIME, before everything.
        """
        time = self.events.time.copy()
        for part in (VALID, TEST):
            time[self.split.hidden & (self.split.part == part)] = self.split.as_of(part)
        return time

    def with_column(self, name: str, rows: IntArray, values: Any) -> World:
        """The same world with other values in one column of the given rows."""
        column = self.events.columns[name].copy()
        column[rows] = values
        columns = {**self.events.columns, name: column}
        return replace(self, events=replace(self.events, columns=columns, content_hash=""))

    def take(self, rows: IntArray) -> World:
        """The given rows, which must stay sorted by (user, time)."""
        part, hidden = self.split.part[rows], self.split.hidden[rows]
        split = replace(self.split, part=part, hidden=hidden)
        return World(self.events.select(rows), split, self.origin[rows])

    def without(self, rows: IntArray) -> World:
        """All rows but the given ones."""
        return self.take(np.delete(np.arange(len(self.events)), rows))

    def moved(self, requests: Requests) -> Requests:
        """The requests with `event` as the row that the event has now (-1 where it is gone)."""
        place = np.full(int(max(self.origin.max(initial=0), requests.event.max(initial=0))) + 1, -1)
        kept = np.flatnonzero(self.origin != NO_ROW)
        place[self.origin[kept]] = kept
        event = np.where(requests.event == NO_ROW, NO_ROW, place[requests.event])
        return replace(requests, event=event.astype(np.int64))

    def with_rows(self, rows: list[dict[str, int]]) -> World:
        """The world with further events, each after the events of its user and time.

        A row names user, time, source, action, item, query, session and part.
        """
        columns, split = self.events.columns, self.split
        defaults = {"position": NO_ROW, "weight": 1}
        grown = {
            name: np.concatenate(
                [column, np.array([{**defaults, **row}[name] for row in rows], column.dtype)]
            )
            for name, column in columns.items()
        }
        part = np.concatenate([split.part, np.array([row["part"] for row in rows], np.int8)])
        hidden = np.concatenate([split.hidden, np.zeros(len(rows), np.bool_)])
        price = self.events.price
        if price is not None:
            price = np.concatenate([price, np.full(len(rows), np.nan, np.float32)])
        world = World(
            replace(self.events, columns=grown, price=price, content_hash=""),
            replace(split, part=part, hidden=hidden),
            np.concatenate([self.origin, np.full(len(rows), NO_ROW)]),
        )
        return world.take(np.lexsort((grown["time"], grown["user"])))


def later(world: World, as_of: int, parts: tuple[int, ...]) -> BoolArray:
    """Events of the given parts of the split at or after `as_of`, bool [n]."""
    return np.asarray((world.asked_at >= as_of) & np.isin(world.split.part, parts))


Edit = Callable[[World, BoolArray, BoolArray, np.random.Generator], World]
"""(world, events to edit, events that requests were made from, rng) -> edited world."""


def _some(mask: BoolArray, rng: np.random.Generator) -> IntArray:
    """About two thirds of the masked rows, at least one where there is one."""
    rows = np.flatnonzero(mask)
    chosen = rows[rng.random(len(rows)) < 2 / 3]
    return chosen if len(chosen) else rows[:1]


def change_item(world: World, late: BoolArray, own: BoolArray, rng: np.random.Generator) -> World:
    """Other items on late events, the events of the requests among them."""
    rows = _some(late & (world.events.item != NO_ROW), rng)
    step = rng.integers(1, max(len(world.events.items), 2), len(rows))
    return world.with_column(
        "item", rows, (world.events.item[rows] + step) % len(world.events.items)
    )


def change_query(world: World, late: BoolArray, own: BoolArray, rng: np.random.Generator) -> World:
    """Other queries on late searches; a request's own query is part of the request and stays."""
    rows = _some(late & ~own & (world.events.query != NO_ROW), rng)
    step = rng.integers(1, max(len(world.events.queries), 2), len(rows))
    query = (world.events.query[rows] + step) % max(len(world.events.queries), 1)
    return world.with_column("query", rows, query)


def change_action(world: World, late: BoolArray, own: BoolArray, rng: np.random.Generator) -> World:
    """Late choices become impressions, late impressions choices."""
    rows = _some(late & (world.events.item != NO_ROW), rng)
    action = np.where(world.events.is_positive[rows], IMPRESSION, CLICK)
    return world.with_column("action", rows, action)


def delete(world: World, late: BoolArray, own: BoolArray, rng: np.random.Generator) -> World:
    """Late events vanish, save those that the requests were made from."""
    return world.without(_some(late & ~own, rng))


def add(world: World, late: BoolArray, own: BoolArray, rng: np.random.Generator) -> World:
    """New events at the times of late ones, of the same and of other users, in both sources."""
    events, rows = world.events, np.flatnonzero(late & world.events.is_timed)
    if len(rows) == 0:
        return world
    users = np.unique(np.r_[events.user[own], rng.integers(0, len(events.users), 3)])
    return world.with_rows(
        [
            _new_event(world, int(user), int(events.time[rng.choice(rows)]), is_search, rng)
            for user in users
            for is_search in ([False, True] if len(events.queries) else [False])
            for _ in range(2)
        ]
    )


def _new_event(
    world: World, user: int, time: int, is_search: bool, rng: np.random.Generator
) -> dict[str, int]:
    events, split = world.events, world.split
    mine = np.flatnonzero((events.user == user) & (events.query != NO_ROW))
    query = int(rng.integers(len(events.queries))) if is_search else NO_ROW
    session = int(events.session.max(initial=0)) + 1 + int(rng.integers(10**6))
    if is_search and len(mine) and rng.random() < 0.5:
        # One more click in an older search: it is known only from its own time on.
        joined = rng.choice(mine)
        query, session = int(events.query[joined]), int(events.session[joined])
    return {
        "user": user,
        "time": time,
        "source": SEARCH if is_search else RECOMMEND,
        "action": CLICK,
        "item": int(rng.integers(len(events.items))),
        "query": query,
        "session": session,
        "part": TEST if time >= split.cut_test else VALID,
    }


def reorder_ties(world: World, late: BoolArray, own: BoolArray, rng: np.random.Generator) -> World:
    """Late events of one user and time change places."""
    order, rows = np.arange(len(world.events)), np.flatnonzero(late)
    shuffled = rng.permutation(rows)
    keys = (world.events.time[shuffled], world.events.user[shuffled])
    order[rows] = shuffled[np.lexsort(keys)]
    return world.take(order)


EDITS: dict[str, Edit] = {
    "item": change_item,
    "query": change_query,
    "action": change_action,
    "delete": delete,
    "add": add,
    "ties": reorder_ties,
}
"""Every kind of edit, by name."""


def is_edited(before: World, after: World) -> bool:
    """True where any column or the order of the events differs."""
    if not np.array_equal(before.origin, after.origin):
        return True
    columns = before.events.columns
    return any(not np.array_equal(columns[k], after.events.columns[k]) for k in columns)
