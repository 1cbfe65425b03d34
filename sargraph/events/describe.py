"""What a set of events holds: counts, shares, lengths, times, transitions, and its verdict."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from sargraph.core.types import NO_TIME, BoolArray
from sargraph.events.describing.measures import (
    lost_rows,
    readable_gap,
    session_lengths,
    transition_table,
)
from sargraph.events.events import Events
from sargraph.events.identifiability import identifiability
from sargraph.events.schema import ACTIONS, SOURCES
from sargraph.events.transitions import Transitions, transitions_of

Line = tuple[str, str, str]
"""(statistic, value, note)"""


def describe_events(events: Events) -> pd.DataFrame:
    """One line per statistic: (statistic, value, note). Cost: O(n log n)."""
    labels = transitions_of(events)
    lines = [*_sizes(events), *_actions(events), *_activity(events), *_times(events)]
    lines += [*_sessions(events), *_transitions(events, labels)]
    decided = identifiability(events, labels).to_frame()
    lines += [("identifiable" if s == "verdict" else s, v, note)
              for s, v, note in decided.itertuples(index=False, name=None)]  # fmt: skip
    return pd.DataFrame([*lines, *_fates(events)], columns=["statistic", "value", "note"])


def readable_time(time: int, kind: str) -> str:
    """A time as a person reads it: a date, a place in an order, or a dash for none."""
    if time == NO_TIME:
        return "-"
    if kind != "ms":
        return f"place {time:,}"
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _sizes(events: Events) -> list[Line]:
    sizes = {"events": len(events), "users": len(events.users), "items": len(events.items),
             "queries": len(events.queries), "terms": len(events.terms)}  # fmt: skip
    notes = {"queries": f"{events.query_kind} texts"}
    return [(name, f"{size:,}", notes.get(name, "")) for name, size in sizes.items()]


def _actions(events: Events) -> list[Line]:
    lines = []
    for source, name in enumerate(SOURCES):
        here = events.columns["source"] == source
        for action, verb in enumerate(ACTIONS):
            count = int(np.sum(here & (events.columns["action"] == action)))
            if count:
                share = f"{count / len(events):.1%} of events"
                lines.append((f"{name}: {verb}", f"{count:,}", share))
    return lines


def _activity(events: Events) -> list[Line]:
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
        (
            "users with choices in both sources",
            f"{len(both):,}",
            f"{len(both) / len(events.users):.1%} of users; timed or not",
        ),
    ]


def _times(events: Events) -> list[Line]:
    timed = events.time[events.is_timed]
    share = len(timed) / max(len(events), 1)
    lines = [("events with a time", f"{share:.1%}", f"time is {events.time_kind}")]
    if len(timed):
        first, last = (readable_time(int(t), events.time_kind) for t in (timed.min(), timed.max()))
        zone = "UTC" if events.time_kind == "ms" else ""
        lines.append(("period", f"{first} to {last}", zone))
    return lines


def _sessions(events: Events) -> list[Line]:
    lines = []
    for name, lengths in session_lengths(events).items():
        if len(lengths):
            middle, high = np.percentile(lengths, [50, 90]).astype(int)
            note = f"events of one: median {middle}, 90 % have at most {high}"
            lines.append((f"{name} sessions", f"{len(lengths):,}", note))
    return lines


def _transitions(events: Events, labels: Transitions) -> list[Line]:
    lines = []
    table = transition_table(events, labels)
    for name, count, share, _, gap in table.itertuples(index=False, name=None):
        about = f"median gap {readable_gap(gap, events.time_kind)}"
        if name == "none":
            about = "nothing before, or both sources at once"
        if count:
            note = f"{share:.1%} of timed behaviours; {about}"
            lines.append((f"transition {name}", f"{count:,}", note))
    return lines


def _fates(events: Events) -> list[Line]:
    """Source rows read, and those that are in no event of their own."""
    report = events.report
    if "files" not in report:
        return []
    read = sum(file["rows"] for file in report["files"].values())
    used = sum(file["used"] for file in report["files"].values())
    lines = [("source rows", f"{read:,}", f"{used:,} of them used")]
    for fate, why, rows in lost_rows(report).itertuples(index=False, name=None):
        lines.append((f"source rows {fate}", f"{rows:,}", why))
    return lines
