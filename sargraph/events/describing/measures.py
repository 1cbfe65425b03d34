"""Measures of a data set as small tables: transitions, sessions, users, fates of source rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sargraph.core.types import NO_ROW, IntArray
from sargraph.events.events import Events
from sargraph.events.schema import SOURCES
from sargraph.events.transitions import (
    NONE,
    R2R,
    R2S,
    S2R,
    S2S,
    TRANSITIONS,
    Transitions,
    small_sessions,
)

FATES = ("merged", "filtered", "quarantined")
"""What can become of a source row that is not used in an event."""


def transition_table(events: Events, labels: Transitions) -> pd.DataFrame:
    """Behaviours by transition: (transition, behaviours, share, users, median_gap).

    Shares are of all timed behaviours; the line `none` holds those with nothing before them, or
    with both sources at once. `median_gap` in ms (places of an ordinal log), NaN for none.
    """
    rows = np.flatnonzero(labels.is_first)
    kind = labels.kind[rows]
    lines = []
    for code, name in (*enumerate(TRANSITIONS), (NONE, "none")):
        here = rows[kind == code]
        users = len(np.unique(events.user[here]))
        known = code != NONE and len(here)
        gap = float(np.median(labels.gap[here])) if known else float("nan")
        lines.append((name, len(here), len(here) / max(len(rows), 1), users, gap))
    columns = ["transition", "behaviours", "share", "users", "median_gap"]
    return pd.DataFrame(lines, columns=columns)


def transition_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """The 2 x 2 matrix of a transition table: count, and share of the behaviours in its row."""
    count = table["behaviours"].to_numpy()
    lines = []
    for name, cells in (("search", (S2S, S2R)), ("recommendation", (R2S, R2R))):
        total = max(int(count[list(cells)].sum()), 1)
        lines.append((name, *(f"{count[cell]:,} ({count[cell] / total:.1%})" for cell in cells)))
    return pd.DataFrame(lines, columns=["from \\ to", "search", "recommendation"])


def session_lengths(events: Events) -> dict[str, IntArray]:
    """Events of each session, by source; events without a session stand in none."""
    session = small_sessions(events.session)
    lengths = {}
    for code, name in enumerate(SOURCES):
        inside = (events.columns["source"] == code) & (session != NO_ROW)
        counts = np.bincount(session[inside])
        lengths[name] = counts[counts > 0].astype(np.int64)
    return lengths


def busiest_users(events: Events, k: int = 10) -> pd.DataFrame:
    """The `k` users with the most events: their events, share and running share in per cent."""
    counts = np.bincount(events.user, minlength=len(events.users))
    order = np.argsort(-counts, kind="stable")[:k]
    share = counts[order] / max(len(events), 1)
    columns = {
        "user": [events.users.ids[row] for row in order.tolist()],
        "events": counts[order],
        "of all events, %": 100 * share,
        "together, %": 100 * np.cumsum(share),
    }
    return pd.DataFrame(columns)


def file_fates(report: dict[str, Any]) -> pd.DataFrame:
    """Source rows of each file and what became of them; empty where nothing was ingested."""
    files = report.get("files", {})
    lines = [
        (name, file["rows"], file["used"], *(sum(file[fate].values()) for fate in FATES))
        for name, file in files.items()
    ]
    frame = pd.DataFrame(lines, columns=["file", "rows", "used", *FATES])
    if len(lines) > 1:
        frame.loc[len(frame)] = ["all files", *frame.drop(columns="file").sum()]
    return frame


def lost_rows(report: dict[str, Any]) -> pd.DataFrame:
    """Source rows that are in no event of their own: (fate, why, rows), the most first."""
    counts: dict[tuple[str, str], int] = {}
    for file in report.get("files", {}).values():
        for fate in FATES:
            for why, rows in file[fate].items():
                counts[fate, why] = counts.get((fate, why), 0) + rows
    lines = [(*key, rows) for key, rows in sorted(counts.items(), key=lambda c: (-c[1], c[0]))]
    return pd.DataFrame(lines, columns=["fate", "why", "rows"])


def readable_gap(gap: float, time_kind: str) -> str:
    """A gap as a person reads it: `3.2 min`, or places of an order."""
    if gap != gap:
        return "-"
    if time_kind != "ms":
        return f"{gap:,.0f} places"
    for name, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if gap >= size:
            return f"{gap / size:.1f} {name}"
    return f"{gap:.0f} ms"
