"""The audit of an evaluation: who knows nothing gets chance, and a column says nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import numpy as np

from sargraph.core.errors import ConfigError
from sargraph.core.scorer import Requests, Scorer
from sargraph.core.types import NO_ROW, DoubleArray, FloatArray, IntArray
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.metrics import metric_names
from sargraph.evaluation.protocol import Protocol

SIGMAS = 5.0
"""How far a mean may be from chance, in standard errors."""


class Constant:
    """Scores everything alike."""

    name = "constant"

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """Zeros, float32 [n, c]; -inf for padding."""
        return _masked(np.zeros(candidates.shape), candidates)


class ByColumn:
    """Scores a candidate by its column: what a leak through places looks like."""

    def __init__(self, sign: int) -> None:
        self.sign, self.name = sign, f"column {'last' if sign > 0 else 'first'}"

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """The column index, or its negative, float32 [n, c]; -inf for padding."""
        columns = np.broadcast_to(np.arange(candidates.shape[1]), candidates.shape)
        return _masked(self.sign * columns, candidates)


class ByRow:
    """Scores an item by its row number in the vocabulary."""

    def __init__(self, sign: int) -> None:
        self.sign, self.name = sign, f"row {'last' if sign > 0 else 'first'}"

    def score(self, requests: Requests, candidates: IntArray) -> FloatArray:
        """The item row, or its negative, float32 [n, c]; -inf for padding."""
        return _masked(self.sign * candidates, candidates)


class ConstantVectors(Constant):
    """The constant scorer as a `VectorScorer`, which evaluation may rank by another road."""

    name = "constant vectors"

    def __init__(self, num_items: int) -> None:
        self.num_items = num_items

    def encode(self, requests: Requests) -> FloatArray:
        """Ones, float32 [n, 1]."""
        return np.ones((len(requests), 1), dtype=np.float32)

    def item_vectors(self) -> FloatArray:
        """Zeros, float32 [items, 1]."""
        return np.zeros((self.num_items, 1), dtype=np.float32)


def assert_chance(evaluate_fn: Callable[[Scorer], Result], *, sigmas: float = SIGMAS) -> None:
    """An evaluation gives chance to whoever knows nothing.

    `evaluate_fn` judges a scorer under one protocol (see `protocols_on_offer` for all of them). A
    constant scorer must get exactly chance for every request with c candidates,
    ```
    HR@k = min(k, c) / c           NDCG@k = 1/c sum_{r <= min(k, c)} 1 / log2(r + 1)
    MRR = 1/c sum_{r <= c} 1/r     AUC = 1/2
    ```
    and, where there are top lists, cover 1 - (1 - k / items)^n of the catalogue, about. Scorers by
    column and by item row, either way round, must get chance on average, within `sigmas` standard
    errors (all requests of one target counted as one draw). The row is chance only where rows say
    nothing: a vocabulary sorted by popularity fails, rightly. Raises AssertionError.
    """
    constant = evaluate_fn(Constant())
    if len(constant) == 0:
        raise ValueError("no request was judged; give an evaluation with requests")
    for result in (constant, evaluate_fn(ConstantVectors(constant.num_items))):
        _refuse_unequal(result)
        _refuse_coverage(result, sigmas)
    for scorer in (ByColumn(1), ByColumn(-1), ByRow(1), ByRow(-1)):
        _refuse_far(evaluate_fn(scorer), sigmas)


def protocols_on_offer(negatives_hash: str = "", **fixed: Any) -> list[Protocol]:
    """Every protocol that the choices of `Protocol` allow, read from its fields.

    `fixed` settings stay as given; every other choice among names, or yes and no, is tried in all
    combinations that do not contradict themselves. `negatives_hash` goes to protocols that need
    one; without it, those are not on offer.
    """
    choices = {
        name: _values(field.annotation)
        for name, field in Protocol.model_fields.items()
        if name not in fixed and _values(field.annotation)
    }
    found = []
    for combination in itertools.product(*choices.values()):
        settings = {**fixed, **dict(zip(choices, combination, strict=True))}
        if settings.get("negatives") == "file":
            settings["negatives_hash"] = negatives_hash
        if settings.get("candidates") != "sampled":
            settings.pop("num_negatives", None)
        try:
            found.append(Protocol(**settings))
        except ConfigError:
            continue
    return found


def assert_order_unread(scorer: Scorer, requests: Requests, candidates: IntArray) -> None:
    """Scores follow their candidates when columns are turned round, and their requests likewise.

    Equal up to rounding (rtol 1e-4, atol 1e-5): other shapes of a product round otherwise.
    Raises AssertionError.
    """
    scores = scorer.score(requests, candidates)
    turned = scorer.score(requests, candidates[:, ::-1].copy())[:, ::-1]
    order = np.arange(len(requests))[::-1]
    moved = scorer.score(requests.take(order), candidates[order])[::-1]
    for what, again in (("its column", turned), ("its row", moved)):
        if not np.allclose(scores, again, rtol=1e-4, atol=1e-5, equal_nan=True):
            raise AssertionError(f"'{scorer.name}' scores a candidate by {what} in the question")


def _values(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return (False, True) if annotation is bool else ()


def _gains(name: str, count: int) -> DoubleArray:
    """What the metric gives for each rank 1 .. count, by its definition."""
    family, _, cutoff = name.partition("@")
    ranks = range(1, count + 1)
    if family == "HR":
        return np.array([float(rank <= int(cutoff)) for rank in ranks])
    if family == "NDCG":
        return np.array([1 / np.log2(rank + 1) if rank <= int(cutoff) else 0.0 for rank in ranks])
    if family == "MRR":
        return np.array([1 / rank for rank in ranks])
    return np.array([(count - rank) / (count - 1) if count > 1 else 0.5 for rank in ranks])


def _refuse_unequal(result: Result) -> None:
    counts = result.ranks.count
    for name in metric_names(result.protocol.cutoffs):
        chance = {int(c): float(_gains(name, int(c)).mean()) for c in np.unique(counts)}
        expected = np.array([chance[int(c)] for c in counts])
        got = result.metric(name)
        if not np.allclose(got, expected, rtol=1e-9, atol=1e-12):
            raise AssertionError(
                f"'{result.model}' got {name} {got.mean():.4f}, chance is {expected.mean():.4f} "
                f"({result.protocol.candidates_text()})"
            )


def _refuse_coverage(result: Result, sigmas: float) -> None:
    if result.top is None:
        return
    share = result.top.shape[1] / result.num_items
    chance = 1 - (1 - min(share, 1.0)) ** len(result)
    error = np.sqrt(chance * (1 - chance) / result.num_items) + 1 / result.num_items
    if abs(result.coverage() - chance) > sigmas * error:
        raise AssertionError(
            f"'{result.model}' covers {result.coverage():.3f} of the catalogue, a fair draw "
            f"{chance:.3f} ({result.protocol.candidates_text()})"
        )


def _refuse_far(result: Result, sigmas: float) -> None:
    counts, target = result.ranks.count, result.requests.target
    _, group = np.unique(target, return_inverse=True)
    for name in metric_names(result.protocol.cutoffs):
        gains = {int(c): _gains(name, int(c)) for c in np.unique(counts)}
        chance = np.mean([gains[int(c)].mean() for c in counts])
        spread = np.bincount(group, [gains[int(c)].std() for c in counts])
        error = float(np.sqrt((spread**2).sum())) / len(result)
        if abs(result.metric(name).mean() - chance) > sigmas * error + 1e-9:
            raise AssertionError(
                f"the scorer by {result.model} got {name} {result.metric(name).mean():.4f}, chance "
                f"is {chance:.4f} +- {error:.4f} ({result.protocol.candidates_text()})"
            )


def _masked(scores: Any, candidates: IntArray) -> FloatArray:
    return np.where(candidates == NO_ROW, -np.inf, scores).astype(np.float32)
