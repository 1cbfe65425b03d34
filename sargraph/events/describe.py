"""What a set of events holds: counts, shares, lengths and times."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from sargraph.core.types import NO_TIME, BoolArray
from sargraph.events.events import Events
from sargraph.events.schema import ACTIONS, SOURCES


def describe_events(events: Events) -> pd.DataFrame:
    """One line per statistic: (statistic, value, note). Cost: O(n log n)."""
    lines = [*_sizes(events), *_actions(events), *_activity(events), *_times(events)]
    lines += [(f"ingestion: {name}", f"{count:,}", "") for name, count in _fates(events)]
    return pd.DataFrame(lines, columns=["statistic", "value", "note"])


def readable_time(time: int, kind: str) -> str:
    """A time as a person reads it: a date, a place in an order, or a dash for none."""
    if time == NO_TIME:
        return "-"
    if kind != "ms":
        return f"place {time:,}"
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _sizes(events: Events) -> list[tuple[str, str, str]]:
    sizes = {"events": len(events), "users": len(events.users), "items": len(events.items),
             "queries": len(events.queries), "terms": len(events.terms)}  # fmt: skip
    notes = {"queries": f"{events.query_kind} texts"}
    return [(name, f"{size:,}", notes.get(name, "")) for name, size in sizes.items()]


def _actions(events: Events) -> list[tuple[str, str, str]]:
    lines = []
    for source, name in enumerate(SOURCES):
        here = events.columns["source"] == source
        for action, verb in enumerate(ACTIONS):
            count = int(np.sum(here & (events.columns["action"] == action)))
            if count:
                share = f"{count / len(events):.1%} of events"
                lines.append((f"{name}: {verb}", f"{count:,}", share))
    return lines


def _activity(events: Events) -> list[tuple[str, str, str]]:
    def quartiles(mask: BoolArray) -> str:
        counts = np.bincount(events.user[mask], minlength=len(events.users))
        low, middle, high = np.percentile(counts, [25, 50, 75]).astype(int)
        return f"{low} / {middle} / {high}"

    chosen = events.is_positive
    both = np.intersect1d(
        events.user[chosen & events.is_search], events.user[chosen & events.is_recommend]
    )
    return [
        ("choices per user", quartiles(chosen), "quartiles"),
        ("search choices per user", quartiles(chosen & events.is_search), "quartiles"),
        ("users with both sources", f"{len(both):,}", f"{len(both) / len(events.users):.1%}"),
    ]


def _times(events: Events) -> list[tuple[str, str, str]]:
    timed = events.time[events.is_timed]
    share = len(timed) / max(len(events), 1)
    lines = [("events with a time", f"{share:.1%}", f"time is {events.time_kind}")]
    if len(timed):
        first, last = (readable_time(int(t), events.time_kind) for t in (timed.min(), timed.max()))
        lines.append(("period", f"{first} to {last}", ""))
    return lines


def _fates(events: Events) -> list[tuple[str, int]]:
    """Whatever the ingestion counted, nested counts with a slash."""
    flat: list[tuple[str, int]] = []
    for name, value in sorted(events.report.items()):
        if isinstance(value, dict):
            flat += [(f"{name}/{k}", v) for k, v in sorted(value.items()) if isinstance(v, int)]
        elif isinstance(value, int):
            flat.append((name, value))
    return flat
