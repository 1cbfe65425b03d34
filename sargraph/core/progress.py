"""Progress with an estimate of the time left, on standard error, and silence where wanted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
_state = threading.local()


@contextmanager
def quiet(on: bool = True) -> Iterator[None]:
    """Show no progress inside this block (in this thread)."""
    before = getattr(_state, "quiet", False)
    _state.quiet = on or before
    try:
        yield
    finally:
        _state.quiet = before


def progress(steps: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `steps` and show how many are done and how long the rest will take.

    Nothing is shown inside `quiet()`, when standard error is not a terminal, or while another
    progress bar is open.
    """
    if total is None and isinstance(steps, Sized):
        total = len(steps)
    if getattr(_state, "quiet", False) or getattr(_state, "open", False) or not sys.stderr.isatty():
        yield from steps
        return
    _state.open = True
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bar:
            yield from bar.track(steps, total=total, description=label)
    finally:
        _state.open = False
