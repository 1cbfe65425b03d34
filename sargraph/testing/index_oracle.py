"""A naive oracle of the user index: dictionaries by id, loops over events, every pair compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.events import Events
from sargraph.neighbours.index_config import IndexConfig
from sargraph.neighbours.profile import ProfileConfig
from sargraph.testing import similarity_oracles as oracles

DAY = 86_400_000
Bags = dict[str, dict[str, float]]
"""Weights by field and id."""


@dataclass(frozen=True)
class PlainUser:
    """Weights by field and id, the chosen items (oldest first), and when the newest was chosen."""

    bags: Bags
    items: list[str]
    last_time: int
    num_unknown: int = 0


def plain_sums(events: Events, user: int, as_of: int, config: ProfileConfig) -> Bags:
    """`Σ ω 2^(-(as_of - τ) / h)` of one user of a log in ms, whose half-lives are all given."""
    assert config.item_half_life and config.term_half_life and config.category_half_life
    bags: Bags = {"item": {}, "term": {}, "category": {}}
    seen = set()

    def add(field: str, id_: str, weight: float, half_life: float) -> None:
        age = 0 if time == NO_TIME else as_of - time
        value = weight * 2.0 ** -(age / (half_life * DAY))
        bags[field][id_] = bags[field].get(id_, 0.0) + value

    for row in _rows(events, user, as_of):
        time, item, query = (int(events.columns[c][row]) for c in ("time", "item", "query"))
        is_search = bool(events.is_search[row])
        weight = config.search_weight if is_search else config.click_weight
        if events.is_positive[row] and weight:
            add("item", events.items.ids[item], weight, config.item_half_life)
            if events.categories is not None:
                for one in events.categories.of_item[item]:
                    id_ = events.categories.vocabulary.ids[one]
                    add("category", id_, weight, config.category_half_life)
        search = (int(events.session[row]), query)
        if is_search and query != NO_ROW and search not in seen:
            seen.add(search)
            for term in set(events.query_terms[query].tolist()):
                add("term", events.terms.ids[term], config.search_weight, config.term_half_life)
    return bags


def plain_idfs(events: Events, as_of: int, config: ProfileConfig) -> Bags:
    """`log(1 + U / df)` of all that the vocabularies name; what nobody has counts as one user's."""
    num_users = len(events.users)
    everyone = [plain_sums(events, user, as_of, config) for user in range(num_users)]
    named = {"item": events.items.ids, "term": events.terms.ids}
    if events.categories is not None:
        named["category"] = events.categories.vocabulary.ids
    return {
        field: {
            id_: math.log(1 + num_users / max(1, sum(id_ in bags[field] for bags in everyone)))
            for id_ in ids
        }
        for field, ids in named.items()
    }


def plain_user(
    events: Events, user: int, as_of: int, config: IndexConfig, idfs: Mapping[str, dict[str, float]]
) -> PlainUser:
    """One user as an index with these idfs compares it, without what the index does not know."""
    sums = plain_sums(events, user, as_of, config.profile)
    known = {field: idfs.get(field, {}) for field in sums}
    bags = {
        field: {id_: value * known[field][id_] for id_, value in bag.items() if id_ in known[field]}
        for field, bag in sums.items()
    }
    num_unknown = sum(id_ not in known[field] for field in idfs for id_ in sums[field])
    chosen = [row for row in _rows(events, user, as_of) if events.is_positive[row]]
    chosen = chosen[-config.max_events :]
    items = [events.items.ids[events.item[row]] for row in chosen]
    last_time = int(events.time[chosen[-1]]) if chosen else NO_TIME
    return PlainUser(bags, [i for i in items if i in known["item"]], last_time, num_unknown)


def plain_users(
    events: Events, as_of: int, config: IndexConfig, idfs: Mapping[str, dict[str, float]]
) -> dict[str, PlainUser]:
    """All users of some events by id."""
    return {
        id_: plain_user(events, user, as_of, config, idfs)
        for user, id_ in enumerate(events.users.ids)
    }


