"""Arms: results of one model under one protocol on one task, one per training seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.types import BoolArray, DoubleArray
from sargraph.evaluation.evaluate import Result
from sargraph.evaluation.metrics import metric_names
from sargraph.evaluation.protocol import Protocol
from sargraph.evaluation.significance import mean_by_user


@dataclass(frozen=True)
class Arm:
    """One model under one protocol on one task: its results, one per training seed."""

    model: str
    task: str
    protocol: Protocol
    results: tuple[Result, ...]

    @property
    def key(self) -> tuple[str, str]:
        """Arms with the same key answered the same requests with the same candidates."""
        return self.task, self.protocol.hash

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that have a value per request."""
        return metrics_of(self.results[0])

    def user_means(self, names: Sequence[str], mask: BoolArray | None = None) -> DoubleArray:
        """Mean metrics of each user for each seed, [seeds, users, metrics]."""
        parts = [result if mask is None else result.take(mask) for result in self.results]
        columns = [np.stack([_values(part, name) for name in names], axis=1) for part in parts]
        users = parts[0].requests.user
        return np.stack([mean_by_user(values, users)[1] for values in columns])

    def size(self, mask: BoolArray | None = None) -> tuple[int, int]:
        """Numbers of users and of requests."""
        users = self.results[0].requests.user
        users = users if mask is None else users[mask]
        return len(np.unique(users)), len(users)


def arms_of(results: Sequence[Result]) -> list[Arm]:
    """Results grouped by task, protocol and model, in the order given.

    Results of one model under one protocol are its training seeds.
    Raises BadInputError when two results of a task and protocol ranked different candidates.
    """
    groups: dict[tuple[str, str, str], list[Result]] = {}
    marks: dict[tuple[str, str], str] = {}
    for result in results:
        for task, mask in _tasks(result):
            first = marks.setdefault((task, result.protocol.hash), result.candidates_hash)
            if first != result.candidates_hash:
                raise BadInputError(
                    f"'{result.model}' ranked other {task} requests or candidates than the models "
                    "before it (negatives are drawn for all requests of a run together); evaluate "
                    "all arms on the same requests with the same protocol"
                )
            key = (task, result.protocol.hash, result.model)
            groups.setdefault(key, []).append(result.take(mask))
    return [Arm(key[2], key[0], group[0].protocol, tuple(group)) for key, group in groups.items()]


def metrics_of(result: Result) -> list[str]:
    """Names of the metrics that have a value for each request of a result."""
    names = metric_names(result.protocol.cutoffs)
    full = result.top is not None and result.popularity is not None
    return [*names, f"self-information@{result.protocol.main_cutoff}"] if full else names


def slices_of(group: Sequence[Arm]) -> dict[str, BoolArray]:
    """All requests of the task, then the slices (of any arm) that hold some of them."""
    masks = {"all": np.ones(len(group[0].results[0]), dtype=bool)}
    for arm in group:
        named = arm.results[0].slices.items()
        masks |= {name: mask for name, mask in named if name not in masks and mask.any()}
    return masks


def _tasks(result: Result) -> Iterator[tuple[str, BoolArray]]:
    for task, mask in (
        ("search", result.requests.is_search),
        ("recommend", ~result.requests.is_search),
    ):
        if mask.any():
            yield task, mask


def _values(result: Result, name: str) -> DoubleArray:
    if name.startswith("self-information"):
        bits = result.self_information()
        return np.full(len(result), np.nan) if bits is None else bits
    return result.metric(name)
