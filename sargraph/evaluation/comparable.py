"""Whether two runs may be compared at all, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sargraph.core.errors import BadInputError
from sargraph.core.scorer import Requests
from sargraph.core.types import IntArray
from sargraph.evaluation.arms import Arm
from sargraph.evaluation.report import Report


def check_comparable(first: Report, second: Report) -> None:
    """Refuse runs without results, on other events, or without a protocol in common."""
    for name, report in (("first", first), ("second", second)):
        if not report.results:
            raise BadInputError(
                f"the {name} report holds no results per request, expected its folder "
                "'judgements'; evaluate again with this version of sargraph"
            )
    events = [report.parents.get("events", "") for report in (first, second)]
    if all(events) and events[0] != events[1]:
        raise BadInputError(
            f"got runs on events {events[0][:12]} and {events[1][:12]}, expected the same events; "
            "judge both models on one folder of events"
        )
    if not {p.hash for p in first.protocols} & {p.hash for p in second.protocols}:
        raise BadInputError(
            f"got runs under other protocols ({_protocol_change(first, second)}), expected the "
            "same; judge both models under one protocol"
        )


def _protocol_change(first: Report, second: Report) -> str:
    """The settings in which the nearest two protocols differ."""
    changes: list[list[str]] = [
        [f"{name} {value} and {two[name]}" for name, value in one.items() if value != two[name]]
        for one in (protocol.model_dump(mode="json") for protocol in first.protocols)
        for two in (protocol.model_dump(mode="json") for protocol in second.protocols)
    ]
    fewest = min(map(len, changes))
    return ", ".join(next(change for change in changes if len(change) == fewest))


def check_same_requests(pairs: Sequence[tuple[Arm, Arm]]) -> None:
    """Refuse arms that were asked otherwise than their partner, and say in what.

    Requests are the same where user, query, time, target and event are, in the same order;
    candidates by their hash. Raises BadInputError.
    """
    asked = [(arm, arm.results[0], base.results[0]) for arm, base in pairs]
    for arm, one, two in asked:
        if difference := _difference(one.requests, two.requests):
            _refuse(arm, difference)
    for arm, one, two in asked:
        if one.candidates_hash != two.candidates_hash:
            _refuse(arm, "the same requests, but other candidates or other requests beside them")


def place(arm: Arm) -> str:
    """Task and candidates in a few words."""
    return f"{arm.task} {arm.protocol.candidates_text()}"


def _refuse(arm: Arm, difference: str) -> None:
    raise BadInputError(
        f"{place(arm)}: got a first run with {difference}, expected the same requests with the "
        "same candidates; judge both models in one run, or on one split under one protocol"
    )


def _difference(first: Requests, second: Requests) -> str:
    """What the two ask differently, nothing where they ask the same."""
    columns = _columns(first), _columns(second)
    if all(np.array_equal(one, two) for one, two in zip(*columns, strict=True)):
        return ""
    ours, theirs = (set(zip(*(c.tolist() for c in each), strict=True)) for each in columns)
    if ours == theirs:
        return "the same requests in another order or number"
    return (
        f"{len(ours - theirs):,} requests that the second lacks, and without "
        f"{len(theirs - ours):,} that it has"
    )


def _columns(requests: Requests) -> list[IntArray]:
    return [requests.user, requests.query, requests.as_of, requests.target, requests.event]
