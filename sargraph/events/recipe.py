"""Recipes: one TOML file per data set that says how columns of raw logs become events."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sargraph.core.config import Config, apply_overrides, parse_config, read_toml
from sargraph.core.errors import BadInputError, RecipeError, nearest
from sargraph.events.contradictions import contradiction
from sargraph.events.reading.recipe_fields import (
    MAX_MINUTES,
    ActionRule,
    Attribution,
    IdColumn,
    Keep,
    Names,
    PricesColumn,
    TermsColumn,
    TimeColumn,
    as_action,
    as_column,
    as_time,
)
from sargraph.events.schema import QueryKind, TimeKind
from sargraph.events.split import SplitConfig


class FileSource(Config):
    """A file of the data set and how it is written."""

    file: str
    """Path inside the source folder; may hold `*`."""
    many: bool = False
    """Read all files that `*` fits, in the order of their names; else exactly one may fit."""
    format: Literal["csv", "tsv", "parquet", "jsonl", "sequences", "json_lists", "jdsearch"] = "csv"
    """`sequences`: a line is `user item item ...` in order (columns user, item, place);
    `json_lists`: one JSON object of lists (columns id, values); `jdsearch`: a line per user of
    lists side by side (columns user, query, item, action, place). `.gz` is unpacked."""
    encoding: str = "utf-8"
    """Encoding of a text file."""
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    """Between columns; a comma for csv, a tab for tsv."""
    quote: str | None = Field(None, max_length=1)
    """Around values; `"` for csv, none for tsv."""


class Table(FileSource):
    """One log: its columns as fields of the event."""

    source: Literal["search", "recommend", "by_query", "attributed"]
    """Where the events of this log happened; `by_query`: rows with an empty query in
    recommendation, the others in search; `attributed`: as `attribution` says."""
    user: Annotated[IdColumn, BeforeValidator(as_column)]
    """The user's id."""
    item: Annotated[IdColumn | None, BeforeValidator(as_column)] = None
    """The item's id; a search log may have none."""
    time: Annotated[TimeColumn, BeforeValidator(as_time)]
    """When it happened, or "none"."""
    query: Annotated[TermsColumn | None, BeforeValidator(as_column)] = None
    """The query of a search."""
    attribution: Attribution | None = None
    """How rows are given to the search before them, for source "attributed"."""
    slate: Annotated[TermsColumn | None, BeforeValidator(as_column)] = None
    """List of the item ids that were shown with a row's item: each other one is an impression of
    the same time and search, at its place in the list (from 0)."""
    slate_price: Annotated[PricesColumn | None, BeforeValidator(as_column)] = None
    """List of the prices of the slate's items, place by place."""
    search: Names = ()
    """Columns that together name one search of a user; without them one time and query is one.
    In a log by query they name a list that was shown without a query as well, unless empty."""
    action: Annotated[ActionRule, BeforeValidator(as_action)] = ActionRule()
    """What the user did with the item."""
    weight: Names = ()
    """Strength of the event; 1 without it."""
    position: Names = ()
    """Place on the page."""
    price: Names = ()
    """Price of the item; unknown without it."""
    keep: tuple[Keep, ...] = ()
    """Conditions; other rows are left out and counted."""
    group_by: Names = ()
    """Rows equal in these columns are one event whose query is the set of their terms."""


class Lookup(FileSource):
    """A file that gives ids readable names, or items a text."""

    of: Literal["user", "item", "term"]
    """Whose ids."""
    id: Names
    """Column of ids."""
    name: Names = ()
    """Column of readable names."""
    terms: tuple[TermsColumn, ...] = ()
    """Columns of an item's own text."""
    categories: tuple[TermsColumn, ...] = ()
    """Columns of an item's categories, the broadest level first."""
    category_names: tuple[Names, ...] = ()
    """Columns of the readable names of these categories, level by level."""
    follows: TermsColumn | None = None
    """Column of the ids that a user follows."""
    optional: bool = False
    """The file may be absent; the report says so."""


