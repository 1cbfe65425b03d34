"""Searches and recommendation batches of a log, and what they were about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sargraph.core.types import NO_ROW, BoolArray, DoubleArray, IntArray
from sargraph.events.events import Events

FINEST_LEVEL = 2
"""Categories below this level are too fine to recur."""


@dataclass(frozen=True)
class Searches:
    """Searches sorted by (user, time); `topic` is the commonest among a search's items.

    Where no item has one it is the topic of the query's terms, or -1. `shown` are the sorted keys
    search x num_topics + topic of all topics among the items of each search.
    """

    user: IntArray
    time: IntArray
    topic: IntArray
    shown: IntArray
    num_topics: int

    def shows(self, search: IntArray, topic: IntArray) -> BoolArray:
        """True where an item of the search is of the topic; False for the search -1.

        Cost: O(log items) each.
        """
        if not len(self.shown):
            return np.zeros(search.shape, dtype=np.bool_)
        wanted = search * self.num_topics + topic
        place = np.minimum(np.searchsorted(self.shown, wanted), len(self.shown) - 1)
        return np.asarray((search != NO_ROW) & (self.shown[place] == wanted))


@dataclass(frozen=True)
class Batches:
    """Recommendation batches with a choice, sorted by (user, time).

    A batch is what a user was shown at one time. `of` and `topic` [choices] are the batch and the
    topic of each chosen item that has one, sorted by batch.
    """

    user: IntArray
    time: IntArray
    of: IntArray
    topic: IntArray
    num_topics: int

    @cached_property
    def _counts(self) -> tuple[IntArray, IntArray]:
        """Keys batch x topics + topic, sorted, and how many choices each has."""
        return np.unique(self.of * self.num_topics + self.topic, return_counts=True)

    @cached_property
    def sizes(self) -> IntArray:
        """Number of choices with a topic in each batch, int64 [batches]."""
        return np.bincount(self.of, minlength=len(self.user))

    def share(self, batch: IntArray, topic: IntArray) -> DoubleArray:
        """Share of each batch's choices that are of the given topic; same shape as `batch`.

        Cost: O(log choices) each.
        """
        keys, counts = self._counts
        if not len(keys):
            return np.zeros(batch.shape)
        wanted = batch * self.num_topics + topic
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = (keys[place] == wanted) & (topic != NO_ROW)
        return np.asarray(np.where(hit, counts[place], 0) / np.maximum(self.sizes[batch], 1))


def topic_of_item(events: Events) -> IntArray:
    """The category of each item at the finest level (at most the second) that most items have.

    int64 [items], -1 = none; all -1 where the log has no categories.
    """
    num_items = len(events.items)
    categories = events.categories
    if categories is None or not len(categories.of_item.values):
        return np.full(num_items, NO_ROW, dtype=np.int64)
    level = categories.level[categories.of_item.values]
    found = np.full(num_items, NO_ROW, dtype=np.int64)
    for wanted in range(1, FINEST_LEVEL + 1):
        here = level == wanted
        # Written backwards, so that the first of several categories stays.
        topics = np.full(num_items, NO_ROW, dtype=np.int64)
        items, values = categories.of_item.row_of_value[here], categories.of_item.values[here]
        topics[items[::-1]] = values[::-1]
        if (topics != NO_ROW).mean() >= 0.5 or wanted == 1:
            found = topics
    return found


def topic_of_term(events: Events, topic: IntArray) -> IntArray:
    """The topic that more than half of the items with a term have, int64 [terms], -1 = none."""
    item, term = events.item_terms.row_of_value, events.item_terms.values
    known = topic[item] != NO_ROW
    return most_common(term[known], topic[item[known]], len(events.terms), more_than=0.5)


def most_common(
    group: IntArray, value: IntArray, num_groups: int, more_than: float = 0.0
) -> IntArray:
    """The commonest value of each group, the smallest of equally common ones; -1 = none.

    `more_than`: it must have a larger share of its group. Cost: O(n log n).
    """
    result = np.full(num_groups, NO_ROW, dtype=np.int64)
    if not len(group):
        return result
    width = int(value.max()) + 1
    keys, counts = np.unique(group * width + value, return_counts=True)
    order = np.lexsort((-keys, counts))  # the best of a group comes last and stays
    keys, counts = keys[order], counts[order]
    sizes = np.bincount(group, minlength=num_groups)
    keys = keys[counts > more_than * sizes[keys // width]]
    result[keys // width] = keys % width
    return result


def searches_of(events: Events, topic: IntArray) -> Searches:
    """All searches with a time; rows of one search share one session."""
    rows = np.flatnonzero(events.is_search & events.is_timed)
    order = rows[np.lexsort((events.session[rows], events.time[rows], events.user[rows]))]
    is_first = np.ones(len(order), dtype=np.bool_)
    for column in (events.user, events.session, events.time):
        changed = column[order][1:] != column[order][:-1]
        is_first[1:] = changed if column is events.user else is_first[1:] | changed
    search = np.cumsum(is_first) - 1
    count = int(is_first.sum())
    known = np.append(topic, NO_ROW)[events.item[order]] != NO_ROW
    of_item = topic[events.item[order][known]]
    by_items = most_common(search[known], of_item, count)
    first = order[is_first]
    by_terms = _topics_of_queries(events, topic)[events.query[first]]
    by_terms[events.query[first] == NO_ROW] = NO_ROW
    about = np.where(by_items != NO_ROW, by_items, by_terms)
    num_topics = int(topic.max(initial=0)) + 1
    shown = np.unique(search[known] * num_topics + of_item)
    return Searches(events.user[first], events.time[first], about, shown, num_topics)


def _topics_of_queries(events: Events, topic: IntArray) -> IntArray:
    """The commonest topic of each query's terms; one more, -1, for no query at all."""
    by_term = topic_of_term(events, topic)[events.query_terms.values]
    query = events.query_terms.row_of_value
    known = by_term != NO_ROW
    return most_common(query[known], by_term[known], len(events.queries) + 1)


def batches_of(events: Events, topic: IntArray) -> Batches:
    """All timed batches in which something with a topic was chosen."""
    rows = np.flatnonzero(events.is_recommend & events.is_positive & events.is_timed)
    rows = rows[topic[events.item[rows]] != NO_ROW]
    rows = rows[np.lexsort((events.time[rows], events.user[rows]))]
    user, time = events.user[rows], events.time[rows]
    is_first = changes(user) | changes(time)
    of = np.cumsum(is_first) - 1
    num_topics = int(topic.max(initial=0)) + 1
    return Batches(user[is_first], time[is_first], of, topic[events.item[rows]], num_topics)


def changes(values: IntArray) -> BoolArray:
    """True where a value differs from the one before, and at the start."""
    result = np.ones(len(values), dtype=np.bool_)
    result[1:] = values[1:] != values[:-1]
    return result


def latest_before(user: IntArray, time: IntArray, of: IntArray, at: IntArray) -> IntArray:
    """Row of the last (user, time) strictly before `at` of the same user `of`, -1 = none.

    Both sides sorted by (user, time). Cost: O(n log n).
    """
    order = np.lexsort((np.repeat([1, 0], [len(user), len(of)]), np.r_[time, at], np.r_[user, of]))
    is_event = order < len(user)
    last = np.maximum.accumulate(np.where(is_event, order, NO_ROW))
    found = np.full(len(of), NO_ROW, dtype=np.int64)
    found[order[~is_event] - len(user)] = last[~is_event]
    same = found != NO_ROW
    same[same] = user[found[same]] == of[same]
    return np.where(same, found, NO_ROW)
