"""A self-contained HTML page: headings, paragraphs, tables and plots, no network needed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_STYLE = """
:root { --ink:#1d2433; --soft:#5b6475; --line:#e3e7ee; --paper:#ffffff; --wash:#f6f8fb; }
* { box-sizing:border-box } body { margin:0; background:var(--wash); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif }
main { max-width:1060px; margin:0 auto; padding:40px 28px 80px }
h1 { font-size:2rem; line-height:1.2; margin:0 0 .2em } h2 { font-size:1.25rem; margin:0 0 .6em }
.lead { color:var(--soft); font-size:1.05rem; margin:0 0 1.6em; max-width:70ch }
section { background:var(--paper); border:1px solid var(--line); border-radius:12px;
  padding:22px 26px; margin:18px 0; overflow-x:auto }
p { margin:.4em 0 .9em; max-width:78ch } .note { color:var(--soft); font-size:.92rem }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:.94rem }
th { text-align:left; color:var(--soft); font-weight:600; border-bottom:2px solid var(--line) }
th,td { padding:7px 12px 7px 0; vertical-align:top } td { border-bottom:1px solid var(--line) }
td.number,th.number { text-align:right; white-space:nowrap } tr.best td { font-weight:650 }
.cards { display:flex; flex-wrap:wrap; gap:12px; margin:0 0 4px }
.card { flex:1 1 150px; background:var(--wash); border-radius:10px; padding:12px 16px }
.card b { display:block; font-size:1.45rem; line-height:1.25 }
.card span { color:var(--soft); font-size:.86rem }
code { background:var(--wash); border-radius:5px; padding:1px 5px; font-size:.9em }
"""


class Page:
    """Collects sections and writes one HTML file with everything inside it."""

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self.lead = lead
        self._parts: list[str] = []
        self._num_plots = 0

    def section(self, heading: str, *blocks: str) -> None:
        """Add a titled section made of blocks that the functions below return."""
        self._parts.append(f"<section><h2>{escape(heading)}</h2>{''.join(blocks)}</section>")

    def plot(self, figure: go.Figure) -> str:
        """A block with an interactive plot; the plotting code is embedded once per page."""
        self._num_plots += 1
        html = figure.to_html(
            full_html=False,
            include_plotlyjs=self._num_plots == 1,
            div_id=f"plot-{self._num_plots}",  # a drawn id would give every page another hash
            config={"displayModeBar": False, "responsive": True},
        )
        return str(html)

    def text(self) -> str:
        """The whole page as HTML."""
        head = (
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style>"
        )
        lead = f'<p class="lead">{escape(self.lead)}</p>' if self.lead else ""
        body = f"<main><h1>{escape(self.title)}</h1>{lead}{''.join(self._parts)}</main>"
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'

    def save(self, path: Path | str) -> Path:
        """Write the page. Returns the path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.text(), encoding="utf-8")
        return target


def paragraph(text: str, *, note: bool = False) -> str:
    """A paragraph; `note` prints it smaller and lighter."""
    return f'<p class="note">{escape(text)}</p>' if note else f"<p>{escape(text)}</p>"


def cards(figures: Sequence[tuple[str, str]]) -> str:
    """A row of (figure, caption) cards."""
    inner = "".join(
        f'<div class="card"><b>{escape(f)}</b><span>{escape(c)}</span></div>' for f, c in figures
    )
    return f'<div class="cards">{inner}</div>'


def table(frame: pd.DataFrame, *, best: Sequence[int] = (), digits: int = 4) -> str:
    """A table; numbers are right-aligned with `digits` decimals, `best` rows stand out."""
    numeric = [frame[column].dtype.kind in "fiu" for column in frame.columns]
    head = "".join(_cell("th", str(c), n) for c, n in zip(frame.columns, numeric, strict=True))
    rows = []
    for place, values in enumerate(frame.itertuples(index=False)):
        cells = "".join(
            _cell("td", _text(v, digits), n) for v, n in zip(values, numeric, strict=True)
        )
        rows.append(f'<tr class="best">{cells}</tr>' if place in best else f"<tr>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(tag: str, text: str, numeric: bool) -> str:
    kind = ' class="number"' if numeric else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"


def _text(value: object, digits: int) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