class Thin(Config):
    """A dense log made sparse, to study users of whom little is known; before `core`."""

    share: float = Field(1.0, gt=0, le=1)
    """Seeded share of the choices that stay, in search and recommendation; a smaller share keeps
    some of what a larger one keeps."""
    min_items: int = Field(0, ge=0)
    """Fewest distinct items that a user chose, after thinning."""
    max_items: int = Field(0, ge=0)
    """Most of them; 0 = no bound."""


class Core(Config):
    """Rare things left out: terms first, then users and items until nothing changes."""

    min_term_uses: int = Field(0, ge=0)
    """Searches that use a term; a search that loses all its terms goes too."""
    min_user_items: int = Field(0, ge=0)
    """Distinct items that a user chose, in search or recommendation."""
    min_item_users: int = Field(0, ge=0)
    """Distinct users that chose an item."""


class Derive(Config):
    """Search events made from recommendation events; the query is the item's own terms."""

    share: float = Field(0.3, ge=0, le=1)
    """Seeded share of the events that become searches (and are recommendation no more)."""


class Recipe(Config):
    """All that is to know about a data set to read it."""

    name: str
    """Name of the data set."""
    about: str = ""
    """One line for people."""
    licence: str = ""
    """On what terms the data may be used, and whom to cite."""
    time_kind: TimeKind = "ms"
    """What times are."""
    query_kind: QueryKind = "real"
    """Where query texts come from."""
    session_gap_minutes: float = Field(30.0, gt=0, le=MAX_MINUTES)
    """A longer pause ends a session."""
    max_query_terms: int = Field(100, ge=1)
    """Further terms of a query are cut, and counted."""
    duplicates: Literal["keep", "first", "last", "count"] = "first"
    """What stays of events equal in user, item, query, time, source and action: all, one, or the
    first with their weights added up (count)."""
    max_user_events: int = Field(0, ge=0)
    """Of a user with more events the most recent stay, the others are counted; 0 = all."""
    tables: tuple[Table, ...] = Field(min_length=1)
    """The logs; events of equal time keep this order."""
    lookups: tuple[Lookup, ...] = ()
    """Names and texts."""
    thin: Thin | None = None
    """Choices left out by chance, and users by how much they chose."""
    core: Core = Core.model_validate({})
    """Rare things left out."""
    derive: Derive | None = None
    """Queries made from items, for logs without searches."""
    split: SplitConfig = SplitConfig.model_validate({})
    """The default split."""


def shipped_recipes() -> dict[str, Path]:
    """Names and paths of the recipes that come with sargraph."""
    package = Path(str(files("sargraph")))
    installed = package / "recipes"
    folder = installed if installed.is_dir() else package.parent / "graphs"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_recipe(recipe: str | Path | Recipe, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by its shipped name or from a path, with `section.key=value` overrides.

    Raises RecipeError: unknown name or key (names the nearest), wrong value, or a recipe that
    contradicts itself.
    """
    try:
        if isinstance(recipe, Recipe):
            where, data = f"recipe '{recipe.name}'", recipe.model_dump(exclude_none=True)
        else:
            path = _locate(recipe)
            where, data = f"recipe {path.name}", read_toml(path)
        parsed = parse_config(Recipe, apply_overrides(data, overrides), where)
    except BadInputError as error:
        raise RecipeError(str(error)) from None
    problem = contradiction(parsed)
    if problem:
        raise RecipeError(f"{where}: {problem}")
    return parsed


def _locate(recipe: str | Path) -> Path:
    path = Path(recipe)
    with suppress(OSError):  # a name too long for a file
        if path.is_file():
            return path
    shipped = shipped_recipes()
    if str(recipe) in shipped:
        return shipped[str(recipe)]
    raise RecipeError(
        f"no recipe '{recipe}', neither a file nor a shipped one; {nearest(str(recipe), shipped)}"
    )
