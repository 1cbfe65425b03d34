"""Refusal: figures that no correct evaluation can produce never leave the house.

With one target per request every metric here is a mean of a gain g(r) of the target's rank r that
never rises with r: HR@k gains 1 up to rank k, NDCG@k gains 1 / log2(r + 1) up to k, MRR gains 1 / r
(MRR@k up to k), AUC gains (c - r) / (c - 1) among c candidates. Let H(k) be HR at the known cutoffs
0 = k_0 < k_1 < ... (H(0) = 0, H(c) = 1). A share D_i of the targets ranks in k_{i-1} + 1 .. k_i, so
that

    sum_i D_i g(k_i)  <=  mean gain  <=  sum_i D_i g(k_{i-1} + 1),    D_i = H(k_i) - H(k_{i-1}).

NDCG@1 = HR@1, NDCG@k <= HR@k, HR@1 <= MRR <= HR@1 + (1 - HR@1) / 2 and their like are cases of it.
The bounds are linear, so they hold for means over requests, users and seeds, and for expectations
over ties alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from sargraph.core.errors import ImpossibleResultError
from sargraph.core.types import BoolArray, DoubleArray

FAMILIES = {
    **dict.fromkeys(("HR", "HIT", "HITS", "H", "HITRATE", "RECALL", "R", "SUCCESS"), "HR"),
    **dict.fromkeys(("NDCG", "N"), "NDCG"),
    **dict.fromkeys(("MRR", "MAP"), "MRR"),
    "AUC": "AUC",
}
"""Names that mean one thing with one target: a hit is all there is to recall."""

_SLACK = 1e-9
_FAR = 1 << 40  # stands for the last rank where the number of candidates is not known


def check_possible(
    figures: Mapping[str, float | DoubleArray],
    where: str = "results",
    *,
    num_candidates: int | None = None,
    slack: float = _SLACK,
) -> None:
    """Refuse figures (metric name -> value or values) that break an identity of one target.

    0 <= value <= 1; names of one family agree; HR@k never falls as k grows and is 1 from
    `num_candidates` on (give it only where every request has as many); NDCG@k, MRR and AUC lie
    between the bounds that the hit rates set; NDCG grows from one cutoff to the next as the hits
    between them allow. `slack` is how far a figure may be off by rounding. Figures that are NaN
    ("too few") and other names are passed over. Raises ImpossibleResultError.
    """
    table = _Table(where, slack, num_candidates)
    for name, value in figures.items():
        table.add(name, np.asarray(value, np.float64))
    table.check_hits()
    for family, gain in (("NDCG", _discount), ("MRR", _reciprocal)):
        table.check_gains(family, gain)
    if num_candidates and num_candidates > 1 and 0 in table.of("AUC"):
        others = num_candidates - 1
        table.check_gain("AUC", table.of("AUC")[0], lambda rank: 1 - (rank - 1) / others)


def check_nested(
    sampled: Mapping[str, float | DoubleArray],
    full: Mapping[str, float | DoubleArray],
    where: str = "results",
    *,
    slack: float = _SLACK,
) -> None:
    """Refuse a whole-catalogue figure above the sampled one of the same model and requests.

    The sampled candidates are some of the catalogue's, so the target ranks no better among all:
    HR, NDCG and MRR cannot rise. (AUC can: it is a share of the candidates.)
    Only for scorers that score a pair alike whatever stands beside it. Raises
    ImpossibleResultError.
    """
    for name, value in full.items():
        family, _ = family_of(name)
        if family in ("HR", "NDCG", "MRR") and name in sampled:
            many, few = np.asarray(value, np.float64), np.asarray(sampled[name], np.float64)
            rule = f"at most the sampled figure {_show(few)}"
            _refuse(many > few + slack, f"{name} over the catalogue", many, rule, where)


def family_of(name: str) -> tuple[str, int]:
    """Family (`HR`, `NDCG`, `MRR`, `AUC`, or nothing) and cutoff (0 = none) of a metric's name."""
    found = re.fullmatch(r"([A-Za-z][A-Za-z _-]*?)(?:@(\d+))?", name.strip())
    if found is None:
        return "", 0
    family = FAMILIES.get(re.sub(r"[ _-]", "", found[1]).upper(), "")
    cutoff = int(found[2] or 0)
    has_cutoff = {"HR": cutoff > 0, "NDCG": cutoff > 0, "MRR": True, "AUC": cutoff == 0}
    return (family, cutoff) if has_cutoff.get(family) else ("", 0)


