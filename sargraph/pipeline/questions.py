"""Questions: the held-out choices of one task, with all that judging an answer needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from sargraph.core.ragged import Ragged
from sargraph.core.scorer import Requests, Scorer, VectorScorer
from sargraph.core.types import BoolArray, FloatArray, IntArray
from sargraph.evaluation.evaluate import Result, evaluate_scorer
from sargraph.evaluation.positives import (
    chosen_before,
    chosen_until_validation,
    known_positives,
    seen_items,
)
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.slates import Slates, slate_requests
from sargraph.evaluation.slices import request_slices
from sargraph.events.events import Events
from sargraph.events.split import TEST, VALID, Split, requests_for

Task = Literal["search", "recommend"]
TASKS: tuple[Task, ...] = ("recommend", "search")
MAX_REMEMBERED = 1 << 26
"""Scores of full rankings that are kept for a second protocol (256 MB)."""


@dataclass
class Asking:
    """Makes the questions of one data set, each kind once.

    A protocol about slates asks of choices among items that were shown together; any other one of
    every choice of its part of the split.
    """

    events: Events
    split: Split
    _made: dict[tuple[object, ...], Questions] = field(default_factory=dict)
    _slates: dict[str, Slates] = field(default_factory=dict)

    def questions(self, task: Task, protocol: Protocol) -> Questions:
        """The questions of a task under a protocol. Cost: that of `request_slices`, once."""
        key = (task, protocol.part, protocol.candidates == "slate", protocol.repeated == "new")
        if key not in self._made:
            self._made[key] = self._make(task, protocol)
        return self._made[key]

    def slates(self, part: str = "test") -> Slates:
        """The choices of a part among items that were shown together, of both tasks."""
        if part not in self._slates:
            rows = self.split.rows(TEST if part == "test" else VALID)
            self._slates[part] = slate_requests(self.events, rows)
        return self._slates[part]

    def _make(self, task: Task, protocol: Protocol) -> Questions:
        events, split = self.events, self.split
        requests, lists = self.requests(task, protocol)
        is_new = protocol.repeated == "new"
        return Questions(
            requests=requests,
            num_items=len(events.items),
            known=self._known(protocol.part),
            seen=self._seen(protocol.part),
            popularity=self._popularity,
            slices=request_slices(events, split, requests),
            item_terms=events.item_terms,
            lists=lists,
            chosen_before=chosen_before(events, split.visible, requests) if is_new else None,
        )

    def _known(self, part: str) -> Ragged:
        """Pairs that are no negatives; what validation asks must not depend on the test part."""
        if part == "test":
            return self._chosen_ever
        return chosen_until_validation(self.events, self.split)

    @cached_property
    def _chosen_ever(self) -> Ragged:
        return known_positives(self.events)

    def _seen(self, part: str) -> Ragged:
        """What each user chose before a part: in training and, before test, in validation."""
        before = self.split.is_train
        if part == "test":
            before = before | (self.split.part == VALID)
        return seen_items(self.events, before & self.split.visible)

    @cached_property
    def _popularity(self) -> IntArray:
        chosen = self.split.is_train & self.events.is_positive
        return np.bincount(self.events.item[chosen], minlength=len(self.events.items))

    def requests(self, task: Task, protocol: Protocol) -> tuple[Requests, Ragged | None]:
        """The requests of a task under a protocol and, about slates, the items shown at each."""
        if protocol.candidates != "slate":
            part = TEST if protocol.part == "test" else VALID
            return requests_for(self.events, self.split, part, task), None
        slates = self.slates(protocol.part)
        rows = np.flatnonzero(slates.requests.is_search == (task == "search"))
        return slates.requests.take(rows), slates.shown.take(rows)


@dataclass(frozen=True)
class Questions:
    """Requests of one task and what `evaluate_scorer` needs beside them; see there."""

    requests: Requests
    num_items: int
    known: Ragged
    seen: Ragged
    popularity: IntArray
    slices: dict[str, BoolArray]
    item_terms: Ragged
    lists: Ragged | None = None
    chosen_before: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.requests)

    def judge(self, scorer: Scorer, protocol: Protocol) -> Result:
        """Where a scorer ranks the targets."""
        return evaluate_scorer(
            scorer, self.requests, self.num_items, known=self.known, seen=self.seen,
            protocol=protocol, popularity=self.popularity, slices=self.slices, lists=self.lists,
            item_terms=self.item_terms, chosen_before=self.chosen_before,
        )  # fmt: skip


class Remembered:
    """A scorer that keeps its answers, so that a second protocol on the same candidates is free.

    `of_lists`: answers about lists of each request's own (sampled candidates) are kept as well.
    Memory: at most `MAX_REMEMBERED` scores; further ones are asked for again.
    """

    def __init__(self, scorer: Scorer, *, of_lists: bool = False) -> None:
        self.name = scorer.name
        self._scorer = scorer
        self._of_lists = of_lists
        self._answers: dict[bytes, FloatArray] = {}
        self._size = 0

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """The scores of the wrapped scorer."""
        is_shared = candidates.strides[0] == 0
        if not is_shared and not self._of_lists:  # judging asks for sampled candidates once
            return self._scorer.score(requests, candidates)
        key = requests.event.tobytes() + (candidates[0] if is_shared else candidates).tobytes()
        if key in self._answers:
            return self._answers[key]
        scores = self._scorer.score(requests, candidates)
        if self._size + scores.size <= MAX_REMEMBERED:
            self._answers[key] = scores
            self._size += scores.size
        return scores


def remembered(scorer: Scorer) -> Scorer:
    """The scorer with a memory; one that is asked for vectors needs none."""
    return scorer if isinstance(scorer, VectorScorer) else Remembered(scorer)


def parents_of(scorer: Scorer) -> dict[str, str]:
    """Content hashes of what a scorer was made from, by role; empty where it does not say."""
    return dict(getattr(scorer, "parents", {}))


class Named:
    """A scorer under another name, so that two arms of one model can be told apart."""

    def __init__(self, name: str, scorer: Scorer) -> None:
        self.name = name
        self.score = scorer.score
        self.parents = parents_of(scorer)
