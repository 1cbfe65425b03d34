"""The ledger: one fate per row, whatever is recorded in whatever order."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sargraph.events.reading.ledger import (
    FATES,
    FILTERED,
    MERGED,
    QUARANTINED,
    USED,
    Ledger,
)

RECORDS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 19), max_size=8), st.integers(0, 3), st.sampled_from(["a", "b"])
    ),
    max_size=12,
)


@settings(deadline=None)
@given(RECORDS)
def test_the_strongest_fate_of_a_row_counts(records: list[tuple[list[int], int, str]]) -> None:
    ledger = Ledger()
    names = [ledger.open("x.csv", 12).name, ledger.open("x.csv", 8).name]
    fates: dict[int, int] = {}
    for rows, fate, why in records:
        ledger.record(np.array(rows, dtype=np.int64), fate, "" if fate == USED else why)
        for row in rows:
            fates[row] = max(fates.get(row, -1), fate)
    counts = ledger.counts()
    assert names == ["x.csv", "x.csv (again)"] == list(counts)
    for name, start, stop in ((names[0], 0, 12), (names[1], 12, 20)):
        tally = Counter(fate for row, fate in fates.items() if start <= row < stop)
        found = counts[name]
        assert found["rows"] == tally.total()
        assert found["used"] == tally[USED]
        assert all(sum(found[FATES[f]].values()) == tally[f] for f in range(USED))
    lost = {row for row, fate in fates.items() if fate != USED}
    columns = ledger.columns()
    starts = {names[0]: 0, names[1]: 12}
    listed = {
        starts[file] + row - 1
        for file, row in zip(columns["file"].to_pylist(), columns["row"].to_pylist(), strict=True)
    }
    assert listed == lost
    assert len(columns["why"]) == len(lost) == ledger.totals()["rows"] - ledger.totals()["used"]


def test_rows_fates_and_reasons_are_named_as_they_were_recorded() -> None:
    ledger = Ledger()
    ledger.open("a.csv", 3)
    second = ledger.open("b.csv", 4)
    assert (second.start, second.size, ledger.size) == (3, 4, 7)
    ledger.record(np.array([0, 3]), QUARANTINED, "no user id")
    ledger.record(np.array([1, 4]), FILTERED, "keep")
    ledger.record(np.array([5]), MERGED, "duplicate")
    ledger.record(np.array([2, 6, 4]), USED)
    columns = {name: column.to_pylist() for name, column in ledger.columns().items()}
    assert columns == {
        "file": ["a.csv", "a.csv", "b.csv", "b.csv"],
        "row": [1, 2, 1, 3],
        "fate": ["quarantined", "filtered", "quarantined", "merged"],
        "why": ["no user id", "keep", "no user id", "duplicate"],
    }
    totals = ledger.totals()
    assert (totals["rows"], totals["used"]) == (7, 3)
    assert totals["quarantined_by_reason"] == {"no user id": 2}
    assert (totals["filtered"], totals["merged"], totals["quarantined"]) == (1, 1, 2)


def test_numbers_that_name_no_row_are_not_counted() -> None:
    ledger = Ledger()
    ledger.open("gaps.csv", 10)
    ledger.record(np.array([0, 9]), USED)
    assert ledger.counts()["gaps.csv"]["rows"] == 2
    assert len(ledger.columns()["row"]) == 0


def test_an_empty_ledger_has_empty_columns() -> None:
    assert [len(column) for column in Ledger().columns().values()] == [0, 0, 0, 0]
    assert Ledger().totals()["rows"] == 0
