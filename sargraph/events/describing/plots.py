"""Plots of a data set's card: every figure is aggregated first, so that a page stays small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.events.describing.measures import session_lengths
from sargraph.events.describing.resolution import DAY, HOUR
from sargraph.events.events import Events
from sargraph.events.schema import SOURCES
from sargraph.events.transitions import TRANSITIONS, Transitions

if TYPE_CHECKING:
    import plotly.graph_objects as go

SOURCE_COLOURS = {"search": "#2f5fd0", "recommend": "#e0812f"}
TRANSITION_COLOURS = {"S2S": "#2f5fd0", "R2R": "#e0812f", "S2R": "#1d9a6c", "R2S": "#a14fc4"}

MAX_POINTS = 200
"""Points of a curve; those of a long one are spread evenly over its logarithmic axis."""

_TICKS = {"1 s": 1e3, "1 min": 6e4, "1 h": HOUR, "1 d": DAY, "1 w": 7 * DAY, "1 y": 365 * DAY}


def tail_plot(events: Events) -> go.Figure:
    """Events of each item and of each query, from the commonest to the rarest."""
    figure = _side_by_side("events of items", "events of queries")
    for column, rows in enumerate((events.item, events.query), start=1):
        counts = np.bincount(rows[rows != NO_ROW])
        counts = np.sort(counts[counts > 0])[::-1]
        at = _log_places(len(counts))
        colour = list(SOURCE_COLOURS.values())[2 - column]
        _line(figure, at + 1, counts[at], "", colour, column)
    figure.update_xaxes(type="log", dtick=1, title="rank")
    figure.update_yaxes(type="log", dtick=1)
    figure.update_yaxes(title="events", col=1)
    return figure


def activity_plot(events: Events) -> go.Figure:
    """Share of users, and of sessions, with at least so many events."""
    figure = _side_by_side("events per user", "events per session")
    for code, (name, lengths) in enumerate(session_lengths(events).items()):
        per_user = np.bincount(events.user[events.columns["source"] == code])
        _at_least(figure, per_user[per_user > 0], name, 1)
        _at_least(figure, lengths, name, 2)
    figure.update_xaxes(type="log", dtick=1, title="at least so many events")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(title="share", col=1)
    return figure


def time_plot(events: Events, *, has_hours: bool) -> go.Figure:
    """Events over time, and by hour of the day (UTC) where the times are that fine."""
    figure = _side_by_side("events over time", "by hour of the day, UTC" if has_hours else "")
    for code, name in enumerate(SOURCES):
        time = events.time[(events.columns["source"] == code) & events.is_timed]
        if not len(time):
            continue
        starts, counts = _over_time(time, events)
        x = starts.astype("datetime64[ms]") if events.time_kind == "ms" else starts
        _line(figure, x, counts, name, SOURCE_COLOURS[name], 1)
        if has_hours:
            hours = np.bincount(time // HOUR % 24, minlength=24) / len(time)
            _line(figure, np.arange(24), hours, name, SOURCE_COLOURS[name], 2)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title="events", col=1)
    figure.update_yaxes(tickformat=".0%", title="share of the source", col=2)
    if events.time_kind != "ms":
        figure.update_xaxes(title="place in the order", col=1)
    figure.update_xaxes(dtick=4, col=2, visible=has_hours)
    figure.update_yaxes(visible=has_hours, col=2)
    return figure


def gap_plot(events: Events, labels: Transitions) -> go.Figure:
    """For each transition the distribution of the gap before it, on a logarithmic axis."""
    import plotly.graph_objects as go

    figure = go.Figure()
    rows = np.flatnonzero(labels.is_first)
    top = max(float(labels.gap[rows].max(initial=1)), 10.0)
    edges = np.logspace(0 if events.time_kind != "ms" else 2, np.log10(top), 40)
    if events.time_kind != "ms":
        edges = np.unique(np.round(edges)) - 0.5
    middle = np.sqrt(np.maximum(edges[1:], 0.5) * np.maximum(edges[:-1], 0.5))
    for code, name in enumerate(TRANSITIONS):
        gap = labels.gap[rows[labels.kind[rows] == code]]
        if len(gap):
            share = np.histogram(np.clip(gap, edges[0], edges[-1]), edges)[0] / len(gap)
            colour = {"color": TRANSITION_COLOURS[name], "width": 2}
            figure.add_scatter(x=middle, y=share, name=name, mode="lines", line=colour)
    ticks = {n: v for n, v in _TICKS.items() if v <= top}
    clock = {"tickvals": list(ticks.values()), "ticktext": list(ticks)}
    figure.update_xaxes(type="log", title="since the behaviour before",
                        **(clock if events.time_kind == "ms" else {}))  # fmt: skip
    figure.update_yaxes(tickformat=".0%", title="share of the transition", rangemode="tozero")
    return _styled(figure)


def _side_by_side(*titles: str) -> go.Figure:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=len(titles), subplot_titles=titles, horizontal_spacing=0.09)
    return _styled(figure)


def _styled(figure: go.Figure) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=330,
        margin={"t": 34, "l": 10, "r": 10, "b": 10},
        legend={"orientation": "h", "y": -0.25, "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _line(figure: go.Figure, x: object, y: object, name: str, colour: str, column: int) -> None:
    shown = bool(name) and all(trace.name != name for trace in figure.data)
    figure.add_scatter(
        x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 2},
        legendgroup=name or None, showlegend=shown, row=1, col=column,
    )  # fmt: skip


def _at_least(figure: go.Figure, counts: IntArray, name: str, column: int) -> None:
    if len(counts):
        size, number = np.unique(counts, return_counts=True)
        share = number[::-1].cumsum()[::-1] / len(counts)
        at = _log_places(len(size))
        _line(figure, size[at], share[at], name, SOURCE_COLOURS[name], column)


def _over_time(time: IntArray, events: Events) -> tuple[IntArray, IntArray]:
    """Starts of steps over all the time of the log, and the number of times inside each."""
    every = events.time[events.is_timed]
    first, last = int(every.min()), int(every.max())
    step = 1
    if events.time_kind == "ms":
        days = (last - first) // DAY
        step = HOUR if days < 4 else DAY * (1 if days < 250 else 7 if days < 1500 else 30)
        first = first // step * step
    step = max(step, (last - first) // MAX_POINTS // step * step)
    counts = np.bincount((time - first) // step, minlength=(last - first) // step + 1)
    return first + step * np.arange(len(counts)), counts


def _log_places(size: int) -> IntArray:
    """Up to MAX_POINTS places below `size`, dense at the start."""
    if size <= MAX_POINTS:
        return np.arange(size)
    places: DoubleArray = np.logspace(0, np.log10(size), MAX_POINTS)
    return np.unique(places.astype(np.int64)) - 1
