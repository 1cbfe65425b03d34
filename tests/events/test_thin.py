"""Thinning: the drawn choices and the chosen users against plain loops, and every row counted."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.core.errors import DataError, RecipeError
from sargraph.events.events import Events
from sargraph.events.ingest import ingest
from sargraph.events.recipe import Recipe, Table, read_recipe

from .formats_fixture import ingest_files, lines_of

LOG = """
name = "dense"
time_kind = "ordinal"
duplicates = "keep"
[[tables]]
file = "searches.csv"
source = "search"
user = "u"
item = { column = "i", optional = true }
time = { column = "t", unit = "ordinal" }
query = "q"
[[tables]]
file = "shown.csv"
source = "recommend"
user = "u"
item = "i"
time = { column = "t", unit = "ordinal" }
action = { column = "c", at_least = 1 }
"""
FATES = ("used", "merged", "filtered", "quarantined")


def dense(num_users: int = 20, num_items: int = 12) -> dict[str, str]:
    """Every user chooses every item twice, in each source, and sees one item more."""
    pairs = [(u, i) for u in range(num_users) for i in range(num_items)]
    searches = "".join(f"{u},{i},{2 * i},word\n" for u, i in pairs)
    shown = "".join(f"{u},{i},{2 * i + 1},1\n" for u, i in pairs)
    shown += "".join(f"{u},{num_items},99,0\n" for u in range(num_users))
    return {"searches.csv": "u,i,t,q\n" + searches, "shown.csv": "u,i,t,c\n" + shown}


def read(folder: Path, *overrides: str, seed: int = 0, files: dict[str, str] | None = None):
    return ingest_files(folder, LOG, files or dense(), overrides=overrides, seed=seed)


def adds_up(events: Events) -> bool:
    report = events.report
    whole = [report, *report["files"].values()]
    totals = [
        [f[name] if isinstance(f[name], int) else sum(f[name].values()) for name in FATES]
        for f in whole
    ]
    return all(f["rows"] == sum(total) for f, total in zip(whole, totals, strict=True))


def test_a_share_of_one_and_no_bounds_keep_every_event(tmp_path: Path) -> None:
    plain = read(tmp_path / "a")
    thin = read(tmp_path / "b", "thin.share=1.0")
    assert lines_of(thin) == lines_of(plain)
    assert thin.report["filtered"] == 0
    assert thin.report["notes"]["thinned_choices"] == 0


def test_about_the_share_stays_and_every_row_is_counted(tmp_path: Path) -> None:
    events = read(tmp_path, "thin.share=0.4")
    choices = int(events.is_positive.sum())
    assert abs(choices / 480 - 0.4) < 4 * np.sqrt(0.24 / 480)
    assert int((~events.is_positive).sum()) == 20  # what was shown alone is no choice
    assert events.report["filtered_by_reason"] == {"thinned": 480 - choices}
    assert events.report["notes"]["thinned_choices"] == 480 - choices
    assert adds_up(events)
    assert min(events.is_search.sum(), events.is_positive.sum() - events.is_search.sum()) > 60


def test_the_seed_draws_and_a_smaller_share_keeps_some_of_the_same(tmp_path: Path) -> None:
    same, again, other, less = (
        read(tmp_path / name, f"thin.share={share}", seed=seed)
        for name, share, seed in (("a", 0.5, 3), ("b", 0.5, 3), ("c", 0.5, 4), ("d", 0.2, 3))
    )
    assert same.content_hash == again.content_hash
    assert set(lines_of(same)) != set(lines_of(other))
    assert set(lines_of(less)) < set(lines_of(same))


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 5)), max_size=25),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 1)), min_size=1,
             max_size=25),
    st.integers(0, 4), st.integers(0, 4),
)  # fmt: skip
def test_users_stay_by_their_distinct_items_as_in_plain_loops(
    searches: list[tuple[int, int]],
    shown: list[tuple[int, int, int]],
    low: int,
    high: int,
) -> None:
    if high and low > high:
        low, high = high, low
    items: dict[int, set[int]] = {user: set() for user in range(5)}
    for user, item in searches:
        items[user] |= {item} if item >= 0 else set()
    for user, item, chosen in shown:
        items[user] |= {item} if chosen else set()
    stay = {u for u, own in items.items() if low <= len(own) <= (high or 99)}
    wanted = Counter(u for u, *_ in (*searches, *shown) if u in stay)
    rows = [f"{u},{'' if i < 0 else i},{t},q\n" for t, (u, i) in enumerate(searches)]
    files = {"searches.csv": "u,i,t,q\n" + "".join(rows or ["NA,,0,\n"])}
    rows = [f"{u},{i},{t},{c}\n" for t, (u, i, c) in enumerate(shown)]
    files["shown.csv"] = "u,i,t,c\n" + "".join(rows)
    bounds = [f"thin.min_items={low}", f"thin.max_items={high}"]
    with tempfile.TemporaryDirectory() as name:
        if not wanted:
            with pytest.raises(DataError, match="too few or too many items"):
                read(Path(name), *bounds, files=files)
            return
        events = read(Path(name), *bounds, files=files)
    assert Counter(int(events.users.ids[u]) for u in events.user) == wanted
    gone = len(searches) + len(shown) - wanted.total()
    expected = {"too few or too many items": gone} if gone else {}
    assert events.report["filtered_by_reason"] == expected and adds_up(events)
    there = {u for u, *_ in (*searches, *shown)}
    assert events.report["notes"].get("thinned_users", 0) == len(there - stay)


def test_bounds_count_what_thinning_left_and_the_core_comes_last(tmp_path: Path) -> None:
    rules = ["thin.share=0.15", "thin.min_items=2", "thin.max_items=4", "core.min_item_users=3"]
    events = read(tmp_path, *rules)
    pairs = np.unique((events.user * 100 + events.item)[events.is_positive])
    assert np.bincount(pairs // 100).max() <= 4
    users_of = Counter((pairs % 100).tolist())
    assert min(users_of.values()) >= 3  # holds of what is used, not of what was there before
    assert set(events.report["filtered_by_reason"]) >= {"thinned", "too few or too many items"}
    assert adds_up(events)


SLATES = """
name = "slates"
time_kind = "ordinal"
[[tables]]
file = "clicks.csv"
source = "recommend"
user = "u"
item = "i"
time = { column = "t", unit = "ordinal" }
slate = { column = "s", list = "|" }
"""


def test_what_was_shown_with_a_choice_goes_with_it(tmp_path: Path) -> None:
    rows = "".join(f"{u},{i},{i},{i}|{i + 1}|{i + 2}\n" for u in range(10) for i in range(10))
    events = ingest_files(
        tmp_path, SLATES, {"clicks.csv": "u,i,t,s\n" + rows}, overrides=["thin.share=0.5"]
    )
    chosen = events.is_positive
    assert 25 < chosen.sum() < 75 and (~chosen).sum() == 2 * chosen.sum()
    assert events.report["used"] == chosen.sum() and adds_up(events)


def test_the_choices_of_a_line_are_drawn_one_by_one(tmp_path: Path) -> None:
    table = Table.model_validate({
        "file": "log.txt", "format": "sequences", "source": "recommend", "user": "user",
        "item": "item", "time": {"column": "place", "unit": "ordinal"},
    })  # fmt: skip
    recipe = Recipe(name="packed", time_kind="ordinal", tables=(table,))
    lines = "".join(f"u{u} " + " ".join(f"i{i}" for i in range(30)) + "\n" for u in range(8))
    (tmp_path / "log.txt").write_text(lines, encoding="utf-8")
    events = ingest(recipe, tmp_path, overrides=["thin.share=0.5"])
    assert events.report["used"] == len(events) and adds_up(events)
    assert events.report["filtered_by_reason"] == {"thinned": 240 - len(events)}
    assert len(events.users) == 8 and 80 < len(events) < 160


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["min_items=5", "max_items=3"], "min_items = 5 is above max_items = 3"),
        (["share=0"], "thin.share"),
        (["share=1.5"], "thin.share"),
        (["max_item=3"], "did you mean 'max_items'"),
    ],
)
def test_bounds_and_shares_that_nobody_fits_are_refused(rules: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe("synthetic", [f"thin.{rule}" for rule in rules])
    assert "\n" not in str(caught.value)


def test_a_core_above_the_bound_is_refused() -> None:
    with pytest.raises(RecipeError, match="below min_user_items = 5 of \\[core\\]"):
        read_recipe("lastfm", ["thin.max_items=4"])


def test_lastfm_made_sparse(data_dir: Path) -> None:
    """Through the overrides of a recipe that is shipped; its core still holds afterwards."""
    rules = ["thin.share=0.2", "thin.min_items=2", "thin.max_items=12", "core.min_user_items=2",
             "core.min_item_users=2"]  # fmt: skip
    folder = data_dir / "lastfm_hetrec"
    events, again = (ingest("lastfm", folder, overrides=rules) for _ in range(2))
    assert lines_of(events) == lines_of(again)
    pairs = np.unique(events.user * len(events.items) + events.item)
    per_user = np.bincount(pairs // len(events.items))
    per_item = np.bincount(pairs % len(events.items))
    assert per_user.min() >= 2 and per_user.max() <= 12 and per_item.min() >= 2
    assert 100 < len(events.users) < 1871
    assert adds_up(events) and events.report["rows"] == 186_479 + 92_834
    whole = events.report["filtered_by_reason"]
    assert whole["thinned"] == events.report["notes"]["thinned_choices"]
