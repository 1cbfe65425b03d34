"""A self-contained HTML page: headings, paragraphs, tables and plots, no network needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
td.number,th.number { text-align:right } td.number { white-space:nowrap }
tr.best td { font-weight:650 }
.cards { display:flex; flex-wrap:wrap; gap:12px; margin:0 0 4px }
.card { flex:1 1 150px; background:var(--wash); border-radius:10px; padding:12px 16px }
.card b { display:block; font-size:1.45rem; line-height:1.25 }
.card span { color:var(--soft); font-size:.86rem }
code { background:var(--wash); border-radius:5px; padding:1px 5px; font-size:.9em }
table.wide { font-size:.86rem } table.wide th,table.wide td { padding-right:9px }
pre { background:var(--wash); border-radius:10px; padding:12px 16px; overflow-x:auto }
pre code { padding:0 }
h3 { font-size:1rem; margin:1.3em 0 .4em }
details { margin:.9em 0 0 } summary { cursor:pointer; color:var(--soft); font-weight:600 }
details[open] summary { margin-bottom:.6em }
nav { display:flex; flex-wrap:wrap; gap:6px 14px; margin:0 0 1.2em; font-size:.94rem }
nav b { color:var(--soft); font-weight:600 } nav a { color:#2f5fd0; text-decoration:none }
nav a:hover { text-decoration:underline }
nav div { display:flex; flex-wrap:wrap; gap:2px 12px; width:100% }
.badge { border-radius:99px; padding:1px 10px; font-size:.86em; white-space:nowrap;
  background:#e9edf4; color:#465064 }
.badge.good { background:#dcf2e3; color:#17653a } .badge.bad { background:#fbe3e0; color:#8f2a1c }
.badge.few { background:#fff2d6; color:#7a5300 }
@media print { section { break-inside:avoid } details { display:block } }
"""

_FIGURE = re.compile(r"[-+]?[\d,]*\.?\d+( %)?( \[.*\])?$")
"""A figure as text, perhaps with its interval."""

_WIDE = 7
"""Tables of more columns are printed smaller."""

_BADGES = {"shown": "good", "refuted": "bad", "too few": "few"}
"""Words whose badge has a colour; others are grey."""


class Page:
    """Collects sections and writes one HTML file with everything inside it."""

    def __init__(self, title: str, lead: str = "") -> None:
        self.title = title
        self.lead = lead
        self._parts: list[str] = []
        self._contents: dict[str, list[str]] = {}
        self._num_plots = 0

    def section(self, heading: str, *blocks: str, group: str = "") -> None:
        """Add a titled section made of blocks that the functions below return.

        Where sections have a `group`, the page begins with links to them, a line per group.
        """
        name = f"section-{len(self._parts) + 1}"
        title = f"<h2>{escape(heading)}</h2>"
        self._parts.append(f'<section id="{name}">{title}{"".join(blocks)}</section>')
        if group:
            link = f'<a href="#{name}">{escape(heading.removeprefix(f"{group}: "))}</a>'
            self._contents.setdefault(group, []).append(link)

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
        parts = self._links() + "".join(self._parts)
        body = f"<main><h1>{escape(self.title)}</h1>{lead}{parts}</main>"
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'

    def _links(self) -> str:
        lines = [
            f"<div><b>{escape(group)}</b>{''.join(links)}</div>"
            for group, links in self._contents.items()
        ]
        return f"<nav>{''.join(lines)}</nav>" if lines else ""

    def save(self, path: Path | str) -> Path:
        """Write the page. Returns the path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.text(), encoding="utf-8")
        return target


def paragraph(text: str, *, note: bool = False) -> str:
    """A paragraph; `note` prints it smaller and lighter."""
    return f'<p class="note">{escape(text)}</p>' if note else f"<p>{escape(text)}</p>"


def caption(text: str) -> str:
    """A heading inside a section, such as that of a table."""
    return f"<h3>{escape(text)}</h3>"


def code(lines: Sequence[str]) -> str:
    """Lines to be typed."""
    return f"<pre><code>{escape(chr(10).join(lines))}</code></pre>"


def folded(summary: str, block: str) -> str:
    """A block that opens on demand."""
    return f"<details><summary>{escape(summary)}</summary>{block}</details>"


def badge(word: str) -> str:
    """A word marked by colour: `shown` green, `refuted` red, `too few` yellow, others grey."""
    kind = _BADGES.get(word, "")
    return f'<span class="badge {kind}">{escape(word)}</span>'


def cards(figures: Sequence[tuple[str, str]]) -> str:
    """A row of (figure, caption) cards."""
    inner = "".join(
        f'<div class="card"><b>{escape(f)}</b><span>{escape(c)}</span></div>' for f, c in figures
    )
    return f'<div class="cards">{inner}</div>'


def table(
    frame: pd.DataFrame,
    *,
    best: Sequence[int] = (),
    digits: int = 4,
    badges: Sequence[str] = (),
) -> str:
    """A table; numbers are right-aligned with `digits` decimals, `best` rows stand out.

    Columns of figures as texts, such as `0.1234 [0.1, 0.2]`, are right-aligned too; words in
    columns of `badges` are marked by colour.
    """
    columns = [str(column) for column in frame.columns]
    numeric = [_is_numeric(frame[column]) for column in frame.columns]
    head = "".join(_cell("th", escape(c), n) for c, n in zip(columns, numeric, strict=True))
    rows = []
    for place, values in enumerate(frame.itertuples(index=False)):
        texts = [_text(value, digits) for value in values]
        inner = [
            badge(t) if c in badges else escape(t) for c, t in zip(columns, texts, strict=True)
        ]
        cells = "".join(_cell("td", text, n) for text, n in zip(inner, numeric, strict=True))
        rows.append(f'<tr class="best">{cells}</tr>' if place in best else f"<tr>{cells}</tr>")
    wide = ' class="wide"' if len(columns) > _WIDE else ""
    return f"<table{wide}><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _is_numeric(column: pd.Series[Any]) -> bool:
    if column.dtype.kind in "fiu":
        return True
    texts = [str(value) for value in column if value not in ("", "-", "too few")]
    return bool(texts) and all(_FIGURE.match(text) for text in texts)


def _cell(tag: str, content: str, numeric: bool) -> str:
    kind = ' class="number"' if numeric else ""
    return f"<{tag}{kind}>{content}</{tag}>"


def _text(value: object, digits: int) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
