"""Splits: which events train, which are targets of validation and test, and which are left out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from sargraph.core.artifact import hash_of
from sargraph.core.config import Config, parse_config
from sargraph.core.errors import BadInputError, DataError
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.searches import search_numbers

TRAIN, VALID, TEST, LEFT_OUT = range(4)
PARTS = ("train", "valid", "test", "left_out")


class SplitConfig(Config):
    """How events are divided."""

    kind: Literal["global_time", "leave_last_out"] = "global_time"
    """One cut in time for all users, or each user's last chosen item (and the one before)."""
    valid_share: float = Field(0.1, ge=0, lt=1)
    """Share of the timed events that lie between the validation and the test cut."""
    test_share: float = Field(0.1, ge=0, lt=1)
    """Share of the timed events at or after the test cut."""
    quantile_of: Literal["all", "search"] = "all"
    """The timed events whose quantiles set the cuts."""
    untimed_share: float = Field(0.2, ge=0, lt=0.7)
    """Share of each user's untimed choices held out for test; half as many again for validation."""
    cuts: tuple[int, int] | None = None
    """The validation and the test cut themselves, as times, in place of the shares."""
    twins: bool = False
    """Remove a target's (user, item) pair from every other event, edge and history."""


@dataclass(frozen=True)
class Split:
    """The part of every event, and the cuts.

    `part` int8 [n] (TRAIN, VALID, TEST or LEFT_OUT). Training ends where validation begins, at
    `cut_valid`; test begins at `cut_test` (NO_TIME where each user has a cut of their own).
    `hidden` bool [n]: untimed targets, which stand in nobody's history. `fates` counts events.
    """

    part: np.ndarray[tuple[int], np.dtype[np.int8]]
    cut_valid: int
    cut_test: int
    hidden: BoolArray
    twins: bool
    fates: dict[str, int]

    @property
    def content_hash(self) -> str:
        """Hash of the parts and of what is hidden: equal hashes hold the same choices out."""
        parts = hashlib.sha256(self.part.tobytes() + np.packbits(self.hidden).tobytes())
        return hash_of({"parts": parts.hexdigest(), "twins": self.twins})

    @property
    def is_train(self) -> BoolArray:
        """True where the event may be learned from, bool [n]."""
        return np.asarray(self.part == TRAIN)

    @property
    def visible(self) -> BoolArray:
        """True where the event may stand in a history (strictly before the request), bool [n]."""
        return np.asarray((self.part != LEFT_OUT) & ~self.hidden)

    def rows(self, part: int) -> IntArray:
        """Rows of the events of one part, int64 [k], rising."""
        return np.flatnonzero(self.part == part).astype(np.int64)

    def as_of(self, part: int) -> int:
        """The time at which untimed targets of a part are asked for."""
        return self.cut_test if part == TEST else self.cut_valid


def require_split(name: str, parents: Mapping[str, str], events: Events, split: Split) -> None:
    """Refuse what learned from choices of these events that the split holds out.

    `parents`: content hashes by role that a model carries; one that names no split is trusted.
    Raises BadInputError.
    """
    known = parents.get("split", split.content_hash)
    if parents.get("events", "") == events.content_hash and known != split.content_hash:
        raise BadInputError(
            f"'{name}' was fitted on another split of '{events.name}' ({known[:16]}) than this one "
            f"({split.content_hash[:16]}), so that it may know what is asked; give the split it "
            "was fitted on, or fit it on this one"
        )


def split_events(events: Events, config: SplitConfig | None = None, *, seed: int = 0) -> Split:
    """Divide events; without `config` by the split that the recipe names.

    Raises DataError when no event is left to train on. Cost: O(n log n).
    """
    config = config or parse_config(SplitConfig, events.split, "[split]")
    if config.kind == "leave_last_out":
        part, cuts = _leave_last_out(events), (NO_TIME, NO_TIME)
        hidden = np.zeros(len(events), dtype=np.bool_)
    else:
        part, cuts = _by_time(events, config)
        _hold_out_untimed(events, part, config, seed)
        hidden = ~events.is_timed & (part != TRAIN)
    if config.twins:
        part[_twins_of_targets(events, part)] = LEFT_OUT
    if not np.any((part == TRAIN) & events.is_positive):
        raise DataError("the split leaves no chosen item to train on; lower the shares")
    fates = {name: int(np.sum(part == code)) for code, name in enumerate(PARTS)}
    return Split(part, *cuts, hidden, config.twins, fates)


