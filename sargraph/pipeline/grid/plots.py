"""Plots of an experiment: every figure a dot with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import plotly.graph_objects as go

VERDICT_COLOURS = {"shown": "#2e9e5b", "refuted": "#d0523f", "cannot tell": "#7b8799"}
_DOT, _BAR, _MARKED = "#2f5fd0", "#6f8fd8", "#e0812b"
_FONT = {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13,
         "color": "#1d2433"}  # fmt: skip


def arm_plot(rows: pd.DataFrame, metric: str, marked: str = "") -> go.Figure:
    """A panel per candidates, a line per model; the `marked` model's value is a line through all.

    `rows`: figures of one task and metric on all requests (`summary.FRAME_COLUMNS`).
    """
    from plotly.subplots import make_subplots

    kinds = rows["candidates"].unique().tolist()
    models = rows["model"].unique().tolist()
    figure = make_subplots(
        rows=1, cols=len(kinds), shared_yaxes=True, subplot_titles=kinds, horizontal_spacing=0.05
    )
    for column, kind in enumerate(kinds, start=1):
        part = rows[rows["candidates"] == kind].set_index("model").reindex(models)
        colours = [_MARKED if model == marked else _DOT for model in models]
        figure.add_scatter(
            x=part["value"], y=models, mode="markers", showlegend=False,
            error_x=_bars(part["value"], part["low"], part["high"]),
            marker={"color": colours, "size": 7}, cliponaxis=False,
            hovertemplate="%{y}: %{x:.4f}<extra></extra>", row=1, col=column,
        )  # fmt: skip
        if marked in part.index and not np.isnan(part.loc[marked, "value"]):
            line = {"color": _MARKED, "width": 1, "dash": "dot"}
            figure.add_vline(x=part.loc[marked, "value"], line=line, row=1, col=column)
    _shape(figure, 96 + 28 * len(models))
    figure.update_xaxes(title=_title(metric), rangemode="tozero")
    figure.update_yaxes(autorange="reversed", col=1)
    return figure


def slice_plot(rows: pd.DataFrame, metric: str) -> go.Figure:
    """A line per slice, a colour per model; rows of one metric, candidates and task."""
    import plotly.graph_objects as go

    colours = ["#2f5fd0", "#e0812b", "#2e9e5b", "#8a4fbf", "#7b8799"]
    figure = go.Figure()
    slices = rows["slice"].unique().tolist()
    models = rows["model"].unique().tolist()
    for place, model in enumerate(models):
        part = rows[rows["model"] == model].set_index("slice").reindex(slices)
        colour = colours[place % len(colours)]
        shift = (place - (len(models) - 1) / 2) * 0.8 / max(len(models), 1)
        figure.add_scatter(
            x=part["value"], y=np.arange(len(slices)) + shift, name=model, mode="markers",
            error_x=_bars(part["value"], part["low"], part["high"], colour),
            marker={"color": colour, "size": 7}, text=slices, cliponaxis=False,
            hovertemplate="%{text}: %{x:.4f}<extra>" + model + "</extra>",
        )  # fmt: skip
    _shape(figure, 110 + (14 + 11 * len(models)) * len(slices))
    figure.update_layout(legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"})
    figure.update_xaxes(title=_title(metric), rangemode="tozero")
    ticks = {"tickvals": list(range(len(slices))), "ticktext": slices}
    figure.update_yaxes(range=[len(slices) - 0.5, -0.5], **ticks)
    return figure


def claim_plot(verdicts: pd.DataFrame, names: list[str]) -> go.Figure:
    """Gains over the baseline in percent with intervals, a line per claim, coloured by verdict.

    Grey bars reach as far as the smallest detectable effect. `verdicts`: `claims.COLUMNS`, with a
    baseline above zero.
    """
    import plotly.graph_objects as go

    scale = 100 / verdicts["baseline_value"]
    gain, low, high, seen = (
        verdicts[name] * scale for name in ("difference", "low", "high", "detectable")
    )
    figure = go.Figure()
    places = np.arange(len(names))
    figure.add_scatter(
        x=np.zeros(len(names)), y=places, mode="markers", name="smallest detectable effect",
        error_x={"type": "data", "array": seen, "color": "#e3e7ee", "thickness": 10, "width": 0},
        marker={"color": "#e3e7ee", "size": 10, "symbol": "square"}, hoverinfo="skip",
    )  # fmt: skip
    for word, colour in VERDICT_COLOURS.items():
        own = (verdicts["verdict"] == word).to_numpy()
        if own.any():
            figure.add_scatter(
                x=gain[own], y=places[own], mode="markers", name=word,
                error_x=_bars(gain[own], low[own], high[own], colour),
                marker={"color": colour, "size": 10},
                text=[name for name, mine in zip(names, own, strict=True) if mine],
                hovertemplate="%{text}: %{x:+.1f} %<extra></extra>",
            )  # fmt: skip
    figure.add_vline(x=0, line={"color": "#1d2433", "width": 1})
    _shape(figure, 110 + 26 * len(names))
    figure.update_layout(legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"})
    figure.update_xaxes(title=_title("gain over the baseline, %"))
    ticks = {"tickvals": places, "ticktext": names}
    figure.update_yaxes(range=[len(names) - 0.5, -0.5], **ticks)
    return figure


def _bars(
    value: pd.Series[float], low: pd.Series[float], high: pd.Series[float], colour: str = _BAR
) -> dict[str, object]:
    """Interval of each dot; a dot without one has a bar of no length."""
    return {
        "type": "data",
        "symmetric": False,
        "array": np.nan_to_num((high - value).to_numpy()),
        "arrayminus": np.nan_to_num((value - low).to_numpy()),
        "color": colour,
        "thickness": 2,
        "width": 3,
    }


def _title(text: str) -> dict[str, object]:
    return {"text": text, "font": {"size": 13}}


def _shape(figure: go.Figure, height: int) -> None:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 10, "r": 16, "t": 34, "b": 44},
        font=_FONT,
    )
    figure.update_yaxes(automargin=True, showgrid=True, gridcolor="#f0f2f6", zeroline=False)
    figure.update_xaxes(gridcolor="#e9edf4", zeroline=False)
    figure.update_annotations(font_size=14)
