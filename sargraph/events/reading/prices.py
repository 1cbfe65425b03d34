"""Prices: numbers that may be unknown, in a column of their own or in lists beside the slates."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sargraph.core.types import BoolArray, DoubleArray, FloatArray
from sargraph.events.reading.identifiers import NOT_AN_ID
from sargraph.events.reading.slates import Shown, split_lists

MOST = float(np.finfo(np.float32).max)

_UNREADABLE = -1.0


def as_prices(values: DoubleArray) -> tuple[FloatArray, BoolArray]:
    """Prices float32 [n], NaN = unknown, and the mask of numbers that are no price.

    Those, below 0 or beyond float32, become unknown; NaN is unknown to begin with.
    """
    bad = np.asarray((values < 0) | (values > MOST))
    return np.where(bad, np.nan, values).astype(np.float32), bad


def read_prices(
    column: pa.ChunkedArray, separator: str, shown: Shown
) -> tuple[FloatArray, Counter[str]]:
    """The price of each shown item, float32 [shown]; NaN = unknown.

    `column` holds for each row a list that runs beside its slate, place by place, written as
    `slates.split_lists` reads it. A list of another length tells nothing of any item of its slate,
    for nobody knows which prices it left out. Empty entries, and texts for "none", are unknown
    prices. Counts: `unequal_price_list` (rows), `unreadable_price` (entries: no number, or below
    0). Cost: O(characters).
    """
    lengths, entries = split_lists(column, separator, with_null=True)
    prices, bad = as_prices(_numbers(entries))
    fits = lengths == shown.lengths
    is_known = fits[shown.row]
    starts = np.cumsum(lengths) - lengths
    found = np.full(len(shown.row), np.nan, dtype=np.float32)
    found[is_known] = prices[starts[shown.row[is_known]] + shown.place[is_known]]
    text = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
    is_given = np.asarray(pc.not_equal(text, ""), dtype=np.bool_)
    return found, Counter(
        unequal_price_list=int((is_given & ~fits).sum()),
        unreadable_price=int((bad & np.repeat(fits, lengths)).sum()),
    )


def _numbers(entries: pa.Array) -> DoubleArray:
    """Texts as numbers, float64 [n]: NaN for missing ones, -1 for what is no number."""
    coded = entries.dictionary_encode()
    texts = coded.dictionary
    is_missing = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(NOT_AN_ID))
    values = pd.to_numeric(pd.Series(texts.to_pylist(), dtype=object), errors="coerce")
    numbers = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=_UNREADABLE, posinf=np.inf)
    numbers[np.asarray(is_missing, dtype=np.bool_)] = np.nan
    return np.asarray(numbers[np.asarray(coded.indices)])
