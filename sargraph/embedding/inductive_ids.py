"""Which ids of events are new to embeddings, and the vocabularies that hold both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.ragged import Ragged
from sargraph.core.types import BoolArray, IntArray
from sargraph.embedding.embeddings import KINDS, Embeddings
from sargraph.events.events import Events
from sargraph.events.vocabulary import Vocabulary


@dataclass(frozen=True)
class GrownIds:
    """The ids of embeddings, in their old rows, and after them the new ids of events, sorted.

    Per kind: `num_known` old rows; `row_of` int64 [ids of the events], the row of each; `new_from`
    int64 [new rows], the row that a new id has in the events. `query_terms` are the term rows of
    all queries.
    """

    vocabularies: dict[str, Vocabulary]
    num_known: dict[str, int]
    row_of: dict[str, IntArray]
    new_from: dict[str, IntArray]
    query_terms: Ragged

    @classmethod
    def of(cls, embeddings: Embeddings, events: Events) -> GrownIds:
        """Join the vocabularies.

        Raises BadInputError where no user and no item of the events is known, or where most of
        the ids that both have bear other names: then they are ids of another data set. Cost: a
        sort of the new ids.
        """
        _check_overlap(embeddings, events)
        vocabularies = dict(embeddings.vocabularies)
        num_known, row_of, new_from = {}, {}, {}
        for kind in KINDS:
            old, own = embeddings.vocabularies[kind], events.vocabularies[kind]
            _check_names(kind, embeddings, events)
            new = sorted(id_ for id_ in own.ids if id_ not in old)
            new_from[kind] = own.rows(new)
            names = [own.names[row] for row in new_from[kind]]
            vocabularies[kind] = Vocabulary([*old.ids, *new], [*old.names, *names])
            num_known[kind] = len(old)
            row_of[kind] = own.match(vocabularies[kind])
        own_terms = events.query_terms.take(new_from["query"])
        values = np.concatenate([embeddings.query_terms.values, row_of["term"][own_terms.values]])
        lengths = np.concatenate([embeddings.query_terms.lengths, own_terms.lengths])
        query_terms = Ragged.from_lengths(values, lengths)
        return cls(vocabularies, num_known, row_of, new_from, query_terms)

    def is_new(self, kind: str, rows: IntArray) -> BoolArray:
        """True for rows of ids that the embeddings did not have."""
        return np.asarray(rows >= self.num_known[kind])

    def num_new(self, kind: str) -> int:
        """How many ids of a kind are new."""
        return len(self.new_from[kind])


def _check_overlap(embeddings: Embeddings, events: Events) -> None:
    """Refuse events of which no user and no item is known."""
    kinds = ("user", "item")
    known = {
        kind: np.any(events.vocabularies[kind].match(embeddings.vocabularies[kind]) >= 0)
        for kind in kinds
    }
    if not any(known.values()):
        sizes = " and ".join(f"{len(events.vocabularies[kind])} {kind}s" for kind in kinds)
        raise BadInputError(
            f"none of the {sizes} of '{events.name}' is known to these embeddings, expected ids "
            "of the data set that they were trained on; give events with the same ids, or train"
        )


def _check_names(kind: str, embeddings: Embeddings, events: Events) -> None:
    """Refuse events most of whose known ids stand for something else."""
    old, own = embeddings.vocabularies[kind], events.vocabularies[kind]
    shared = np.flatnonzero(own.match(old) >= 0)
    others = [row for row in shared if own.names[row] != old.names[old.row(own.ids[row])]]
    if 2 * len(others) > len(shared):
        id_ = own.ids[others[0]]
        raise BadInputError(
            f"{len(others)} of the {len(shared)} known {kind} ids of '{events.name}' have another "
            f"name, as '{id_}': got '{own.names[others[0]]}', expected "
            f"'{old.names[old.row(id_)]}'; give events with the ids of the training data"
        )
