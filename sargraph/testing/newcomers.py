"""A planted world with newcomers, and where they belong by plain loops over ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.types import NO_ROW, DoubleArray, FloatArray, IntArray
from sargraph.events.events import Categories, Events
from sargraph.events.schema import CLICK, RECOMMEND, SEARCH
from sargraph.events.vocabulary import Vocabulary
from sargraph.testing.events import Row, make_events

SIZES = {"user": 64, "item": 72, "query": 36, "term": 28}
NUM_TOPICS = 4
"""Row r is of topic r mod 4, and so are the words of a query and of an item's text."""
KNOWN = {"user": 48, "item": 48}
"""Users and items before these rows were there before the newcomers came."""
LAST_DAY = 20


def newcomer_world(seed: int = 0, choices: int = 14) -> Events:
    """Users who choose items of their own topic, half of them by searches of that topic.

    Known users choose known items only, on days 0 to 9; new users choose all items, known users new
    items, on days 10 to 19. Beside them: users 60 to 63 choose new items alone, items 64 to 67 were
    never chosen but have a text, 68 to 71 neither; item 70 has a category of topic 2, users 58 and
    59 have no choice but 59 follows users of topic 3, query 35 has a word that nothing else has.
    """
    rng = make_rng(seed, "newcomers")
    rows: list[Row] = []
    for user in range(SIZES["user"]):
        is_new, only_new = user >= KNOWN["user"], user >= 60
        for number in range(0 if user in (58, 59) else choices):
            late = is_new or number >= choices - 3
            low, high = (KNOWN["item"], 64) if only_new or (late and not is_new) else (0, 48)
            if is_new and not only_new:
                high = 64
            day = int(rng.integers(LAST_DAY // 2, LAST_DAY) if late else rng.integers(10))
            item = _of_topic(rng, user, low, high)
            search = rng.random() < 0.5
            query = _of_topic(rng, user, 0, 32) if search else NO_ROW
            source = SEARCH if search else RECOMMEND
            rows.append((user, day, source, CLICK, item, query, user * 100 + number))
    queries = [_words(rng, row) for row in range(SIZES["query"] - 1)]
    events = make_events(
        rows, num_users=SIZES["user"], num_items=SIZES["item"],
        query_terms=[*queries, [SIZES["term"] - 1]], num_terms=SIZES["term"], time_kind="ordinal",
    )  # fmt: skip
    texts = [_words(rng, row) if row < 68 else [] for row in range(SIZES["item"])]
    of_item = [[row % 4] if row < 48 and row % 3 == 0 else [] for row in range(SIZES["item"])]
    of_item[70] = [2]
    names = Vocabulary([f"1/{topic}" for topic in range(NUM_TOPICS)])
    follows = [[3, 7, 11] if user == 59 else [] for user in range(SIZES["user"])]
    return replace(
        events,
        item_terms=Ragged.from_lists(texts),
        categories=Categories(names, np.ones(NUM_TOPICS, np.int64), Ragged.from_lists(of_item)),
        follows=Ragged.from_lists(follows),
        content_hash="e" * 64,
    )


def before_the_newcomers(events: Events) -> Events:
    """What was known then: days 0 to 9 of the known users, with the ids that occur in them.

    Rows are numbered backwards, so that nothing is right by the same numbering.
    """
    events = events.select((events.time < LAST_DAY // 2) & (events.user < KNOWN["user"]))
    asked = np.unique(events.query[events.query != NO_ROW])
    kept = {
        "user": np.arange(KNOWN["user"])[::-1],
        "item": np.arange(KNOWN["item"])[::-1],
        "query": asked[::-1],
        "term": np.unique(events.query_terms.take(asked).values)[::-1],
    }
    new = {kind: np.full(SIZES[kind] + 1, NO_ROW) for kind in kept}
    for kind, rows in kept.items():
        new[kind][rows] = np.arange(len(rows))
    columns = dict(events.columns)
    for kind in ("user", "item", "query"):
        columns[kind] = new[kind][events.columns[kind].astype(np.int64)].astype(
            events.columns[kind].dtype
        )
    order = np.lexsort((columns["time"], columns["user"]))
    return replace(
        events,
        columns={name: column[order] for name, column in columns.items()},
        vocabularies={kind: _taken(events.vocabularies[kind], rows) for kind, rows in kept.items()},
        query_terms=_known_words(events.query_terms.take(kept["query"]), new["term"]),
        item_terms=_known_words(events.item_terms.take(kept["item"]), new["term"]),
        categories=None,
        follows=None,
        content_hash="b" * 64,
    )


Demand = Callable[[int], DoubleArray | None]
"""Event -> d, or None where it has none."""


def naive_places(
    known: Mapping[str, Mapping[str, FloatArray]],
    events: Events,
    demand: Demand,
    read: Iterable[int],
) -> tuple[dict[str, dict[str, DoubleArray]], dict[str, set[str]]]:
    """Vectors of all users and items by id, and the ids that are cold; loops in double precision.

    `known` maps user and item to vectors by id, `read` are the events that may be read.
    """
    users, items = events.users.ids, events.items.ids
    chosen = [(users[events.user[e]], items[events.item[e]], e) for e in read]
    chosen = [each for each in chosen if events.is_positive[each[2]]]
    have = {kind: {i: v.astype(np.float64) for i, v in known[kind].items()} for kind in known}
    for _ in range(2):
        found: dict[str, dict[str, list[DoubleArray]]] = {"user": {}, "item": {}}
        for user, item, event in chosen:
            d = demand(event)
            d = np.zeros(1) if d is None else d
            if user not in have["user"] and item in have["item"]:
                found["user"].setdefault(user, []).append(have["item"][item] - d)
            if item not in have["item"] and user in have["user"]:
                found["item"].setdefault(item, []).append(have["user"][user] + d)
        for kind, vectors in found.items():
            have[kind] |= {id_: np.mean(each, axis=0) for id_, each in vectors.items()}
        have["user"] |= _by_follows(events, have["user"])
        have["item"] |= _by_features(events, known["item"], have["item"])
    cold = {kind: set(events.vocabularies[kind].ids) - set(have[kind]) for kind in have}
    for kind, ids in cold.items():
        mean = np.mean([v.astype(np.float64) for v in known[kind].values()], axis=0)
        have[kind] |= {id_: mean for id_ in ids}
    return have, cold


def _by_follows(events: Events, have: Mapping[str, DoubleArray]) -> dict[str, DoubleArray]:
    found: dict[str, DoubleArray] = {}
    if events.follows is None:
        return found
    for user, followed in zip(events.users.ids, events.follows, strict=True):
        vectors = [have[events.users.ids[row]] for row in followed if events.users.ids[row] in have]
        if user not in have and vectors:
            found[user] = np.mean(vectors, axis=0)
    return found


def _by_features(
    events: Events, known: Mapping[str, FloatArray], have: Mapping[str, DoubleArray]
) -> dict[str, DoubleArray]:
    features = [{("word", int(t)) for t in terms} for terms in events.item_terms]
    if events.categories is not None:
        for own, rows in zip(features, events.categories.of_item, strict=True):
            own |= {("category", int(row)) for row in rows}
    by_id = dict(zip(events.items.ids, features, strict=True))
    told = {id_: own for id_, own in by_id.items() if id_ in known and own}
    found: dict[str, DoubleArray] = {}
    for item, own in by_id.items():
        if item in have:
            continue
        total, weights = np.zeros(1), 0.0
        for feature in sorted(own):
            sharing = [known[other].astype(np.float64) for other in told if feature in told[other]]
            if sharing:
                weight = math.log(1 + len(told) / len(sharing))
                total, weights = total + weight * np.mean(sharing, axis=0), weights + weight
        if weights:
            found[item] = total / weights
    return found


def _of_topic(rng: np.random.Generator, topic: int, low: int, high: int) -> int:
    return int(low + NUM_TOPICS * rng.integers((high - low) // NUM_TOPICS) + topic % NUM_TOPICS)


def _words(rng: np.random.Generator, row: int) -> list[int]:
    """Two words of the row's topic; the last word of all is left out."""
    words = rng.choice(SIZES["term"] // NUM_TOPICS - 1, size=2, replace=False)
    return [int(NUM_TOPICS * word + row % NUM_TOPICS) for word in words]


def _taken(vocabulary: Vocabulary, rows: IntArray) -> Vocabulary:
    return Vocabulary([vocabulary.ids[r] for r in rows], [vocabulary.names[r] for r in rows])


def _known_words(lists: Ragged, new: IntArray) -> Ragged:
    return Ragged.from_lists([[int(new[t]) for t in row if new[t] != NO_ROW] for row in lists])
