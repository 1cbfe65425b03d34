"""The card of a data set: what it must say, and that it stays small."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sargraph.core.artifact import Manifest, read_manifest
from sargraph.core.ragged import Ragged
from sargraph.core.types import NO_ROW, NO_TIME
from sargraph.events.card import card_markdown, card_page, markdown_table
from sargraph.events.describe import describe_events
from sargraph.events.describing.measures import (
    busiest_users,
    file_fates,
    lost_rows,
    readable_gap,
    session_lengths,
    transition_matrix,
    transition_table,
)
from sargraph.events.describing.plots import (
    MAX_POINTS,
    activity_plot,
    gap_plot,
    tail_plot,
    time_plot,
)
from sargraph.events.events import Categories, Events
from sargraph.events.schema import CLICK, IMPRESSION, RECOMMEND, SEARCH, TimeKind
from sargraph.events.transitions import Transitions, transitions_of
from sargraph.events.vocabulary import Vocabulary
from sargraph.pipeline.describe import describe_markdown, describe_page
from sargraph.testing.events import make_events, random_events
from sargraph.testing.planted_topics import two_topics

REPORT = {
    "files": {
        "a.csv": {"rows": 9, "used": 5, "merged": {"same event": 1}, "filtered": {},
                  "quarantined": {"no | time": 3}},
        "b.csv": {"rows": 4, "used": 2, "merged": {"same event": 1}, "filtered": {"core": 1},
                  "quarantined": {}},
    }
}  # fmt: skip


def _events(num_events: int = 300) -> Events:
    events = random_events(
        np.random.default_rng(1), untimed_share=0.1, num_events=num_events, num_times=num_events
    )
    lists = [[item % 2, 2 + item % 5] for item in range(20)]
    ids = [f"{level}/{i}" for level, i in [(1, 0), (1, 1), *((2, i) for i in range(5))]]
    level = np.array([1] * 2 + [2] * 5)
    categories = Categories(Vocabulary(ids, ids), level, Ragged.from_lists(lists))
    return replace(events, categories=categories, report=REPORT, name="corner shop")


def _searches(times: Iterable[int]) -> tuple[Events, Transitions]:
    """One user who searches at these times, ms; and the labels."""
    rows = [(0, time, SEARCH, CLICK, 0, 0, place) for place, time in enumerate(times)]
    events = make_events(rows, num_users=1, num_items=1, query_terms=[[0]])
    return events, transitions_of(events)


def _dated(dates: Sequence[str], hours: int = 0) -> Events:
    """Searches at midnight of these dates, `hours` east of Greenwich."""
    midnights = np.array(dates, dtype="datetime64[ms]").astype(np.int64) - hours * 3_600_000
    return _searches(midnights.tolist())[0]


def _manifest() -> Manifest:
    recipe = {"name": "corner", "about": "A shop at the corner", "licence": "CC0"}
    return Manifest("events", 1, {"recipe": recipe}, 7, "c" * 64, {}, {"logs": "d" * 64}, "x 1")


def test_the_verdict_stands_on_top() -> None:
    text = card_markdown(_events(), _manifest())
    assert text.startswith(
        "# Data set: corner shop\n\nA shop at the corner\n\n## What it can decide"
    )
    assert text.index("cannot be studied") < text.index("## Sizes")


@pytest.mark.parametrize(
    "fact",
    ["CC0", "c0ffee", "d" * 64, "x 1", "no \\| time", "published", "nearest", "S2R within 3 d"],
)
def test_the_card_says(fact: str) -> None:
    events = replace(_events(), content_hash="c0ffee")
    assert fact in card_markdown(events, _manifest()).replace("Nearest", "nearest")


def test_the_page_is_self_contained_and_does_not_grow_with_the_events(tmp_path: Path) -> None:
    small, large = (
        card_page(_events(size), tmp_path / f"{size}.html", _manifest()) for size in (300, 30_000)
    )
    text = large.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
    assert text.count('class="plotly-graph-div"') == 4
    assert large.stat().st_size < small.stat().st_size + 100_000


def test_two_cards_of_the_same_events_are_the_same_bytes(tmp_path: Path) -> None:
    pages = [card_page(_events(), tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("kind", ["ordinal", "untimed", "no search", "one event"])
def test_thin_logs_have_a_card_too(kind: str, tmp_path: Path) -> None:
    events = replace(_events(), categories=None, report={})
    if kind == "ordinal":
        events = replace(events, time_kind="ordinal")
    elif kind == "untimed":
        columns = {**events.columns, "time": np.full(len(events), NO_TIME)}
        events = replace(events, columns=columns, time_kind="none")
    elif kind == "no search":
        events = events.select(events.is_recommend)
    else:
        events = events.select(np.array([len(events) - 1]))
    assert "There is nothing to compare" in card_markdown(events)
    assert card_page(events, tmp_path / "card.html").is_file()
    assert len(describe_events(events)) > 10


def test_the_table_of_describe_holds_transitions_sessions_and_the_verdict() -> None:
    frame = describe_events(_events()).set_index("statistic")
    labels = transitions_of(_events())
    behaviours = int((labels.is_first & (labels.kind == 2)).sum())
    assert frame.loc["transition S2R", "value"] == f"{behaviours:,}"
    assert frame.loc["identifiable", "value"] == "no"
    events = _events()
    chosen = [set(events.user[events.is_positive & here].tolist())
              for here in (events.is_search, events.is_recommend)]  # fmt: skip
    in_both = frame.loc["users with choices in both sources"]
    assert in_both["value"] == str(len(chosen[0] & chosen[1]))
    searches = len(np.unique(_events().session[_events().is_search]))
    assert frame.loc["search sessions", "value"] == f"{searches:,}"
    assert frame.loc["source rows", "note"] == "7 of them used"
    assert frame.loc["source rows quarantined", "note"] == "no | time"


def test_transition_shares_add_up_and_the_matrix_follows_the_table() -> None:
    rows = [(0, 0, SEARCH, CLICK, 1, 0, 0), (0, 10, RECOMMEND, CLICK, 1, NO_ROW, 1),
            (0, 30, RECOMMEND, CLICK, 1, NO_ROW, 1), (0, 60, SEARCH, CLICK, 1, 0, 2),
            (0, 70, RECOMMEND, IMPRESSION, 1, NO_ROW, 3)]  # fmt: skip
    events = make_events(rows, num_users=1, num_items=2, query_terms=[[0]])
    table = transition_table(events, transitions_of(events))
    assert table["behaviours"].tolist() == [0, 1, 1, 1, 1]
    assert table["share"].sum() == pytest.approx(1)
    assert table["median_gap"].tolist()[1:4] == [20, 10, 30]
    matrix = transition_matrix(table).set_index("from \\ to")
    assert matrix.loc["search", "recommendation"] == "1 (100.0%)"
    assert matrix.loc["recommendation", "search"] == "1 (50.0%)"


def test_session_lengths_and_busiest_users_are_those_of_plain_loops() -> None:
    events = _events()
    lengths = session_lengths(events)
    for name, here in (("search", events.is_search), ("recommend", events.is_recommend)):
        sessions = events.session[here].tolist()
        expected = sorted(sessions.count(s) for s in set(sessions))
        assert sorted(lengths[name].tolist()) == expected
    counts = [events.user.tolist().count(user) for user in range(12)]
    busiest = busiest_users(events, 3)
    assert busiest["events"].tolist() == sorted(counts, reverse=True)[:3]
    assert busiest["together, %"].iloc[-1] == pytest.approx(
        100 * sum(sorted(counts)[-3:]) / len(events)
    )


def test_fates_of_source_rows_add_up() -> None:
    files = file_fates(REPORT)
    assert files.iloc[-1].tolist() == ["all files", 13, 7, 2, 1, 3]
    numbers = files.drop(columns=["file", "rows"]).sum(axis=1)
    assert numbers.tolist() == files["rows"].tolist()
    assert lost_rows(REPORT).to_numpy().tolist() == [
        ["quarantined", "no | time", 3],
        ["merged", "same event", 2],
        ["filtered", "core", 1],
    ]
    assert file_fates({}).empty and lost_rows({}).empty


def test_plots_hold_few_points_and_lose_no_event() -> None:
    events = _events(30_000)
    events = events.select(events.is_timed)
    days = replace(events, columns={**events.columns, "time": events.time * 100})
    traces = time_plot(days, has_hours=True).data
    assert sum(sum(t.y) for t in traces if t.xaxis == "x") == len(events)
    assert all(sum(t.y) == pytest.approx(1) for t in traces if t.xaxis == "x2")
    assert max(len(t.x) for t in [*traces, *tail_plot(events).data]) <= MAX_POINTS + 2


@pytest.mark.parametrize("pause", [1, 20, 99, 100, 5_000])
def test_the_gap_plot_holds_every_gap_however_short(pause: int) -> None:
    (trace,) = gap_plot(*_searches(range(0, 4 * pause, pause))).data
    assert sum(trace.y) == pytest.approx(1)
    assert trace.x[np.argmax(trace.y)] == pytest.approx(pause, rel=0.3)


def test_a_single_transition_is_named_in_the_legend() -> None:
    (trace,) = gap_plot(*_searches([0, 50_000, 90_000])).data
    assert trace.name == "S2S" and trace.showlegend


@pytest.mark.parametrize(("kind", "unit"), [("ms", "time"), ("ordinal", "places")])
def test_the_axis_of_gaps_says_what_they_are(kind: TimeKind, unit: str) -> None:
    events, labels = _searches([0, 3, 9])
    figure = gap_plot(replace(events, time_kind=kind), labels)
    assert figure.layout.xaxis.title.text == f"{unit} since the behaviour before"


@pytest.mark.parametrize("hours", [-5, 0, 8])
def test_months_are_counted_as_months(hours: int) -> None:
    months = ["2008-01", "2008-02", "2008-02", "2008-03", "2008-05"]
    (trace,) = time_plot(_dated(months, hours), has_hours=False).data
    assert trace.y.tolist() == [1, 2, 1, 0, 1]
    first = np.array(["2008-01", "2008-02", "2008-03", "2008-04", "2008-05"], "datetime64[M]")
    assert (trace.x.astype("datetime64[ms]") == first).all()


def test_a_long_log_is_counted_by_calendar_months_and_a_longer_one_by_years() -> None:
    days = np.arange("2001-01-01", "2006-01-01", dtype="datetime64[D]").astype(str)
    (trace,) = time_plot(_dated(days), has_hours=False).data
    assert trace.y.tolist()[:4] == [31, 28, 31, 30] and len(trace.y) == 60
    days = np.arange("1980-01-01", "2000-01-01", dtype="datetime64[D]").astype(str)
    (trace,) = time_plot(_dated(days), has_hours=False).data
    assert trace.y.tolist()[:2] == [366, 365] and len(trace.y) == 20


def test_a_curve_of_one_point_is_seen() -> None:
    events, _ = _searches(range(0, 40_000, 1_000))
    per_session = activity_plot(events).data[-1]
    assert len(per_session.x) == 1 and "markers" in per_session.mode
    per_item = tail_plot(_events()).data[0]
    assert len(per_item.x) == 20 and per_item.mode == "lines"


@pytest.mark.parametrize(
    ("gap", "kind", "text"),
    [(5, "ms", "5 ms"), (2_500, "ms", "2.5 s"), (5_400_000, "ms", "1.5 h"),
     (3 * 86_400_000, "ms", "3.0 d"), (2, "ordinal", "2 places"), (float("nan"), "ms", "-"),
     (18_489.5, "ordinal", "18,490 places"), (1_234_567, "ordinal", "1,234,567 places")],
)  # fmt: skip
def test_readable_gaps(gap: float, kind: str, text: str) -> None:
    assert readable_gap(gap, kind) == text


def test_markdown_tables_escape_bars() -> None:
    frame = pd.DataFrame({"a": ["x|y"], "b": [1234], "c": [0.25], "d": [float("nan")]})
    assert markdown_table(frame, digits=2).splitlines()[-1] == "| x\\|y | 1,234 | 0.25 | - |"


def test_markdown_holds_no_html_of_the_logs(tmp_path: Path) -> None:
    script = "u<script>alert(0)</script>\x1b[2J\x07|x &amp;"
    ids = Vocabulary([script, *(str(user) for user in range(11))])
    events = _events()
    events = replace(events, name=script, vocabularies={**events.vocabularies, "user": ids})
    about = {"about": f"{script}\n\n# {script}", "name": script, "licence": script}
    manifest = replace(_manifest(), config={"recipe": about})
    text = card_markdown(replace(events, report={"files": {script: REPORT["files"]["a.csv"]}}),
                         manifest)  # fmt: skip
    assert "<" not in text.replace("&lt;", "") and "&amp;amp;" in text
    assert "| u&lt;script&gt;alert(0)&lt;/script&gt;[2J\\|x" in text
    assert "\x1b" not in text and "\x07" not in text
    events.save(tmp_path / "events", config=about, seed=0)
    assert "<script" not in describe_markdown(tmp_path / "events")
    assert markdown_table(pd.DataFrame({"a|<b>": [1]})).startswith("| a\\|&lt;b&gt; |")


def test_a_saved_artefact_has_a_page_and_markdown(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    _events().save(folder, config={"name": "corner", "about": "Saved"}, seed=3)
    page = describe_page(folder, tmp_path / "pages" / "card.html").read_text(encoding="utf-8")
    digest = read_manifest(folder).content_hash
    for text in (page, describe_markdown(folder)):
        assert "Saved" in text and digest in text


def test_a_graph_has_its_own_page(tmp_path: Path) -> None:
    two_topics().save(tmp_path / "graph")
    page = describe_page(tmp_path / "graph", tmp_path / "graph.html").read_text(encoding="utf-8")
    assert "Graph of two topics" in page and "plotly-graph-div" in page
    assert "| user clicked item |" in describe_markdown(tmp_path / "graph")
