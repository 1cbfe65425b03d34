"""From a protocol to the requests that are judged and the candidates of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests
from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.evaluation.asked import chosen_requests
from sargraph.evaluation.candidates import file_candidates, sampled_candidates, slate_candidates
from sargraph.evaluation.candidates_tie import TermTies
from sargraph.evaluation.protocol import Protocol


@dataclass(frozen=True)
class Given:
    """What candidates are made of; None where the caller gave nothing (see `evaluate_scorer`)."""

    num_items: int
    known: Ragged
    popularity: IntArray | None = None
    lists: Ragged | None = None
    item_terms: Ragged | None = None


def judged(
    requests: Requests, allowed: IntArray, protocol: Protocol, given: Given, counts: dict[str, int]
) -> tuple[IntArray, IntArray | Ragged | None]:
    """Rows of the judged requests, chosen among `allowed`, and their candidates.

    Candidates are int64 [n, c] with -1 as padding, ragged lists, or None for the whole catalogue.
    `counts` is told of what was not as usual. Raises BadInputError for what is missing or wrong.
    """
    if protocol.candidates == "within_tie":
        return _tied(requests, allowed, protocol, given, counts)
    if protocol.candidates == "slate":
        return _shown(requests, allowed, protocol, given, counts)
    rows = _chosen(requests, allowed, protocol)
    if protocol.candidates == "full":
        return rows, None
    if protocol.negatives == "file":
        lists = _needed(given.lists, "lists", "the lists of negatives, one per request")
        listed = file_candidates(requests, given.num_items, lists, protocol).take(rows)
        counts["requests with fewer negatives"] = int(
            (listed.lengths <= protocol.num_negatives).sum()
        )
        return rows, listed
    drawn = sampled_candidates(
        requests.take(rows), given.num_items, given.known, protocol, given.popularity
    )
    counts["requests with fewer negatives"] = int((drawn == NO_ROW).any(axis=1).sum())
    return rows, drawn


def _tied(
    requests: Requests, allowed: IntArray, protocol: Protocol, given: Given, counts: dict[str, int]
) -> tuple[IntArray, Ragged]:
    terms = _needed(given.item_terms, "item_terms", "events.item_terms")
    if len(terms) != given.num_items:
        raise BadInputError(
            f"got terms of {len(terms)} items, expected {given.num_items}; pass events.item_terms"
        )
    ties = TermTies.of(terms)
    alone = ties.num_others(requests.target[allowed]) == 0
    counts["requests whose target ties with no other item, left out"] = int(alone.sum())
    rows = _chosen(requests, allowed[~alone], protocol)
    return rows, ties.candidates(requests.take(rows))


def _shown(
    requests: Requests, allowed: IntArray, protocol: Protocol, given: Given, counts: dict[str, int]
) -> tuple[IntArray, Ragged]:
    slates = _needed(given.lists, "lists", "the items shown, one list per request")
    candidates, is_shown = slate_candidates(requests, given.num_items, slates)
    alone = candidates.lengths == 1
    missing: BoolArray = ~is_shown[allowed]
    counts["requests whose slate does not show the target, left out"] = int(missing.sum())
    lonely = np.asarray(alone & is_shown)[allowed]
    counts["requests whose slate shows the target alone, left out"] = int(lonely.sum())
    rows = _chosen(requests, allowed[~alone[allowed]], protocol)
    return rows, candidates.take(rows)


def _chosen(requests: Requests, allowed: IntArray, protocol: Protocol) -> IntArray:
    return allowed[chosen_requests(requests.take(allowed), protocol)]


def _needed(value: Ragged | None, name: str, what: str) -> Ragged:
    if value is None:
        raise BadInputError(f"the protocol needs {what}, got {name}=None; pass {name}=...")
    return value