def plain_cosine(u: PlainUser, v: PlainUser, config: IndexConfig) -> float:
    """`Σ_f a_f cos_f / Σ_f a_f` over the fields that u or v has."""
    total = product = 0.0
    for field in ("item", "term", "category"):
        share = getattr(config.similarity, f"{field}_share")
        if u.bags[field] or v.bags[field]:
            total += share
            product += share * oracles.cosine(*_numbered(u.bags[field], v.bags[field]))
    return product / total if total else 0.0


def plain_measure(u: PlainUser, v: PlainUser, config: IndexConfig) -> float:
    """The measure of the configuration before shrinkage; u asks, v is found."""
    if config.measure == "cosine":
        return plain_cosine(u, v, config)
    jaccard = oracles.weighted_jaccard(*_numbered(_joined(u, config), _joined(v, config)))
    if config.measure == "jaccard":
        return jaccard
    number = {id_: place for place, id_ in enumerate({*u.items, *v.items})}
    s, n = [number[i] for i in u.items], [number[i] for i in v.items]
    if config.measure == "order_aware":
        return 0.6 * jaccard + 0.4 * oracles.lcs_similarity(s, n)
    is_timed = NO_TIME not in (u.last_time, v.last_time)
    gap = float(u.last_time - v.last_time) if is_timed else None
    return oracles.stan(s, n, gap, 1.02, config.stan_days * DAY)


def plain_similarity(u: PlainUser, v: PlainUser, config: IndexConfig) -> float:
    """The measure, shrunk; 0 for duplicates and for users who share nothing."""
    mine = {(field, id_) for field in ("item", "term") for id_ in u.bags[field]}
    theirs = {(field, id_) for field in ("item", "term") for id_ in v.bags[field]}
    common = len(mine & theirs)
    if not common or common / len(mine | theirs) > config.similarity.max_jaccard:
        return 0.0
    return plain_measure(u, v, config) * common / (common + config.similarity.shrinkage)


def assert_best(
    found: Iterable[tuple[str, float]], probe: PlainUser, others: Mapping[str, PlainUser], k: int,
    config: IndexConfig,
) -> None:  # fmt: skip
    """Raise AssertionError unless (id, similarity) are the k best of `others`, best first."""
    pairs = list(found)
    expected = {id_: plain_similarity(probe, other, config) for id_, other in others.items()}
    best = sorted((value for value in expected.values() if value > 0), reverse=True)[:k]
    assert len({id_ for id_, _ in pairs}) == len(pairs) == len(best), (pairs, best)
    for (id_, got), value in zip(pairs, best, strict=True):
        assert math.isclose(got, value, rel_tol=2e-6), (id_, got, value)
        assert math.isclose(got, expected[id_], rel_tol=2e-6), (id_, got, expected[id_])


def _rows(events: Events, user: int, as_of: int) -> list[int]:
    return [
        row
        for row in range(len(events))
        if events.user[row] == user and (events.time[row] == NO_TIME or events.time[row] < as_of)
    ]


def _joined(user: PlainUser, config: IndexConfig) -> dict[str, float]:
    """Items and terms in one: `√a_f` times the unit profile of each field."""
    shares = {f: getattr(config.similarity, f"{f}_share") for f in ("item", "term")}
    whole = sum(shares.values())
    return {
        f"{field} {id_}": value / math.hypot(*user.bags[field].values()) * math.sqrt(share / whole)
        for field, share in shares.items()
        for id_, value in user.bags[field].items()
    }


def _numbered(
    u: Mapping[str, float], v: Mapping[str, float]
) -> tuple[dict[int, float], dict[int, float]]:
    number = {id_: place for place, id_ in enumerate({**u, **v})}
    return {number[i]: x for i, x in u.items()}, {number[i]: x for i, x in v.items()}
