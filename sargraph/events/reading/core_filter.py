"""The core filter: rare terms, then users and items with too few partners, are left out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from sargraph.core.types import NO_ROW, BoolArray, IntArray
from sargraph.events.reading.identifiers import chase
from sargraph.events.reading.ledger import FILTERED, Ledger
from sargraph.events.reading.log import Log
from sargraph.events.recipe import Core
from sargraph.events.text import Query


def keep_core(log: Log, core: Core, ledger: Ledger) -> None:
    """Apply a recipe's `[core]`: terms once, then users and items until nothing changes.

    Cost: O(n log n) per round; a handful of rounds.
    """
    if core.min_term_uses > 1:
        _keep_terms(log, core.min_term_uses, ledger)
    if core.min_user_items or core.min_item_users:
        _keep_pairs(log, core, ledger)


def _keep_terms(log: Log, min_uses: int, ledger: Ledger) -> None:
    """Leave rare terms out of queries; a search whose query had terms and has none left goes."""
    has_query = log["query"] != NO_ROW
    uses_of_query = np.bincount(_searched(log, has_query), minlength=len(log.queries))
    uses: dict[str, int] = {}
    for query, count in zip(log.queries, uses_of_query.tolist(), strict=True):
        for term in set(query.terms):
            uses[term] = uses.get(term, 0) + count
    code_of: dict[Query, int] = {}
    new_code = []
    for query in log.queries:
        terms = tuple(term for term in query.terms if uses[term] >= min_uses)
        lost_all = bool(query.terms) and not terms
        kept = query._replace(terms=terms)
        new_code.append(NO_ROW if lost_all else code_of.setdefault(kept, len(code_of)))
    log.columns["query"] = chase(np.array(new_code, dtype=np.int32), log["query"])
    log.queries = list(code_of)
    log.keep(~has_query | (log["query"] != NO_ROW), ledger, FILTERED, "rare terms")


def _searched(log: Log, has_query: BoolArray) -> IntArray:
    """The query of each search: the rows of one search count once."""
    keys = {name: log[name][has_query] for name in ("user", "search", "query")}
    return np.asarray(keys["query"][~pd.DataFrame(keys).duplicated().to_numpy()])


def _keep_pairs(log: Log, core: Core, ledger: Ledger) -> None:
    """Leave out users and items below the core of the distinct pairs of choices."""
    chosen = log.is_choice
    width = max(len(log.item_ids), 1)
    pairs = np.unique(log["user"][chosen].astype(np.int64) * width + log["item"][chosen])
    user, item = np.divmod(pairs, width)
    kept_user, kept_item = core_of(
        user,
        item,
        (len(log.user_ids), len(log.item_ids)),
        (core.min_user_items, core.min_item_users),
    )
    in_core = kept_user[log["user"]] & (kept_item[log["item"]] | (log["item"] == NO_ROW))
    log.keep(in_core, ledger, FILTERED, "outside core")


def core_of(
    user: IntArray, item: IntArray, sizes: tuple[int, int], least: tuple[int, int]
) -> tuple[BoolArray, BoolArray]:
    """Users and items of the largest set of pairs where each user and item has enough partners.

    Masks bool [users] and bool [items]. The result does not depend on the order of removal.
    """
    kept: npt.NDArray[np.bool_] = np.ones(len(user), dtype=bool)
    while True:
        enough_items = np.bincount(user[kept], minlength=sizes[0]) >= least[0]
        enough_users = np.bincount(item[kept], minlength=sizes[1]) >= least[1]
        still = kept & enough_items[user] & enough_users[item]
        if still.sum() == kept.sum():
            return enough_items, enough_users
        kept = still
