"""Candidate lists: what each target is ranked among, drawn, given, tied with it, or shown.

A list holds the target first. Drawn lists are one matrix int64 [n, 1 + negatives], -1 = none;
the others are `Ragged`, because their lengths differ.
"""

from __future__ import annotations

import hashlib

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.rng import make_rng
from sargraph.core.scorer import Requests
from sargraph.core.types import BoolArray, IntArray
from sargraph.evaluation.candidates_draws import uniform_draws, weighted_draws
from sargraph.evaluation.protocol import Protocol


def sampled_candidates(
    requests: Requests,
    num_items: int,
    known: Ragged,
    protocol: Protocol,
    popularity: IntArray | None = None,
) -> IntArray:
    """Column 0 the target, then distinct sampled negatives, int64 [n, 1 + num_negatives].

    `known` maps a user row to the items that are no negatives for this user (all positives of
    training, validation and test); the targets of the requests count as known too. Negatives are
    uniform, or drawn one after the other with weight 1 + `popularity` (int64 [num_items], the
    training choices of each item). A user with fewer eligible items gets them all and -1 as
    padding. The same requests, known positives and seed give the same candidates, whatever is
    scored. Raises BadInputError for a target outside the catalogue or popularity that does not fit.
    Cost: O((n num_negatives + known) log), in blocks.
    """
    check_targets(requests, num_items)
    width, users = protocol.num_negatives, requests.user
    excluded = _with_targets(known, requests, num_items)
    rng = make_rng(protocol.seed, "negatives")
    if protocol.negatives == "popularity":
        weights = _checked_popularity(popularity, num_items).astype(np.float64) + 1
        drawn = weighted_draws(users, excluded, weights, width, rng)
    else:
        drawn = uniform_draws(users, excluded, num_items, width, rng)
    return np.concatenate([requests.target[:, None], drawn], axis=1)


def lists_hash(lists: Ragged) -> str:
    """SHA-256 of given lists: what `Protocol.negatives_hash` holds."""
    digest = hashlib.sha256(np.ascontiguousarray(lists.offsets, dtype=np.int64).tobytes())
    digest.update(np.ascontiguousarray(lists.values, dtype=np.int64).tobytes())
    return digest.hexdigest()


def file_candidates(
    requests: Requests, num_items: int, lists: Ragged, protocol: Protocol
) -> Ragged:
    """The target, then the given negatives of each request, in their order.

    Raises BadInputError: lists of another hash than the protocol's, another number of lists than
    requests, rows outside the catalogue, the target or an item twice among the negatives of a
    request, more than `num_negatives`. Cost: O(total log).
    """
    check_targets(requests, num_items)
    _check_lists(lists, requests, num_items)
    found = lists_hash(lists)
    if found != protocol.negatives_hash:
        raise BadInputError(
            f"got lists of negatives with hash {found[:12]}, expected "
            f"{protocol.negatives_hash[:12]}; give the lists that the protocol was frozen with"
        )
    if lists.lengths.max(initial=0) > protocol.num_negatives:
        raise BadInputError(
            f"got lists of up to {lists.lengths.max()} negatives, expected at most "
            f"{protocol.num_negatives}; set num_negatives to the length of the lists"
        )
    num_distinct = len(np.unique(pairs_of(lists, num_items)))
    candidates = target_first(requests, lists)
    num_targets = len(lists.values) + len(requests) - len(candidates.values)
    num_wrong = num_targets + len(lists.values) - num_distinct
    if num_wrong:
        raise BadInputError(
            f"got {num_wrong} negatives that are the target or stand twice in their list, expected "
            "distinct negatives; mend the lists and their hash"
        )
    return candidates


def slate_candidates(
    requests: Requests, num_items: int, slates: Ragged
) -> tuple[Ragged, BoolArray]:
    """The target, then the other distinct items of each request's slate, ascending; and a mask.

    `slates` holds the items really shown. The mask, bool [n], is True where the target is among
    them: otherwise the list is the target alone, as a target that was not shown decides nothing.
    Raises BadInputError: another number of slates than requests, rows outside the catalogue.
    """
    check_targets(requests, num_items)
    _check_lists(slates, requests, num_items)
    pairs = np.unique(pairs_of(slates, num_items))
    distinct = Ragged.group(pairs // max(num_items, 1), pairs % max(num_items, 1), len(slates))
    row = distinct.row_of_value
    is_target = distinct.values == requests.target[row]
    shown = np.bincount(row[is_target], minlength=len(requests)) > 0
    kept = shown[row]
    lengths = np.bincount(row[kept], minlength=len(requests))
    others = Ragged.from_lengths(distinct.values[kept], lengths)
    return target_first(requests, others), np.asarray(shown)


def shuffled(candidates: IntArray | Ragged, seed: int) -> IntArray | Ragged:
    """Each list in a random order of its own, so that a place tells a scorer nothing."""
    rng = make_rng(seed, "columns")
    if not isinstance(candidates, Ragged):
        return rng.permuted(candidates, axis=1)
    row = candidates.row_of_value
    order = np.lexsort((rng.random(len(row)), row))
    return Ragged(candidates.values[order], candidates.offsets)


def check_targets(requests: Requests, num_items: int) -> None:
    """Raise BadInputError when a target is no item of the catalogue."""
    target = requests.target
    if len(target) and (target.min() < 0 or target.max() >= num_items):
        raise BadInputError(
            f"got targets from {target.min()} to {target.max()}, expected item rows below "
            f"{num_items}; make the requests from the events that hold the catalogue"
        )


def pairs_of(rows: Ragged, num_items: int) -> IntArray:
    """One number row * num_items + item for each value, in order, int64 [total]."""
    return rows.row_of_value * num_items + rows.values


def target_first(requests: Requests, others: Ragged) -> Ragged:
    """Each target, then the others of its list in their order, without the target."""
    kept = others.values != requests.target[others.row_of_value]
    lengths = np.bincount(others.row_of_value[kept], minlength=len(others))
    starts = np.cumsum(lengths) - lengths
    values = np.insert(others.values[kept], starts, requests.target)
    return Ragged.from_lengths(values, lengths + 1)


def _with_targets(known: Ragged, requests: Requests, num_items: int) -> Ragged:
    """Known items and targets per user, distinct and ascending."""
    num_users = max(len(known), int(requests.user.max(initial=-1)) + 1)
    asked = requests.user * num_items + requests.target
    pairs = np.unique(np.concatenate([pairs_of(known, num_items), asked]))
    return Ragged.group(pairs // num_items, pairs % num_items, num_users)


def _checked_popularity(popularity: IntArray | None, num_items: int) -> IntArray:
    if popularity is None or popularity.shape != (num_items,) or (popularity < 0).any():
        got = "None" if popularity is None else f"an array of shape {popularity.shape}"
        raise BadInputError(
            f"popular negatives need the training choices of each of {num_items} items, at least "
            f"0, got popularity = {got}; pass popularity=counts"
        )
    return popularity


def _check_lists(lists: Ragged, requests: Requests, num_items: int) -> None:
    if len(lists) != len(requests):
        raise BadInputError(
            f"got {len(lists)} lists for {len(requests)} requests, expected one list per request"
        )
    values = lists.values
    if len(values) and (values.min() < 0 or values.max() >= num_items):
        raise BadInputError(
            f"got listed items from {values.min()} to {values.max()}, expected item rows below "
            f"{num_items}; look the ids up in the vocabulary of the events"
        )
