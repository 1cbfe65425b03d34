"""The report of an ingestion: what became of every row, and what was met on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from sargraph.events.events import Events
from sargraph.events.reading.entries import Rows
from sargraph.events.reading.identifiers import SAMPLE, Coded, count_alike
from sargraph.events.reading.ledger import Ledger
from sargraph.events.reading.quarantine import Quarantine


def report_of(
    events: Events, ledger: Ledger, quarantine: Quarantine, counts: Counter[str]
) -> dict[str, Any]:
    """All counts of an ingestion.

    rows = used + merged + filtered + quarantined, over all files and for each of `files`. A row
    can be used in several events, and `notes` count what changed no fate.
    """
    return {
        **ledger.totals(),
        "files": ledger.counts(),
        "notes": {name: int(value) for name, value in sorted(counts.items())},
        "quarantine_sample": quarantine.sample(),
        **_sizes(events),
    }


def _sizes(events: Events) -> dict[str, Any]:
    is_timed = events.is_timed
    num_timed = int(is_timed.sum())
    latest = np.iinfo(np.int64).max
    first = int(events.time.min(initial=latest, where=is_timed)) if num_timed else None
    searches_of = np.bincount(events.query[events.is_search] + 1)[1:]
    sizes = {
        f"{kind}s" if kind != "query" else "queries": len(v)
        for kind, v in events.vocabularies.items()
    }
    priced = {} if events.price is None else {"priced_events": int((events.price >= 0).sum())}
    return {
        **priced,
        "events": len(events),
        "search_events": int(events.is_search.sum()),
        "recommend_events": int(events.is_recommend.sum()),
        "timed_events": num_timed,
        "terms_in_searches": int(searches_of @ events.query_terms.lengths[: len(searches_of)]),
        "sessions": int(events.session.max(initial=-1)) + 1,
        "most_events_of_a_user": int(np.bincount(events.user).max(initial=0)),
        "first_time": first,
        "last_time": int(events.time.max()) if num_timed else None,
        **sizes,
    }


def about_ids(parts: Sequence[Rows]) -> dict[str, Any]:
    """For users and items: ids that several spellings became, and ids that merely look alike."""
    return {
        "user": _about([part.user for part in parts]),
        "item": _about([part.item for part in parts]),
    }


def _about(columns: Sequence[Coded]) -> dict[str, Any]:
    num_alike, alike = count_alike(Coded.unite(columns)[0])
    joined = [f"{spelling!r} is {id_}" for column in columns for spelling, id_ in column.joined]
    return {
        "spellings_joined": sum(column.num_joined for column in columns),
        "joined_sample": joined[:SAMPLE],
        "alike": num_alike,
        "alike_sample": alike,
    }
