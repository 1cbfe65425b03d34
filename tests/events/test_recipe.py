"""The recipe language: shipped recipes, shorthands, overrides, and errors that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from sargraph.core.errors import RecipeError
from sargraph.events.recipe import Recipe, read_recipe, shipped_recipes

MINIMAL = """
name = "mine"
[[tables]]
file = "log.csv"
source = "recommend"
user = "u"
item = "i"
time = { column = "t", unit = "s" }
"""


def _read(tmp_path: Path, text: str, *overrides: str) -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path, overrides)


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_can_be_read(name: str) -> None:
    assert read_recipe(name).name == name


def test_the_data_sets_are_shipped() -> None:
    real = {"kuaisar", "mt_small", "jdsearch", "trivago", "trivago_first_slate", "lastfm"}
    assert real | {"movielens", "amazon_sequences", "synthetic", "own_logs"} <= set(
        shipped_recipes()
    )


def test_the_example_of_the_language_page_is_a_recipe(tmp_path: Path) -> None:
    page = (shipped_recipes()["lastfm"].parent / "README.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    assert len(example.splitlines()) <= 25
    assert [table.source for table in _read(tmp_path, example).tables] == ["search", "recommend"]


def test_the_shipped_splits_are_the_agreed_ones() -> None:
    lastfm = read_recipe("lastfm").split
    assert (lastfm.kind, lastfm.quantile_of, lastfm.twins) == ("global_time", "search", True)
    assert (lastfm.test_share, lastfm.valid_share, lastfm.untimed_share) == (0.2, 0.1, 0.2)
    assert read_recipe("amazon_sequences").split.kind == "leave_last_out"
    for name in ("kuaisar", "synthetic"):
        split = read_recipe(name).split
        assert (split.kind, split.quantile_of, split.twins) == ("global_time", "all", False)
        assert (split.test_share, split.valid_share) == (0.1, 0.1)


def test_synthetic_reads_the_same_tables_as_kuaisar() -> None:
    synthetic, kuaisar = read_recipe("synthetic"), read_recipe("kuaisar")
    assert synthetic.tables == kuaisar.tables
    assert synthetic.lookups[0].terms == kuaisar.lookups[0].terms


def test_a_name_is_short_for_a_column_and_an_action_for_a_rule(tmp_path: Path) -> None:
    table = _read(tmp_path, MINIMAL + 'action = "buy"\n').tables[0]
    assert table.user.column == ("u",)
    assert (table.action.column, table.action.yes) == ((), "buy")


def test_overrides_change_a_recipe_and_a_recipe_object_too(tmp_path: Path) -> None:
    recipe = _read(tmp_path, MINIMAL, "core.min_user_items=5", "name=other")
    assert (recipe.core.min_user_items, recipe.name) == (5, "other")
    again = read_recipe(recipe, ["session_gap_minutes=10"])
    assert (again.session_gap_minutes, again.tables) == (10.0, recipe.tables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + 'wieght = "w"\n', "did you mean 'weight'"),
        (MINIMAL.replace("unit =", "unti ="), "did you mean 'unit'"),
        ("sessoin_gap_minutes = 3\n" + MINIMAL, "did you mean 'session_gap_minutes'"),
        (MINIMAL + "[core]\nmin_user_item = 5\n", "did you mean 'min_user_items'"),
        (MINIMAL + "[split]\nkind = 'random'\n", "global_time"),
        (MINIMAL.replace('"recommend"', '"feed"'), "'search', 'recommend', 'by_query'"),
    ],
)
def test_unknown_keys_and_values_name_what_is_known(
    tmp_path: Path, text: str, expected: str
) -> None:
    with pytest.raises(RecipeError, match=expected) as caught:
        _read(tmp_path, text)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


ATTRIBUTED = """source = "attributed"
query = "i"
attribution = { column = "k", opens = "search", ends = "filter" }
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"recommend"', '"search"', "needs `query`"),
        ('"recommend"', '"by_query"', "'by_query' needs `query`"),
        ('"recommend"', '"attributed"', "'attributed' needs `query`"),
        ('"recommend"', '"attributed"\nquery = "i"', "go together"),
        ('source = "recommend"', ATTRIBUTED.replace("attributed", "by_query"), "go together"),
        ('source = "recommend"', ATTRIBUTED.replace("filter", "search"), "both open and end"),
        ('source = "recommend"', ATTRIBUTED + 'search = "s"', "leave `search` out"),
        ('source = "recommend"', ATTRIBUTED.replace('"search"', "[]"), "opens"),
        ('source = "recommend"', ATTRIBUTED.replace('ends = "filter"', "minutes = 0"), "minutes"),
        ('"recommend"', '"recommend"\nquery = "q"', "no `query` and no `search`"),
        ('"recommend"', '"recommend"\nsearch = "q"', "no `query` and no `search`"),
        ('item = "i"\n', "", "needs `item`"),
        ('item = "i"', 'item = "i"\nslate = "s"', "say how it is written"),
        ('item = "i"', 'item = "i"\nslate_price = "p"', "holds the prices of a `slate`"),
        (
            'item = "i"',
            'item = "i"\nprice = "p"\nslate = { column = "s", list = "," }\nslate_price = "p"',
            "leave `price` or it out",
        ),
        (
            'source = "recommend"\nuser = "u"\nitem = "i"',
            'source = "search"\nuser = "u"\nquery = "q"\nprice = "p"',
            "`price` is that of an item",
        ),
        ('item = "i"', 'item = "i"\naction = { values = { a = "click" } }', "need the `column`"),
        (
            'item = "i"',
            'item = "i"\naction = { column = "a", values = { a = "clik" } }',
            "'impression', 'click'",
        ),
        ('unit = "s"', 'unit = "ordinal"', "time_kind is 'ms'"),
        ('unit = "s"', 'unit = "s", constant = 3', "for unit 'ordinal'"),
        ('unit = "s"', 'unit = "s", zone = "Asia/Shanghai"', "which counts from UTC"),
        ('unit = "s"', 'unit = "iso", zone = "Asia/Peking"', "unknown time zone 'Asia/Peking'"),
        ('unit = "s"', 'unit = "iso", zone = "../etc/passwd"', "unknown time zone"),
        (
            'unit = "s"',
            'unit = "iso", zone = "Asia/Shanghai", utc_offset = "+08:00"',
            "`zone` or `utc_offset`",
        ),
        (
            'time = { column = "t", unit = "s" }',
            'time = { unit = "none", elapsed = "x" }',
            "elapsed",
        ),
        ('{ column = "t", unit = "s" }', '{ unit = "date" }', "needs `year`"),
        ('{ column = "t", unit = "s" }', '{ unit = "s" }', "needs `column`"),
        ('{ column = "t", unit = "s" }', '{ unit = "auto" }', "needs `column`"),
        ('item = "i"', 'item = { column = "i", optional = true }', "only the item of a search"),
        ('"log.csv"', '"../log.csv"', "leads out of the source folder"),
        ('"log.csv"', '"/etc/passwd"', "leads out of the source folder"),
        (
            'name = "mine"',
            'name = "mine"\nduplicates = "some"',
            "'keep', 'first', 'last' or 'count'",
        ),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    assert old in MINIMAL
    with pytest.raises(RecipeError, match=expected) as caught:
        _read(tmp_path, MINIMAL.replace(old, new))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [
        ('of = "user"\nterms = [{ column = "t" }]', "those of items, not of a user"),
        ('of = "term"\ncategories = [{ column = "t" }]', "those of items, not of a term"),
        ('of = "item"\nfollows = { column = "t" }', "only users follow users"),
        (
            'of = "item"\ncategories = [{ column = "t" }]\ncategory_names = ["a", "b"]',
            "1 levels of categories have 2",
        ),
    ],
)
def test_lookups_that_contradict_themselves_are_refused(
    tmp_path: Path, lookup: str, expected: str
) -> None:
    text = MINIMAL + f'[[lookups]]\nfile = "x.csv"\nid = "id"\n{lookup}\n'
    with pytest.raises(RecipeError, match=expected):
        _read(tmp_path, text)


