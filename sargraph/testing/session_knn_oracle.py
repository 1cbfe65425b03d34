"""Naive oracles of SKNN, V-SKNN and STAN: lists, sets and loops over events."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sargraph.core.types import NO_ROW, NO_TIME, DoubleArray
from sargraph.evaluation.baselines.session_knn import SKNNConfig, STANConfig, VSKNNConfig
from sargraph.testing.scorer_cases import ScorerWorld
from sargraph.testing.word_oracles import cell_by_cell

DAY = 86_400_000


@dataclass(frozen=True)
class Session:
    """What one user chose, oldest first, and when the newest was chosen (NO_TIME = none)."""

    key: tuple[int, int]
    items: list[int]
    time: int

    def latest(self, item: int) -> int:
        """The latest place of an item that is there, from 1."""
        return max(place for place, held in enumerate(self.items, 1) if held == item)


class Choice(NamedTuple):
    """One chosen item: the row of its event, whose, which, when, in what session and part."""

    event: int
    user: int
    item: int
    time: int
    session: int
    is_train: bool


Similar = Callable[[Session, Session], float]
"""(asking session, neighbour) -> similarity."""

Says = Callable[[Session, Session, int], float]
"""(asking session, neighbour, item of the neighbour) -> weight beside the similarity."""


def sknn(world: ScorerWorld, config: SKNNConfig | None = None) -> DoubleArray:
    """Cosines of sets."""
    return _scores(world, config or SKNNConfig(), _cosine, lambda asked, other, item: 1.0)


def vsknn(world: ScorerWorld, config: VSKNNConfig | None = None) -> DoubleArray:
    """Items of the asking session count by their place."""
    config = config or VSKNNConfig()

    def similar(asked: Session, other: Session) -> float:
        total = 0.0
        for item in _newest_first(asked):
            if item in other.items:
                total += _weight(config.weighting, asked.latest(item), len(asked.items))
        if config.by_length:
            return total / math.sqrt(len(set(asked.items)) * len(set(other.items)))
        return total / len(set(asked.items))

    def says(asked: Session, other: Session, item: int) -> float:
        place = max(asked.latest(shared) for shared in asked.items if shared in other.items)
        return _lead(config.lead_weighting, len(asked.items) - place + 1)

    return _scores(world, config, similar, says, config.idf_weight)


def stan(world: ScorerWorld, config: STANConfig | None = None) -> DoubleArray:
    """Decays by place, by time and by distance within the neighbour."""
    config = config or STANConfig()

    def weight(asked: Session, item: int) -> float:
        return math.exp((asked.latest(item) - len(asked.items)) / config.position_decay)

    def similar(asked: Session, other: Session) -> float:
        mine = _newest_first(asked)
        total = sum(weight(asked, item) for item in mine if item in other.items)
        norm = math.sqrt(sum(weight(asked, item) ** 2 for item in mine))
        found = total / norm / math.sqrt(len(set(other.items)))
        if config.time_decay is None or NO_TIME in (asked.time, other.time):
            return found
        return found * math.exp(-abs(asked.time - other.time) / (config.time_decay * DAY))

    def says(asked: Session, other: Session, item: int) -> float:
        shared = max(other.latest(held) for held in other.items if held in asked.items)
        return math.exp(-abs(other.latest(item) - shared) / config.item_decay)

    return _scores(world, config, similar, says)


def _scores(
    world: ScorerWorld, config: SKNNConfig, similar: Similar, says: Says, idf_weight: float = 0.0
) -> DoubleArray:
    """The items of the k most similar sessions, for each request."""
    choices, answers = _choices(world, config), list[dict[int, float]]()
    for row in range(len(world.requests)):
        asked = asking_session(world, row, choices, config.max_events)
        stored = stored_before(world, row, choices)
        totals: dict[int, float] = {}
        for alike, other in _nearest(world, row, config, asked, stored, similar):
            for item in set(other.items):
                totals[item] = totals.get(item, 0.0) + alike * says(asked, other, item)
        for item in totals:
            holding = sum(item in session.items for session in stored)
            totals[item] *= 1 + idf_weight * math.log(len(stored) / holding)
        answers.append(totals)
    return cell_by_cell(world, lambda row, item: answers[row].get(item, 0.0))


def _nearest(
    world: ScorerWorld,
    row: int,
    config: SKNNConfig,
    asked: Session,
    stored: list[Session],
    similar: Similar,
) -> list[tuple[float, Session]]:
    """Neighbours above 0 that share an item, are of others and late enough, the k nearest."""
    user = int(world.requests.user[row])
    able = [s for s in stored if s.key[0] != user and set(s.items) & set(asked.items)]
    if config.max_sessions and world.events.time_kind == "ms":
        able = sorted(able, key=lambda session: (-session.time, session.key))
        able = able[: config.max_sessions]
    ranked = [(similar(asked, session), session) for session in able]
    ranked.sort(key=lambda pair: (-np.float32(pair[0]), pair[1].key))
    return [pair for pair in ranked if pair[0] > 0][: config.k]


def asking_session(
    world: ScorerWorld, row: int, choices: list[Choice], max_events: int | None
) -> Session:
    """The latest visible choices of a request's user strictly before it."""
    user, event = int(world.requests.user[row]), int(world.requests.event[row])
    as_of, twin = int(world.requests.as_of[row]), int(world.requests.target[row])
    chosen = [
        choice for choice in choices
        if choice.user == user and choice.event != event and choice.time < as_of
        and world.split.visible[choice.event] and not (world.split.twins and choice.item == twin)
    ]  # fmt: skip
    chosen = chosen[-(max_events or len(choices)) :]
    return _session((user, NO_ROW), chosen, world.events.time_kind == "ms")


