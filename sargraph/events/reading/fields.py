"""Fields: a recipe's table as SQL over the columns of its file, be they texts or native values."""

from __future__ import annotations

from sargraph.core.types import NO_ROW
from sargraph.events.reading.columns import Column
from sargraph.events.reading.raw import RawTable
from sargraph.events.reading.recipe_fields import ActionRule, Attribution, Keep
from sargraph.events.reading.times import RANGES, choose_unit, is_local_sql, time_sql
from sargraph.events.reading.workspace import literal
from sargraph.events.recipe import Table
from sargraph.events.schema import ACTIONS, SEARCHED

UNKNOWN = "CAST('NaN' AS DOUBLE)"


def needed_columns(table: Table) -> list[tuple[str, ...]]:
    """Header names (each with its alternatives) of every column that the fields read."""
    alternatives = [
        table.user.column,
        table.item.column if table.item else (),
        table.query.column if table.query else (),
        *(table.time.column, table.time.year, table.time.month, table.time.day),
        table.time.elapsed,
        table.action.column,
        *(table.weight, table.position, table.price),
        *(keep.column for keep in table.keep),
        table.attribution.column if table.attribution else (),
        table.slate.column if table.slate else (),
        table.slate_price.column if table.slate_price else (),
    ]
    within = table.attribution.within if table.attribution else ()
    together = [(name,) for name in (*table.search, *table.group_by, *within)]
    return [names for names in alternatives if names] + together


def number_columns(table: Table) -> dict[str, tuple[str, ...]]:
    """The fields that are numbers, and the header names of their columns."""
    action = () if table.action.values else table.action.column
    columns = {"action": action, "weight": table.weight, "position": table.position}
    return {name: names for name, names in columns.items() if names}


def expressions(table: Table, raw: RawTable) -> dict[str, str]:
    """SQL of each field; `number_columns` names those that are DOUBLE.

    Always `user`, `time` (BIGINT). Where the table has them: `item`, `query`, `search`, `group`,
    `slate`, `slate_price`; `price` (NaN = unknown, -1 = unreadable); `action_code` (a code of
    schema.ACTIONS, NULL = unreadable) for an action by texts; `marker` and `within` for an
    attribution, whose opening and ending rows have no item and all but the opening rows no query;
    `is_local` for a zone; `is_listed` where columns name the search, or the list that was shown, of
    a row of either source: true unless all of them are empty. `keep0`, `keep1`, ... are true where
    a row meets the condition. A search is named by its columns, else by its group, else by its
    time. Ids are integers where the file has them as such, else texts.
    Raises RecipeError: no such column, or one that cannot hold the field.
    """

    def column(names: tuple[str, ...]) -> Column:
        return raw.typed_column(names)

    fields = {"user": column(table.user.column).id}
    if table.item:
        fields["item"] = column(table.item.column).id
    fields["time"] = time = time_sql(table.time, column)
    if table.query:
        fields["query"] = column(table.query.column).text
        fields["search"] = time
    if table.group_by:
        fields["group"] = fields["search"] = _together(raw, table.group_by)
    if table.search:
        fields["search"] = _together(raw, table.search)
    if table.search and table.source == "by_query":
        named = (f"coalesce(trim({column((name,)).text}), '') <> ''" for name in table.search)
        fields["is_listed"] = " OR ".join(named)
    for name, names in number_columns(table).items():
        found = column(names)
        fields[name] = _unless_empty(found, NO_ROW) if name == "position" else found.number
    if table.price:
        found = column(table.price)
        fields["price"] = f"coalesce({_unless_empty(found, UNKNOWN)}, -1)"
    if table.time.zone is not None:
        fields["is_local"] = is_local_sql(table.time, column)
    if table.slate:
        fields["slate"] = column(table.slate.column).text
    if table.slate_price:
        fields["slate_price"] = column(table.slate_price.column).text
    if table.action.values:
        fields["action_code"] = _action_code(column(table.action.column), table.action)
    if table.attribution:
        fields = _attributed(fields, table.attribution, raw)
    for place, keep in enumerate(table.keep):
        fields[f"keep{place}"] = _condition(column(keep.column), keep)
    return fields


