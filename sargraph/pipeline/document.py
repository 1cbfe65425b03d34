"""A document: sections of blocks that become Markdown for a diff and a page for a reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from sargraph.core import page as html
from sargraph.core.page import Page
from sargraph.events.card import markdown_table, markdown_text

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Text:
    """A paragraph; a `note` is printed smaller."""

    text: str
    note: bool = False


@dataclass(frozen=True)
class Figures:
    """A row of large figures, each with its caption."""

    figures: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Frame:
    """A table; `best` lines stand out, a `folded` one opens on demand.

    Columns in `badges` hold words that are marked by colour, such as verdicts.
    """

    frame: pd.DataFrame
    caption: str = ""
    best: Sequence[int] = ()
    folded: bool = False
    digits: int = 4
    badges: Sequence[str] = ()


@dataclass(frozen=True)
class Plot:
    """A plot, made only for the page."""

    make: Callable[[], go.Figure]
    caption: str = ""


@dataclass(frozen=True)
class Code:
    """Lines to be typed."""

    lines: Sequence[str]


Block: TypeAlias = Text | Figures | Frame | Plot | Code


@dataclass(frozen=True)
class Section:
    """A titled part; `group` names the part of the table of contents that it stands under."""

    heading: str
    blocks: Sequence[Block]
    group: str = ""


@dataclass(frozen=True)
class Document:
    """A title, a line below it and sections: one content, two forms."""

    title: str
    lead: str
    sections: Sequence[Section]

    def markdown(self) -> str:
        """The document as Markdown, without plots."""
        parts = [f"# {markdown_text(self.title)}", markdown_text(self.lead)]
        for section in self.sections:
            parts.append(f"## {markdown_text(section.heading)}")
            parts += [_markdown(block) for block in section.blocks]
        return "\n\n".join(part for part in parts if part) + "\n"

    def page(self) -> Page:
        """The document as a page that needs no network."""
        page = Page(self.title, self.lead)
        for section in self.sections:
            blocks = [_html(page, block) for block in section.blocks]
            page.section(section.heading, *blocks, group=section.group)
        return page

    def save(self, folder: Path, name: str) -> Path:
        """Write `name.md` and `name.html` into a folder; returns the path of the page."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(self.markdown(), encoding="utf-8")
        return self.page().save(folder / f"{name}.html")


def _markdown(block: Block) -> str:
    if isinstance(block, Text):
        text = markdown_text(block.text)
        return f"*{text}*" if block.note else text
    if isinstance(block, Figures):
        return markdown_text(", ".join(f"{value} {caption}" for value, caption in block.figures))
    if isinstance(block, Code):
        return "\n".join(f"    {line}" for line in block.lines)
    if isinstance(block, Plot):
        return ""
    caption = f"{markdown_text(block.caption)}\n\n" if block.caption else ""
    return caption + markdown_table(block.frame, digits=block.digits)


def _html(page: Page, block: Block) -> str:
    if isinstance(block, Text):
        return html.paragraph(block.text, note=block.note)
    if isinstance(block, Figures):
        return html.cards(block.figures)
    if isinstance(block, Code):
        return html.code(block.lines)
    if isinstance(block, Plot):
        plot = page.plot(block.make())
        return plot + (html.paragraph(block.caption, note=True) if block.caption else "")
    table = html.table(block.frame, best=block.best, digits=block.digits, badges=block.badges)
    if block.folded:
        return html.folded(block.caption, table)
    return (html.caption(block.caption) if block.caption else "") + table
