"""The course of a training: loss and validation score by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go


def training_plot(history: Sequence[dict[str, Any]]) -> go.Figure:
    """Loss (left) and, where validated, the validation score (right) of each epoch."""
    from plotly.subplots import make_subplots

    figure = make_subplots(specs=[[{"secondary_y": True}]])
    epochs = [entry["epoch"] for entry in history]
    losses = [entry["loss"] for entry in history]
    line = {"color": "#2f5fd0", "width": 2}
    figure.add_scatter(x=epochs, y=losses, name="loss", mode="lines+markers", line=line)
    judged = [entry for entry in history if entry.get("score") is not None]
    if judged:
        figure.add_scatter(
            x=[entry["epoch"] for entry in judged], y=[entry["score"] for entry in judged],
            name="validation score", mode="lines+markers",
            line={"color": "#e0812b", "width": 2}, secondary_y=True,
        )  # fmt: skip
    figure.update_layout(
        template="plotly_white", height=280, margin={"l": 10, "r": 10, "t": 20, "b": 40},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
    )  # fmt: skip
    figure.update_xaxes(title="epoch", rangemode="tozero")
    figure.update_yaxes(title="loss", secondary_y=False, automargin=True)
    figure.update_yaxes(title="validation score", secondary_y=True, showgrid=False)
    return figure