def test_explicit_cuts_are_two_rising_times_of_a_global_split(tmp_path: Path) -> None:
    assert _read(tmp_path, MINIMAL + "[split]\ncuts = [3, 5]\n").split.cuts == (3, 5)
    with pytest.raises(RecipeError, match="the first must come first"):
        _read(tmp_path, MINIMAL + "[split]\ncuts = [5, 3]\n")
    with pytest.raises(RecipeError, match="kind = 'global_time'"):
        _read(tmp_path, MINIMAL + "[split]\nkind = 'leave_last_out'\ncuts = [3, 5]\n")


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_a_recipe_that_was_read_can_be_read_again(name: str) -> None:
    recipe = read_recipe(name)
    assert read_recipe(recipe) == recipe


def test_a_group_needs_a_query(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="group_by"):
        _read(tmp_path, MINIMAL + 'group_by = ["u"]\n')


def test_derived_queries_need_item_texts(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="needs a lookup"):
        _read(tmp_path, MINIMAL + "[derive]\nshare = 0.5\n")


def test_an_unknown_name_and_bad_toml_are_recipe_errors(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="did you mean 'lastfm'"):
        read_recipe("lastfn")
    with pytest.raises(RecipeError, match="not readable TOML"):
        _read(tmp_path, "name = ")
