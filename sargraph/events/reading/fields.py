"""Fields: a recipe's table as SQL over the text columns of its file."""

from __future__ import annotations

from sargraph.events.reading.raw import RawTable
from sargraph.events.reading.recipe_fields import Keep
from sargraph.events.reading.times import time_sql
from sargraph.events.reading.workspace import literal
from sargraph.events.recipe import Table


def needed_columns(table: Table) -> list[tuple[str, ...]]:
    """Header names (each with its alternatives) of every column that the fields read."""
    alternatives = [
        table.user.column,
        table.item.column if table.item else (),
        table.query.column if table.query else (),
        *(table.time.column, table.time.year, table.time.month, table.time.day),
        *number_columns(table).values(),
        *(keep.column for keep in table.keep),
    ]
    together = [(name,) for name in (*table.search, *table.group_by)]
    return [names for names in alternatives if names] + together


def number_columns(table: Table) -> dict[str, tuple[str, ...]]:
    """The fields that are numbers, and the header names of their columns."""
    columns = {"action": table.action.column, "weight": table.weight, "position": table.position}
    return {name: names for name, names in columns.items() if names}


def expressions(table: Table, raw: RawTable) -> dict[str, str]:
    """SQL of each field: user, time; where the table has them item, query, search, group, numbers.

    `keep0`, `keep1`, ... are true where a row meets the condition. A search is named by its
    columns, else by its group, else by its time.
    """
    time = time_sql(table.time, raw.column)
    fields = {"user": raw.column(table.user.column), "time": time}
    if table.item:
        fields["item"] = raw.column(table.item.column)
    if table.query:
        fields["query"] = raw.column(table.query.column)
        fields["search"] = f"CAST({time} AS VARCHAR)"
    if table.group_by:
        fields["group"] = fields["search"] = _together(raw, table.group_by)
    if table.search:
        fields["search"] = _together(raw, table.search)
    for name, names in number_columns(table).items():
        fields[name] = _number(raw.column(names))
    for place, keep in enumerate(table.keep):
        fields[f"keep{place}"] = _condition(raw.column(keep.column), keep)
    return fields


def _together(raw: RawTable, names: tuple[str, ...]) -> str:
    columns = ", ".join(f"coalesce({raw.column((name,))}, '')" for name in names)
    return f"concat_ws(chr(31), {columns})"


def _number(column: str) -> str:
    return (
        f"CASE lower(trim({column})) WHEN 'true' THEN 1 WHEN 'false' THEN 0 "
        f"ELSE TRY_CAST({column} AS DOUBLE) END"
    )


def _condition(column: str, keep: Keep) -> str:
    # A value that is no number is not "too small": the row stays, and its field is judged.
    least = "true" if keep.at_least is None else f"{_number(column)} >= {keep.at_least}"
    among = ", ".join(map(literal, keep.one_of or ()))
    named = "true" if keep.one_of is None else f"coalesce(trim({column}), '') IN ({among})"
    return f"coalesce({least}, true) AND {named}"
