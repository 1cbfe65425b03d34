"""Probes: what a user did strictly before a request, as a profile that an index can take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.events import Events
from sargraph.events.history import HistoryIndex
from sargraph.events.searches import search_numbers
from sargraph.neighbours.profile import ProfileConfig, decay, used_events

ALWAYS = np.iinfo(np.int64).max
"""A time after all others."""
MAX_OWN = 500
"""Most events of a user that are read for a request; the latest are kept."""


@dataclass(frozen=True)
class Probes:
    """The own histories of n requests.

    `sums` maps "item" to Σ ω·2^(-age / h) over items, float64 CSR [n, items], and "term" to the
    same over terms [n, terms], neither weighted by rarity nor normalised. `items` has the chosen
    items of each request, oldest first.
    """

    sums: dict[str, csr_array]
    items: Ragged


class ProbeReader:
    """Reads the own history of each request, as a history index gives it.

    Only `visible` events strictly before a request's time count, neither the request's own event
    nor (for terms) its own search. With `drop_target` events on the target item are left out, and
    so are the terms of a search that led to nothing else. The sums are of the source and of the
    transition that the configuration names; `items` are of all. A search counts once, whatever it
    led to, a term once per search. Raises DataError for a transition that the log does not have.
    """

    def __init__(
        self,
        events: Events,
        visible: BoolArray,
        config: ProfileConfig,
        *,
        drop_target: bool = False,
    ) -> None:
        self.events, self.config, self.drop_target = events, config, drop_target
        self._counts = used_events(events, visible, ALWAYS, config)
        self._chosen = events.is_positive
        is_read = self._chosen | (events.is_search & (events.query != NO_ROW))
        if config.impression_weight > 0:
            is_read = is_read | (events.item != NO_ROW)
        self._history = HistoryIndex(events, visible & is_read)
        self._search = search_numbers(events)
        clicked = np.where(events.is_search, config.search_weight, config.click_weight)
        weight = np.where(self._chosen, clicked, config.impression_weight)
        self._weight = np.where(events.item != NO_ROW, weight, 0.0)
        self._has_term = _terms_of_queries(events)

    def read(self, requests: Requests) -> Probes:
        """The probe of each request. Cost: O(n (log events + own events)); memory O(n own)."""
        rows = self._history.before(requests, MAX_OWN, positive_only=False)
        event, request = rows.values, rows.row_of_value
        on_target = self.events.item[event] == requests.target[request]
        on_target &= self.drop_target
        chosen = self._chosen[event] & ~on_target
        item = self.events.item[event[chosen]]
        counts = self._counts[event]
        sums = {
            "item": self._item_sums(requests, event, request, counts & ~on_target),
            "term": self._term_sums(requests, event, request, counts, on_target),
        }
        lengths = np.bincount(request[chosen], minlength=len(requests))
        return Probes(sums, Ragged.from_lengths(item, lengths))

    def _item_sums(
        self, requests: Requests, event: IntArray, request: IntArray, counts: BoolArray
    ) -> csr_array:
        used = counts & (self._weight[event] > 0)
        event, request = event[used], request[used]
        as_of = requests.as_of[request]
        faded = decay(self.events, event, as_of, self.config.item_half_life)
        cells = (request, self.events.item[event])
        shape = (len(requests), len(self.events.items))
        return csr_array((self._weight[event] * faded, cells), shape=shape)

    def _term_sums(
        self,
        requests: Requests,
        event: IntArray,
        request: IntArray,
        counts: BoolArray,
        on_target: BoolArray,
    ) -> csr_array:
        own = np.where(requests.event != NO_ROW, self._search[requests.event], NO_ROW)[request]
        number = self._search[event]
        used = counts & (number != NO_ROW) & (number != own) & (self.config.search_weight > 0)
        event, request, on_target = event[used], request[used], on_target[used]
        key = request * (int(self._search.max(initial=0)) + 1) + number[used]
        _, first, search = np.unique(key, return_index=True, return_inverse=True)
        chosen = self._chosen[event]
        to_target = np.bincount(search, chosen & on_target, minlength=len(first)) > 0
        to_others = np.bincount(search, chosen & ~on_target, minlength=len(first)) > 0
        first = first[~to_target | to_others]
        event, request = event[first], request[first]
        faded = decay(self.events, event, requests.as_of[request], self.config.term_half_life)
        cells = (request, self.events.query[event])
        shape = (len(requests), len(self.events.queries))
        queries = csr_array((self.config.search_weight * faded, cells), shape=shape)
        return csr_array(queries @ self._has_term).sorted_indices()


def _terms_of_queries(events: Events) -> csr_array:
    """1 where a term stands in a query, [queries, terms]."""
    texts = events.query_terms
    cells = (np.ones(len(texts.values)), (texts.row_of_value, texts.values))
    has_term = csr_array(cells, shape=(len(events.queries), len(events.terms)))
    has_term.data[:] = 1.0
    return has_term
