"""`Profiled`: users as an index compares them, whether they are in it or asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from sargraph.core.types import NO_ROW, NO_TIME, BoolArray, CodeArray, DoubleArray, IntArray
from sargraph.events.events import Events
from sargraph.events.transitions import TRANSITIONS, transitions_of
from sargraph.neighbours.index_config import ORDERED, IndexConfig
from sargraph.neighbours.measures import Rows, Sequences, places_of
from sargraph.neighbours.profile import decay, scaled, used_events
from sargraph.neighbours.similarity import field_masks, unit_rows, weighted_rows


@dataclass(frozen=True, eq=False)
class Profiled:
    """Some users: their weights, and what other measures and the evidence read of them.

    `rows`: `√a_f` times unit profiles over items, then terms; `fields` uint8 [users], a bit per
    field that is not empty; `categories`: unit profiles over categories; `sequences`: the latest
    choices; `transitions` uint8 [entries of `rows`, 4], in 255ths, how the choices of an entry's
    item followed (see TRANSITIONS). None = not known, or not asked for.
    """

    rows: Rows
    fields: CodeArray
    categories: Rows | None = None
    sequences: Sequences | None = None
    transitions: CodeArray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: IntArray) -> Profiled:
        """The given users, in the given order. Cost: one copy of them."""
        at, _ = places_of(self.rows.offsets, places)
        return Profiled(
            rows=self.rows.take(places),
            fields=self.fields[places],
            categories=None if self.categories is None else self.categories.take(places),
            sequences=None if self.sequences is None else self.sequences.take(places),
            transitions=None if self.transitions is None else self.transitions[at],
        )

    @classmethod
    def joined(cls, pieces: Sequence[Profiled]) -> Profiled:
        """The users of several pieces of one index, one after the other. Cost: one copy."""
        rows = [piece.rows for piece in pieces]
        categories = [piece.categories for piece in pieces if piece.categories is not None]
        sequences = [piece.sequences for piece in pieces if piece.sequences is not None]
        transitions = [piece.transitions for piece in pieces if piece.transitions is not None]
        return cls(
            rows=_joined_rows(rows),
            fields=np.concatenate([piece.fields for piece in pieces]),
            categories=_joined_rows(categories) if categories else None,
            sequences=_joined_sequences(sequences) if sequences else None,
            transitions=np.concatenate(transitions) if transitions else None,
        )


def profiled(
    sums: Mapping[str, csr_array],
    idfs: Mapping[str, DoubleArray],
    config: IndexConfig,
    sequences: Sequences | None = None,
    transitions: CodeArray | None = None,
) -> Profiled:
    """Users from their sums (see `profile_sums`) and the idf of an index."""
    units = {f: unit_rows(scaled(_summed(part), idfs[f])) for f, part in sums.items()}
    categories = None
    if "category" in units and config.similarity.category_share > 0:
        unit = units["category"].sorted_indices()
        categories = Rows(
            unit.indptr.astype(np.int64),
            unit.indices.astype(np.int32),
            unit.data.astype(np.float32),
        )
    rows = weighted_rows(units, config.similarity)
    return Profiled(rows, field_masks(units), categories, sequences, transitions)


def _summed(part: csr_array) -> csr_array:
    """The same with each entry of a row once, as the lists of an index need it."""
    if part.has_canonical_format:
        return part
    found = part.copy()
    found.sum_duplicates()
    return found


def sequences_of(
    events: Events, mask: BoolArray, as_of: int, config: IndexConfig
) -> Sequences | None:
    """The latest choices of every user, at most `max_events`; None where no measure reads them.

    Places of an ordinal log are no common clock, so there nobody has a latest time.
    """
    if config.measure not in ORDERED:
        return None
    chosen = used_events(events, mask, as_of, config.profile) & events.is_positive
    rows = np.flatnonzero(chosen)
    user = events.user[rows]
    sizes = np.bincount(user, minlength=len(events.users))
    from_end = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(rows))
    rows = rows[from_end <= config.max_events]
    kept = np.minimum(sizes, config.max_events)
    ends = np.cumsum(kept)
    last = np.full(len(kept), NO_TIME, dtype=np.int64)
    if events.time_kind == "ms":
        last[kept > 0] = events.time[rows[ends[kept > 0] - 1]]
    return Sequences(np.r_[0, ends].astype(np.int64), events.item[rows].astype(np.int32), last)


def transition_shares(
    events: Events,
    mask: BoolArray,
    as_of: int,
    config: IndexConfig,
    rows: Rows,
    entry_of_item: IntArray,
) -> CodeArray | None:
    """How the choices behind each entry followed, uint8 [entries, 4]; None without a clock.

    Each choice counts as in the profile; `entry_of_item` int64 [items] is the entry of each item
    of the events, -1 = none. Entries that are terms, and choices before which there was nothing,
    have zeros.
    """
    if events.time_kind != "ms":
        return None
    used = used_events(events, mask, as_of, config.profile) & events.is_positive
    at = np.flatnonzero(used)
    at = at[entry_of_item[events.item[at]] != NO_ROW]
    kind = transitions_of(events).kind[at]
    settings = config.profile
    weight = np.where(events.is_search[at], settings.search_weight, settings.click_weight)
    weight = weight * decay(events, at, as_of, settings.item_half_life)
    entry = entry_of_item[events.item[at]]
    width = int(max(rows.entries.max(initial=-1), entry.max(initial=-1))) + 1
    user = np.repeat(np.arange(len(rows)), np.diff(rows.offsets))
    place = np.searchsorted(user * width + rows.entries, events.user[at] * width + entry)
    shares = np.zeros((len(rows.entries), len(TRANSITIONS)))
    follows = (kind >= 0) & (weight > 0)
    np.add.at(shares, (place[follows], kind[follows]), weight[follows])
    counts = weight > 0
    total = np.bincount(place[counts], weights=weight[counts], minlength=len(shares))[:, None]
    shares = np.divide(shares, total, out=shares, where=total > 0)
    return np.rint(shares * 255).astype(np.uint8)


def _joined_rows(pieces: Sequence[Rows]) -> Rows:
    return Rows(
        _joined_offsets([piece.offsets for piece in pieces]),
        np.concatenate([piece.entries for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
    )


def _joined_sequences(pieces: Sequence[Sequences]) -> Sequences:
    return Sequences(
        _joined_offsets([piece.offsets for piece in pieces]),
        np.concatenate([piece.items for piece in pieces]),
        np.concatenate([piece.last_time for piece in pieces]),
    )


def _joined_offsets(pieces: Sequence[IntArray]) -> IntArray:
    lengths = np.concatenate([np.diff(piece) for piece in pieces])
    return np.r_[0, np.cumsum(lengths)].astype(np.int64)
