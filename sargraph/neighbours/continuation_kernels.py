"""Compiled loop: where a neighbour's history fits that of a request, and what comes next."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(cache=True, nogil=True)
def read_continuations(
    own_offsets: Any,
    own_items: Any,
    neighbour: Any,
    before: Any,
    starts: Any,
    items: Any,
    times: Any,
    stamp: Any,
    newness: Any,
    item: Any,
    step: Any,
) -> None:
    """Fill `item` and `step` [requests, k, tokens] for the neighbours [requests, k] (-1 = none).

    `own_items` holds the requests' own items, oldest first, bounded by `own_offsets`; `items` and
    `times` the choices of user v at `starts[v]:starts[v + 1]`, rising in time, of which only those
    with a time below `before` [requests] are read. `stamp` (anything but a request number) and
    `newness` int64 [items] are scratch. Cost: O(own + the neighbours' choices) per request.
    """
    num_requests, k, tokens = item.shape
    for request in range(num_requests):
        low, high = own_offsets[request], own_offsets[request + 1]
        for place in range(high - 1, low - 1, -1):
            own = own_items[place]
            if stamp[own] != request:
                stamp[own] = request
                newness[own] = high - 1 - place
        for rank in range(k):
            user = neighbour[request, rank]
            if user < 0:
                continue
            first, last = starts[user], starts[user + 1]
            end = _first_at_or_after(times, first, last, before[request])
            match = _match(items, first, end, stamp, newness, request, high - low)
            _read(items, first, end, match, tokens, item[request, rank], step[request, rank])


@njit(cache=True, nogil=True)
def _first_at_or_after(times: Any, low: int, high: int, limit: int) -> int:
    while low < high:
        middle = (low + high) // 2
        if times[middle] < limit:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _match(
    items: Any, first: int, end: int, stamp: Any, newness: Any, request: int, num_own: int
) -> int:
    """The latest place of the newest own item that stands there; `end` where none does."""
    best, match = num_own, end
    for place in range(end - 1, first - 1, -1):
        chosen = items[place]
        if stamp[chosen] == request and newness[chosen] < best:
            best, match = newness[chosen], place
            if best == 0:
                break
    return match


@njit(cache=True, nogil=True)
def _read(items: Any, first: int, end: int, match: int, tokens: int, item: Any, step: Any) -> None:
    """What follows the match, then what precedes it, nearest first."""
    filled = 0
    for place in range(match + 1, min(end, match + 1 + tokens)):
        item[filled], step[filled] = items[place], place - match
        filled += 1
    place = match - 1
    while filled < tokens and place >= first:
        item[filled], step[filled] = items[place], place - match
        filled += 1
        place -= 1
