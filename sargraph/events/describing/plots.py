"""Plots of a data set's card: every figure is aggregated first, so that a page stays small."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING

import numpy as np

from sargraph.core.types import NO_ROW, DoubleArray, IntArray
from sargraph.events.describing.measures import session_lengths
from sargraph.events.describing.resolution import DAY, HOUR, local_midnights, resolution_of
from sargraph.events.events import Events
from sargraph.events.schema import SOURCES
from sargraph.events.transitions import TRANSITIONS, Transitions

if TYPE_CHECKING:
    import plotly.graph_objects as go

SOURCE_COLOURS = {"search": "#2f5fd0", "recommend": "#e0812f"}
TRANSITION_COLOURS = {"S2S": "#2f5fd0", "R2R": "#e0812f", "S2R": "#1d9a6c", "R2S": "#a14fc4"}

MAX_POINTS = 200
"""Points of a curve; those of a long one are spread evenly over its logarithmic axis."""

FEW_POINTS = 20
"""Curves of fewer points show them: one point draws no line."""

_TICKS = {"1 ms": 1, "10 ms": 10, "100 ms": 100, "1 s": 1_000, "1 min": 60_000,
          "1 h": HOUR, "1 d": DAY, "1 w": 7 * DAY, "1 y": 365 * DAY}  # fmt: skip

_SINCE = "since the behaviour before"


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
    is_clock = events.time_kind == "ms"
    top = int(labels.gap[rows].max(initial=10))
    edges = _gap_edges(top, is_clock)
    middle = np.sqrt(edges[1:] * edges[:-1])
    for code, name in enumerate(TRANSITIONS):
        gap = labels.gap[rows[labels.kind[rows] == code]]
        if len(gap):
            share = np.histogram(np.clip(gap, edges[0], edges[-1]), edges)[0] / len(gap)
            figure.add_scatter(
                x=middle, y=share, name=name, mode=_mode(middle), showlegend=True,
                line={"color": TRANSITION_COLOURS[name], "width": 2},
            )  # fmt: skip
    figure.update_xaxes(type="log", title=f"{'time' if is_clock else 'places'} {_SINCE}")
    if is_clock:
        ticks = {name: size for name, size in _TICKS.items() if size <= top}
        figure.update_xaxes(tickvals=list(ticks.values()), ticktext=list(ticks))
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


def _line(figure: go.Figure, x: Sized, y: object, name: str, colour: str, column: int) -> None:
    shown = bool(name) and all(trace.name != name for trace in figure.data)
    figure.add_scatter(
        x=x, y=y, name=name, mode=_mode(x), line={"color": colour, "width": 2},
        legendgroup=name or None, showlegend=shown, row=1, col=column,
    )  # fmt: skip


def _at_least(figure: go.Figure, counts: IntArray, name: str, column: int) -> None:
    if len(counts):
        size, number = np.unique(counts, return_counts=True)
        share = number[::-1].cumsum()[::-1] / len(counts)
        at = _log_places(len(size))
        _line(figure, size[at], share[at], name, SOURCE_COLOURS[name], column)


def _mode(points: Sized) -> str:
    return "lines+markers" if len(points) < FEW_POINTS else "lines"


def _gap_edges(top: int, is_clock: bool) -> DoubleArray:
    """Edges of bins over the gaps up to `top`, between whole numbers, wider and wider."""
    # Clock times are seldom finer than 100 ms: smaller gaps share a bin unless all are small.
    lowest = 2 if is_clock and top > 1_000 else 0
    edges = np.logspace(lowest, np.log10(top + 1), 40)
    return np.asarray(np.unique(np.round(edges)) - 0.5)


def _over_time(time: IntArray, events: Events) -> tuple[IntArray, IntArray]:
    """Starts of steps over all the time of the log, and the number of times inside each."""
    every = events.time[events.is_timed]
    first, last = int(every.min()), int(every.max())
    step = 1
    if events.time_kind == "ms":
        days = (last - first) // DAY
        resolution = resolution_of(every, "ms")
        if resolution == "month":
            time, every = local_midnights(time, every), local_midnights(every, every)
        if resolution == "month" or days >= 7 * MAX_POINTS:
            return _by_calendar(time, every)
        step = HOUR if days < 4 else DAY * (1 if days < MAX_POINTS else 7)
        first = first // step * step
    step = max(step, (last - first) // MAX_POINTS // step * step)
    counts = np.bincount((time - first) // step, minlength=(last - first) // step + 1)
    return first + step * np.arange(len(counts)), counts


def _by_calendar(time: IntArray, every: IntArray) -> tuple[IntArray, IntArray]:
    """`_over_time` by calendar months; by years where these would be more than MAX_POINTS."""
    for unit in ("M", "Y"):
        place, all_places = (
            t.astype("datetime64[ms]").astype(f"datetime64[{unit}]").astype(np.int64)
            for t in (time, every)
        )
        first, last = int(all_places.min()), int(all_places.max())
        if last - first < MAX_POINTS:
            break
    counts = np.bincount(place - first, minlength=last - first + 1)
    starts = (first + np.arange(len(counts))).astype(f"datetime64[{unit}]")
    return starts.astype("datetime64[ms]").astype(np.int64), counts


def _log_places(size: int) -> IntArray:
    """Up to MAX_POINTS places below `size`, dense at the start."""
    if size <= MAX_POINTS:
        return np.arange(size)
    places: DoubleArray = np.logspace(0, np.log10(size), MAX_POINTS)
    return np.unique(places.astype(np.int64)) - 1
