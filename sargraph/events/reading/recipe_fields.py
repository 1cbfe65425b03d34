"""The fields of a recipe's table: how one column, or a few, become one field of an event.

Every field can be written in short: `user = "user_id"` is `user = { column = "user_id" }`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sargraph.core.config import Config


def as_list(value: Any) -> Any:
    """A text stands for a list of one."""
    return (value,) if isinstance(value, str) else value


def as_column(value: Any) -> Any:
    """A header name, or several, stand for a field that is only a column."""
    return {"column": value} if isinstance(value, str | list | tuple) else value


def as_time(value: Any) -> Any:
    """The text "none" stands for a log without times."""
    return {"unit": "none"} if value == "none" else as_column(value)


def as_action(value: Any) -> Any:
    """The name of an action stands for a rule that always gives it."""
    return {"yes": value} if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(as_list)]
ItemAction = Literal["impression", "click", "play", "like", "buy"]
MAX_MINUTES = 1e9
"""Some 1,900 years: what a pause in minutes can mean."""

TimeUnit = Literal["auto", "ms", "s", "us", "ns", "iso", "date", "ordinal", "none"]


class IdColumn(Config):
    """A column of ids; in short its name alone."""

    column: Names
    """Header name; of several the first that the file has."""
    optional: bool = False
    """Items of searches only: an empty id is a search that led to nothing, not a bad row."""
    missing: Names = ()
    """Values that mean "no id", besides the empty ones."""


class TimeColumn(Config):
    """A column, or columns of date parts, with the time of the event, or `"none"`."""

    column: Names = ()
    """Header name; of several the first that the file has."""
    unit: TimeUnit = "ms"
    """Numbers since 1970 UTC (`auto`: the one of s, ms, us, ns that all values fit), ISO 8601
    text, date parts, a place in an order, or no time."""
    year: Names = ()
    """Column of the year, for unit "date"."""
    month: Names = ()
    """Column of the month, for unit "date"; without it the first of the year."""
    day: Names = ()
    """Column of the day, for unit "date"; without it the first of the month."""
    elapsed: Names = ()
    """Column of the milliseconds since that time, such as since the start of a session."""
    utc_offset: str = Field("+00:00", pattern=r"^[+-](0\d|1[0-4]):[0-5]\d$")
    """Offset of ISO texts and dates that carry none of their own."""
    zone: str | None = None
    """IANA time zone, such as "Asia/Shanghai", of ISO texts and dates without an offset."""
    constant: int | None = None
    """The place of every row, for unit "ordinal" and files that follow one another."""


class TermsColumn(Config):
    """A column of text or term lists; in short its name alone."""

    column: Names
    """Header name; of several the first that the file has."""
    tokens: Literal["whitespace", "ids", "tag", "characters"] = "whitespace"
    """Lowercased words, ids as given, the whole lowercased string as one term, or words where
    each CJK character and each pair of neighbouring ones is a term."""
    list: str | None = Field(None, min_length=1)
    """How a list is written: "json", or the separator between its entries."""
    prefix: str = ""
    """Put before each term, to keep kinds of terms apart."""
    missing: Names = ()
    """Values that mean "no term"."""


class PricesColumn(Config):
    """A column of lists of prices beside the slate, place by place; in short its name alone."""

    column: Names
    """Header name; of several the first that the file has."""
    list: str | None = Field(None, min_length=1)
    """How a list is written, where it is not written as the slate."""


class ActionRule(Config):
    """The action of a row; in short its name alone."""

    column: Names = ()
    """Column that decides, of numbers or of texts; without it the action is always `yes`."""
    at_least: float = Field(1.0, allow_inf_nan=False)
    """The least number that counts as `yes`."""
    yes: ItemAction = "click"
    """Action where the number reaches `at_least`."""
    no: ItemAction = "impression"
    """Action elsewhere."""
    values: dict[str, ItemAction] = Field(default_factory=dict)
    """Texts of the column and their actions, in place of a number; other texts are bad rows."""


class Attribution(Config):
    """How rows of one log are given to the search before them, for source "attributed".

    A row whose `column` is in `opens` is a text search: its `query` is read, it has no item. A
    row in `ends` is no event and ends the open search. Any other row has an item and belongs to
    the user's open search, else to recommendation.
    """

    column: Names
    """Header name of the kind of a row; of several the first that the file has."""
    opens: Names = Field(min_length=1)
    """Kinds that open a search."""
    ends: Names = ()
    """Kinds that end it."""
    within: Names = ()
    """Columns; a search is open for the rows that are equal in all of them."""
    minutes: float | None = Field(None, gt=0, le=MAX_MINUTES)
    """A search is open for so long; without it as long as nothing ends it."""


class Keep(Config):
    """A condition on rows; the rows that do not meet it are left out and counted."""

    column: Names
    """Header name; of several the first that the file has."""
    at_least: float | None = Field(None, allow_inf_nan=False)
    """Least number kept."""
    one_of: tuple[str, ...] | None = None
    """Texts kept."""
