"""A document: the same content as Markdown and as a page."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from sargraph.pipeline.document import Code, Document, Figures, Frame, Plot, Section, Text

FRAME = pd.DataFrame({"name": ["a|b", "<c>"], "value": [0.12345, float("nan")],
                      "verdict": ["shown", "too few"]})  # fmt: skip
DOCUMENT = Document(
    "A title & more",
    "What it asks",
    [
        Section("First", [Text("A <line>"), Text("small", note=True), Figures([("3", "cells")])]),
        Section("x: Second", [Frame(FRAME, "Its table", badges=["verdict"], best=[0]),
                              Frame(FRAME, "More", folded=True)], group="x"),
        Section("Third", [Plot(go.Figure, "What is drawn"), Code(["sargraph run x.toml"])]),
    ],
)  # fmt: skip


def test_markdown_has_all_but_the_plots_and_runs_no_html():
    text = DOCUMENT.markdown()
    assert text.startswith("# A title &amp; more\n\nWhat it asks\n\n## First\n\nA &lt;line&gt;")
    assert "*small*" in text and "3 cells" in text and "\n    sargraph run x.toml" in text
    assert "| a\\|b | 0.1235 | shown |" in text and "| &lt;c&gt; | - | too few |" in text
    assert "plot" not in text and "<" not in text.replace("&lt;", "")


def test_the_page_has_badges_folds_plots_and_links():
    page = DOCUMENT.page().text()
    assert '<span class="badge good">shown</span>' in page
    assert '<span class="badge few">too few</span>' in page
    assert "<details><summary>More</summary>" in page
    assert '<nav><div><b>x</b><a href="#section-2">Second</a></div></nav>' in page
    assert 'id="section-2"' in page and 'id="plot-1"' in page
    assert "A &lt;line&gt;" in page and "<pre><code>sargraph run x.toml</code></pre>" in page


def test_both_forms_are_saved_side_by_side(tmp_path):
    assert DOCUMENT.save(tmp_path / "new", "report") == tmp_path / "new" / "report.html"
    assert (tmp_path / "new" / "report.md").read_text(encoding="utf-8") == DOCUMENT.markdown()
