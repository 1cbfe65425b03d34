"""The report as one HTML page: tables, dots with intervals, verdicts and the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sargraph.core.page import Page, paragraph, table
from sargraph.evaluation.report_text import metric_table, size_text, slice_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sargraph.evaluation.report import Report


def report_page(report: Report) -> Page:
    """A page of its own for a report."""
    page = Page(report.title, f"Primary metric {report.metric}; mean over users, 95 % intervals.")
    report_sections(page, report)
    return page


def report_sections(page: Page, report: Report) -> None:
    """Add to a page: a section per task and candidates, then verdicts and protocol."""
    for (task, candidates), rows in report.frame.groupby(["task", "candidates"], sort=False):
        blocks = [paragraph(size_text(rows), note=True)]
        blocks.append(table(metric_table(rows, report.metric), best=_best(rows, report.metric)))
        chosen = rows[(rows["metric"] == report.metric) & rows["value"].notna()]
        if not chosen.empty:
            blocks.append(page.plot(dots(chosen, report.metric)))
        if rows["slice"].nunique() > 1:
            blocks.append(table(slice_table(rows, report.metric)))
        page.section(f"{task}, {candidates}", *blocks)
    if not report.verdicts.empty:
        page.section("Verdicts", *(paragraph(line) for line in report.verdict_lines()))
    page.section("Protocol", *(paragraph(line) for line in report.protocol_lines()))


def dots(rows: pd.DataFrame, metric: str) -> go.Figure:
    """A dot per model and slice with its interval; rows of one metric."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for model, part in rows.groupby("model", sort=False):
        value = part["value"].to_numpy()
        above = np.nan_to_num(part["high"].to_numpy() - value)
        below = np.nan_to_num(value - part["low"].to_numpy())
        bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
        figure.add_scatter(
            x=value, y=part["slice"].tolist(), name=str(model), mode="markers", error_x=bars
        )
    num_dots = rows["slice"].nunique() * (1 + rows["model"].nunique())
    figure.update_layout(
        template="plotly_white",
        scattermode="group",
        height=160 + 22 * num_dots,
        margin={"l": 10, "r": 10, "t": 20, "b": 40},
        legend={"orientation": "h"},
    )
    figure.update_xaxes(title=metric, rangemode="tozero")
    figure.update_yaxes(automargin=True, autorange="reversed")
    return figure


def panels(rows: pd.DataFrame, metric: str) -> go.Figure:
    """A panel per candidates, a line per model with its interval; rows of one metric."""
    from plotly.subplots import make_subplots

    kinds = rows["candidates"].unique().tolist()
    models = rows["model"].unique().tolist()
    figure = make_subplots(
        rows=1, cols=len(kinds), shared_yaxes=True, subplot_titles=kinds, horizontal_spacing=0.04
    )
    for column, kind in enumerate(kinds, start=1):
        part = rows[rows["candidates"] == kind]
        value = part["value"].to_numpy()
        bars = {
            "type": "data",
            "symmetric": False,
            "array": np.nan_to_num(part["high"].to_numpy() - value),
            "arrayminus": np.nan_to_num(value - part["low"].to_numpy()),
            "color": "#8fa6d8",
        }
        dot = {"color": "#2f5fd0", "size": 10}
        figure.add_scatter(
            x=value, y=part["model"], mode="markers", error_x=bars, marker=dot,
            showlegend=False, row=1, col=column,
        )  # fmt: skip
    figure.update_layout(
        template="plotly_white",
        height=110 + 34 * len(models),
        margin={"l": 10, "r": 10, "t": 36, "b": 44},
    )
    figure.update_xaxes(title=metric, rangemode="tozero")
    figure.update_yaxes(automargin=True, autorange="reversed", col=1)
    return figure


def _best(rows: pd.DataFrame, metric: str) -> list[int]:
    """Place of the best model in the table of all requests, none where there is no figure."""
    whole = rows[(rows["slice"] == "all") & (rows["metric"] == metric)]
    values = whole["value"].to_numpy()
    return [] if len(values) == 0 or np.isnan(values).any() else [int(values.argmax())]