def requests_for(
    events: Events, split: Split, part: int, source: Literal["search", "recommend"]
) -> Requests:
    """One request per chosen item of a part: "what did this user choose here?"

    `as_of` is the event's own time, so that the event and its equals in time are not seen; an
    untimed target is asked for at the cut. `as_of` int64 [requests], in ms or places as the events.
    Cost: O(events).
    """
    in_source = events.is_search if source == "search" else events.is_recommend
    chosen = (split.part == part) & events.is_positive & in_source
    if source == "search":
        chosen &= events.query != NO_ROW
    rows = np.flatnonzero(chosen).astype(np.int64)
    as_of = np.where(events.is_timed[rows], events.time[rows], split.as_of(part))
    query = events.query[rows] if source == "search" else np.full(len(rows), NO_ROW)
    return Requests(events.user[rows], query.astype(np.int64), as_of, events.item[rows], rows)


def _by_time(events: Events, config: SplitConfig) -> tuple[np.ndarray, tuple[int, int]]:  # type: ignore[type-arg]
    cut_valid, cut_test = config.cuts or _quantiles(events, config)
    part = np.full(len(events), TRAIN, dtype=np.int8)
    part[events.is_timed & (events.time >= cut_valid)] = VALID
    part[events.is_timed & (events.time >= cut_test)] = TEST
    return part, (cut_valid, cut_test)


def _quantiles(events: Events, config: SplitConfig) -> tuple[int, int]:
    """The times at which the last `valid_share + test_share` and `test_share` begin."""
    counted = events.is_timed & (events.is_search if config.quantile_of == "search" else True)
    times = np.sort(events.time[counted])
    if len(times) == 0:
        raise DataError("a split by time needs timed events, got none; use kind = 'leave_last_out'")
    last = len(times) - 1
    before_valid, before_test = 1 - config.valid_share - config.test_share, 1 - config.test_share
    return (
        int(times[min(last, int(len(times) * before_valid))]),
        int(times[min(last, int(len(times) * before_test))]),
    )


def _hold_out_untimed(events: Events, part: np.ndarray, config: SplitConfig, seed: int) -> None:  # type: ignore[type-arg]
    """Give a seeded share of each user's untimed choices to test, half as many to validation."""
    rows = np.flatnonzero(~events.is_timed & events.is_positive & events.is_recommend)
    if len(rows) == 0:
        return
    draw = make_rng(seed, "split", "untimed").random(len(rows))
    order = np.lexsort((draw, events.user[rows]))
    user = events.user[rows][order]
    starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    sizes = np.diff(np.r_[starts, len(user)])
    place = (np.arange(len(user)) - np.repeat(starts, sizes)) / np.repeat(sizes, sizes)
    shuffled = rows[order]
    part[shuffled[place < 1.5 * config.untimed_share]] = VALID
    part[shuffled[place < config.untimed_share]] = TEST


def _leave_last_out(events: Events) -> np.ndarray:  # type: ignore[type-arg]
    part = np.full(len(events), TRAIN, dtype=np.int8)
    rows = np.flatnonzero(events.is_positive)
    user = events.user[rows]
    ends = (
        np.flatnonzero(np.r_[user[1:] != user[:-1], True]) if len(rows) else np.empty(0, np.int64)
    )
    sizes = np.diff(np.r_[-1, ends])
    enough = ends[sizes >= 3]
    part[rows[enough]] = TEST
    part[rows[enough - 1]] = VALID
    return part


def _twins_of_targets(events: Events, part: np.ndarray) -> BoolArray:  # type: ignore[type-arg]
    """Training events whose (user, item) pair is a target of validation or test.

    With them go the other rows of searches that led to nothing else: their words tell of the
    target.
    """
    pair = events.user * len(events.items) + events.item
    is_target = np.isin(part, (VALID, TEST)) & events.is_positive
    twin = (part == TRAIN) & (events.item != NO_ROW) & np.isin(pair, pair[is_target])
    return np.asarray(twin | ((part == TRAIN) & searches_for(events, twin)))


def searches_for(events: Events, chosen: BoolArray) -> BoolArray:
    """All rows of the searches that led to some of the `chosen` events and to no other choice.

    A row without a session belongs to no such search. `chosen` and the result bool [events].
    Cost: O(search events log).
    """
    number = search_numbers(events)
    rows = np.flatnonzero((number != NO_ROW) & (events.session != NO_ROW))
    number = number[rows]
    is_choice = events.is_positive[rows]
    taken = np.bincount(number, is_choice & chosen[rows], minlength=1) > 0
    left = np.bincount(number, is_choice & ~chosen[rows], minlength=1) > 0
    found = np.zeros(len(events), dtype=np.bool_)
    found[rows] = (taken & ~left)[number]
    return found
