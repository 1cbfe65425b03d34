"""Columns in SQL: one column of a raw file, of texts or of native values, in the form needed."""

from __future__ import annotations

from dataclasses import dataclass

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
REALS = ("FLOAT", "DOUBLE")
MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")

_LONGEST_WHOLE = 1e38
"""So large are whole numbers that a cast to 128 bits takes."""

_LEAST = "CAST('-9223372036854775808' AS BIGINT)"


@dataclass(frozen=True)
class Column:
    """A column: its SQL, and its DuckDB type."""

    sql: str
    type: str = "VARCHAR"

    @property
    def is_text(self) -> bool:
        """True for texts."""
        return self.type == "VARCHAR"

    @property
    def is_number(self) -> bool:
        """True for integers and floating-point numbers."""
        return self.type in INTEGERS or self.type in REALS

    @property
    def is_integer(self) -> bool:
        """True for integers of at most 64 bits."""
        return self.type in INTEGERS

    @property
    def is_moment(self) -> bool:
        """True for dates and timestamps."""
        return self.type in MOMENTS

    @property
    def text(self) -> str:
        """SQL of the value as a text; whole floating-point numbers have no `.0`."""
        if self.is_text:
            return self.sql
        as_text = f"CAST({self.sql} AS VARCHAR)"
        if self.type not in REALS:
            return as_text
        is_whole = f"{self.sql} = trunc({self.sql}) AND abs({self.sql}) < {_LONGEST_WHOLE}"
        whole = f"CAST(TRY_CAST({self.sql} AS HUGEINT) AS VARCHAR)"
        return f"CASE WHEN {is_whole} THEN {whole} ELSE {as_text} END"

    @property
    def id(self) -> str:
        """SQL of the value as an id: integers as they are, all else as texts."""
        return self.sql if self.is_integer else self.text

    @property
    def key(self) -> str:
        """SQL that is equal for equal values, and for missing ones, which it makes a value."""
        if self.is_integer:
            return f"coalesce(CAST({self.sql} AS BIGINT), {_LEAST})"
        return f"coalesce({self.text}, '')"

    @property
    def number(self) -> str:
        """SQL of a DOUBLE, NULL where the value is no number; `true` is 1 and `false` 0."""
        if self.is_number:
            return f"CAST({self.sql} AS DOUBLE)"
        if self.type == "BOOLEAN":
            return f"CAST(CAST({self.sql} AS INTEGER) AS DOUBLE)"
        truth = f"CASE lower(trim({self.text})) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"
        return f"coalesce(TRY_CAST({self.text} AS DOUBLE), {truth})"

    @property
    def integer(self) -> str:
        """SQL of a BIGINT, rounded; NULL where the value is no number of 64 bits.

        Texts such as `1.684742e+12` lose nothing: the cast reads digits, not a float.
        """
        if self.is_integer:
            return f"CAST({self.sql} AS BIGINT)"
        if self.is_number or self.type == "BOOLEAN":
            return f"TRY_CAST({self.sql} AS BIGINT)"
        # A bare cast of a text would be done by DuckDB's CSV scan, which refuses the whole row
        # where the value is no number; a second try keeps the two apart.
        return f"coalesce(TRY_CAST({self.text} AS BIGINT), TRY_CAST(trim({self.text}) AS BIGINT))"