def settle_unit(table: Table, raw: RawTable) -> Table:
    """The table with the unit "auto" of its time replaced by the one that the values fit.

    A column of timestamps is "iso". Raises DataError as `times.detect_unit` does. Cost: a pass
    over the column.
    """
    if table.time.unit != "auto":
        return table
    found = raw.typed_column(table.time.column)
    unit = "iso" if found.is_moment else _unit_of(found, raw, table)
    return table.model_copy(update={"time": table.time.model_copy(update={"unit": unit})})


def _unit_of(found: Column, raw: RawTable, table: Table) -> str:
    fits = (f"count(*) FILTER (value BETWEEN {least} AND {most})" for _, least, most in RANGES)
    numbers = f"(SELECT {found.number} AS value FROM {raw.relation.sql})"
    counts = f"SELECT {', '.join(fits)}, count(value), count(*) FROM {numbers}"
    [(*fitting, size, num_rows)] = raw.work.connection.sql(counts).fetchall()
    if num_rows == 0:  # any unit fits an empty part
        return "ms"
    by_unit = dict(zip((unit for unit, *_ in RANGES), fitting, strict=True))
    return choose_unit(by_unit, size, "/".join(table.time.column), raw.file)


def _together(raw: RawTable, names: tuple[str, ...]) -> str:
    keys = [raw.typed_column((name,)) for name in names]
    if len(keys) == 1:
        return keys[0].key
    texts = ", ".join(f"coalesce({key.text}, '')" for key in keys)
    return f"concat_ws(chr(31), {texts})"


def _attributed(fields: dict[str, str], how: Attribution, raw: RawTable) -> dict[str, str]:
    marker = raw.typed_column(how.column).text
    is_marked = _among(marker, (*how.opens, *how.ends))
    # Rows that open or end a search do nothing with an item, whatever their columns hold.
    masked = {"item": "NULL", "action": "0", "action_code": f"CAST({SEARCHED} AS TINYINT)"}
    fields = fields | {
        name: f"CASE WHEN {is_marked} THEN {instead} ELSE {fields[name]} END"
        for name, instead in masked.items()
        if name in fields
    }
    query = f"CASE WHEN {_among(marker, how.opens)} THEN {fields['query']} END"
    within = {"within": _together(raw, how.within)} if how.within else {}
    return fields | within | {"marker": f"trim({marker})", "query": query}


def _unless_empty(found: Column, unknown: int | str) -> str:
    """The number, or `unknown` where it is empty; a text that is no number stays unreadable."""
    is_empty = f"coalesce(trim({found.text}), '') = ''" if found.is_text else f"{found.sql} IS NULL"
    return f"CASE WHEN {is_empty} THEN {unknown} ELSE {found.number} END"


def _action_code(found: Column, rule: ActionRule) -> str:
    """The code of a row's action by the text of its column, NULL for an unknown text."""
    codes = ((literal(text), ACTIONS.index(action)) for text, action in rule.values.items())
    cases = " ".join(f"WHEN {text} THEN {code}" for text, code in codes)
    return f"CAST(CASE trim({found.text}) {cases} END AS TINYINT)"


def _condition(found: Column, keep: Keep) -> str:
    # A value that is no number is not "too small": the row stays, and its field is judged.
    least = "true" if keep.at_least is None else f"{found.number} >= {keep.at_least}"
    named = "true" if keep.one_of is None else _among(found.text, keep.one_of)
    return f"coalesce({least}, true) AND {named}"


def _among(text: str, values: tuple[str, ...]) -> str:
    among = ", ".join(map(literal, values))
    return f"coalesce(trim({text}), '') IN ({among})"