def stored_before(world: ScorerWorld, row: int, choices: list[Choice]) -> list[Session]:
    """The sessions of training as they were before a request, by user, then number."""
    found: dict[tuple[int, int], list[Choice]] = {}
    has_clock, as_of = world.events.time_kind == "ms", int(world.requests.as_of[row])
    for choice in choices:
        if choice.is_train and (choice.time < as_of or not has_clock):
            found.setdefault((choice.user, choice.session), []).append(choice)
    return [_session(key, found[key], has_clock) for key in sorted(found)]


def _choices(world: ScorerWorld, config: SKNNConfig) -> list[Choice]:
    """All choices of the source, in the order of the log; no session where the unit is user."""
    events, found = world.events, list[Choice]()
    is_positive, is_search, is_train = events.is_positive, events.is_search, world.split.is_train
    for event in range(len(events)):
        if not is_positive[event]:
            continue
        if config.source != "both" and bool(is_search[event]) != (config.source == "search"):
            continue
        user, item, time = (int(c[event]) for c in (events.user, events.item, events.time))
        session = int(events.session[event]) if config.unit == "session" else NO_ROW
        found.append(Choice(event, user, item, time, session, bool(is_train[event])))
    return found


def _session(key: tuple[int, int], choices: list[Choice], has_clock: bool) -> Session:
    newest = choices[-1].time if choices and has_clock else int(NO_TIME)
    return Session(key, [choice.item for choice in choices], newest)


def _newest_first(session: Session) -> list[int]:
    """Different items, in the order of their latest places from the end."""
    return sorted(set(session.items), key=session.latest, reverse=True)


def _cosine(asked: Session, other: Session) -> float:
    mine, theirs = set(asked.items), set(other.items)
    return len(mine & theirs) / math.sqrt(len(mine) * len(theirs))


def _weight(kind: str, place: int, length: int) -> float:
    return {
        "same": 1.0,
        "div": place / length,
        "linear": max(0.0, 1 - (length - place) / 10),
        "quadratic": (place / length) ** 2,
        "log": 1 / math.log10(length - place + 1.7),
    }[kind]


def _lead(kind: str, step: int) -> float:
    return {
        "same": 1.0,
        "div": 1 / step,
        "linear": max(0.0, 1 - step / 10),
        "quadratic": 1 / step**2,
        "log": 1 / math.log10(step + 1.7),
    }[kind]