class _Table:
    """Figures by family and cutoff, and the rules between them."""

    def __init__(self, where: str, slack: float, num_candidates: int | None) -> None:
        self._where, self._slack, self._last = where, slack, num_candidates
        self._families: dict[str, dict[int, DoubleArray]] = {}

    def of(self, family: str) -> dict[int, DoubleArray]:
        """Cutoff -> figure of one family."""
        return self._families.get(family, {})

    def add(self, name: str, value: DoubleArray) -> None:
        """Take a figure in; refuse one outside 0 .. 1, or unlike its like under another name."""
        family, cutoff = family_of(name)
        if not family or np.isnan(value).all():
            return
        rule = "0 to 1"
        if np.nanmax(value) > 1 + self._slack:
            rule += " (are these percentages? then divide them by 100)"
        self._check((value < -self._slack) | (value > 1 + self._slack), name, value, rule)
        known = self._families.setdefault(family, {})
        if cutoff in known:
            other = known[cutoff]
            rule = f"{_show(other)}, as under its other name"
            self._check(np.abs(value - other) > 2 * self._slack, name, value, rule)
        known[cutoff] = value

    def check_hits(self) -> None:
        """HR@k never falls as k grows, and is 1 where k holds every candidate."""
        hits = self.of("HR")
        for low, high in pairwise(sorted(hits)):
            rule = f"at least HR@{low} = {_show(hits[low])}"
            self._check(hits[high] < hits[low] - 2 * self._slack, f"HR@{high}", hits[high], rule)
        for k, value in hits.items():
            if self._last and k >= self._last:
                rule = f"1, as there are {self._last} candidates"
                self._check(value < 1 - self._slack, f"HR@{k}", value, rule)

    def check_gains(self, family: str, gain: Callable[[int], float]) -> None:
        """Hold each cutoff of a family against the hit rates, and each step between cutoffs."""
        figures = {k or _FAR: value for k, value in self.of(family).items()}
        names = {k: family if k == _FAR else f"{family}@{k}" for k in figures}
        for k, value in figures.items():
            self._check_against_hits(names[k], k, value)
            self.check_gain(names[k], value, gain, last=k)
        for low, high in pairwise(sorted(figures)):
            rise = figures[high] - figures[low]
            self.check_gain(f"{names[high]} - {names[low]}", rise, gain, first=low, last=high)

    def _check_against_hits(self, name: str, k: int, value: DoubleArray) -> None:
        """The rules that need no sum: a hit gains at most 1, and just 1 in the first place."""
        hits = self.of("HR").get(k)
        if hits is None:
            return
        rule, off = f"at most HR@{k} = {_show(hits)}", 2 * self._slack
        self._check(value > hits + off, name, value, rule)
        if k == 1:
            self._check(np.abs(value - hits) > off, name, value, f"HR@1 = {_show(hits)}")

    def check_gain(
        self,
        name: str,
        value: DoubleArray,
        gain: Callable[[int], float],
        first: int = 0,
        last: int = _FAR,
    ) -> None:
        """Hold a mean gain of the ranks in first + 1 .. last against what the hit rates allow."""
        low, high = np.zeros_like(value), np.zeros_like(value)
        off = self._slack * (2 if first else 1)
        for start, end, share, num_rounded in self._buckets():
            worst = gain(end) if first <= start and end <= last else 0.0
            best = gain(max(start, first) + 1) if max(start, first) < min(end, last) else 0.0
            low, high = low + share * worst, high + share * best
            off += self._slack * num_rounded * best
        bounds = f"{_show(low)} to {_show(high)}" if value.ndim == 0 else "a value"
        rule = f"{bounds} that the hit rates allow"
        self._check((value < low - off) | (value > high + off), name, value, rule)

    def _buckets(self) -> list[tuple[int, int, DoubleArray, int]]:
        """(after this rank, up to this one, share of the targets, hit rates it is made of)."""
        hits = {k: value for k, value in sorted(self.of("HR").items()) if k < (self._last or _FAR)}
        found, before, start = [], np.zeros(()), 0
        for k, value in hits.items():
            found.append((start, k, value - before, 1 if start == 0 else 2))
            before, start = value, k
        return [*found, (start, self._last or _FAR, 1 - before, 1 if start else 0)]

    def _check(self, broken: BoolArray, name: str, value: DoubleArray, rule: str) -> None:
        _refuse(broken, name, value, rule, self._where)


def _discount(rank: int) -> float:
    return float(1 / np.log2(rank + 1))


def _reciprocal(rank: int) -> float:
    return 1 / rank


def _refuse(broken: BoolArray, name: str, value: DoubleArray, rule: str, where: str) -> None:
    """Raise where a rule is broken; NaN breaks none."""
    if np.any(broken):
        raise ImpossibleResultError(
            f"{where}: got {name} = {_show(value)}, expected {rule}; no correct evaluation gives "
            "this, so the figures are refused: look for a mistake in the metric or the file"
        )


def _show(value: DoubleArray) -> str:
    return f"{float(value):.6g}" if value.ndim == 0 else f"{len(value)} values"
