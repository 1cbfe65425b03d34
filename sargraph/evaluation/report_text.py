"""The words and tables of a report, shared by the screen and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from sargraph.evaluation.verdicts import TOO_FEW


def metric_table(rows: pd.DataFrame, primary: str) -> pd.DataFrame:
    """All requests of one task: a row per model, a column per metric, as text.

    The primary metric comes with its interval, and with the lowest and highest mean of one seed
    where there are several; NDCG@1 is left out, it equals HR@1.
    """
    rows = rows[(rows["slice"] == "all") & (rows["metric"] != "NDCG@1")]
    table = pd.DataFrame({"model": rows["model"].unique()})
    for name, part in rows.groupby("metric", sort=False):
        texts = {row["model"]: _figure(row, name == primary) for row in part.to_dict("records")}
        table[str(name)] = [texts.get(model, "") for model in table["model"]]
        if name == primary and (part["seeds"] > 1).any():
            spreads = {row["model"]: _spread(row) for row in part.to_dict("records")}
            table["over seeds"] = [spreads.get(model, "") for model in table["model"]]
    return table


def slice_table(rows: pd.DataFrame, primary: str, *, intervals: bool = True) -> pd.DataFrame:
    """A row per slice with its size, a column per model with the primary metric, as text."""
    rows = rows[rows["metric"] == primary]
    sizes = rows.groupby("slice", sort=False)[["users", "requests"]].first()
    table = pd.DataFrame({"slice": sizes.index.tolist()})
    for name in ("users", "requests"):
        table[name] = [f"{count:,}" for count in sizes[name]]
    for model, part in rows.groupby("model", sort=False):
        texts = {row["slice"]: _figure(row, intervals) for row in part.to_dict("records")}
        table[str(model)] = [texts.get(each, "") for each in table["slice"]]
    return table


def size_text(rows: pd.DataFrame) -> str:
    """Users and requests behind one task's figures."""
    whole = rows[rows["slice"] == "all"].iloc[0]
    return f"{whole['users']:,} users, {whole['requests']:,} requests"


def verdict_line(row: Mapping[Any, Any]) -> str:
    """One comparison as one line, in shares of the baseline where that is above zero."""
    start = f"{row['task']}, {row['candidates']}: {row['model']} against {row['baseline']}"
    if row["verdict"] == TOO_FEW:
        return f"{start}: {TOO_FEW}"
    gain, low, high, seen = (
        percent(row, name) for name in ("difference", "low", "high", "detectable")
    )
    why = f" ({row['reason']})" if row["reason"] else ""
    return (
        f"{start}: {row['metric']} {gain} [{low}, {high}], p = {row['p_holm']:.4f} (Holm), "
        f"smallest detectable effect {seen}{_seeds(row)}: {row['verdict']}{why}"
    )


def percent(row: Mapping[Any, Any], name: str) -> str:
    """A difference in percent of the baseline, or as it is where the baseline is zero; NaN: `-`."""
    if np.isnan(row[name]):
        return "-"
    if row["baseline_value"] > 0:
        return f"{row[name] * 100 / row['baseline_value']:+.1f} %"
    return f"{row[name]:+.4f}"


def _seeds(row: Mapping[Any, Any]) -> str:
    """The seeds behind a comparison, where they are known."""
    if not row["seeds"]:
        return ""
    return f", {row['seeds']} against {row['baseline_seeds']} seed(s)"


def screen_table(title: str, frame: pd.DataFrame) -> Table:
    """A table of texts for the screen: the first column to the left, figures to the right."""
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(frame.columns):
        table.add_column(str(name), justify="right" if place else "left")
    for values in frame.itertuples(index=False):
        table.add_row(*(str(value) for value in values))
    return table


def on_screen(parts: Sequence[str | Table], width: int) -> str:
    """Lines and tables as plain text of so many columns."""
    out = StringIO()
    console = Console(file=out, width=width, no_color=True, highlight=False, markup=False)
    for part in parts:
        console.print(part)
    return out.getvalue()


def _figure(row: Mapping[Any, Any], with_interval: bool) -> str:
    if np.isnan(row["value"]):
        return TOO_FEW
    figure = f"{row['value']:.4f}"
    if with_interval and not np.isnan(row["low"]):
        return f"{figure} [{row['low']:.4f}, {row['high']:.4f}]"
    return figure


def _spread(row: Mapping[Any, Any]) -> str:
    """Lowest and highest mean of one seed, and the number of seeds."""
    if np.isnan(row["seed_low"]):
        return "one seed" if row["seeds"] == 1 else ""
    return f"{row['seed_low']:.4f} to {row['seed_high']:.4f} ({row['seeds']} seeds)"
