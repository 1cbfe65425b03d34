"""faiss, imported when it is first used, with a number of threads that somebody chose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sargraph.core.errors import BadInputError


@contextmanager
def faiss_with(num_threads: int = 1) -> Iterator[Any]:
    """Yield the module with its number of threads set; afterwards it is what it was.

    Imported here and not at the top of a file: on macOS faiss and torch bring an OpenMP runtime
    each, and who asks for no neighbours should not load both. One thread gives the same bits
    every time. Raises BadInputError for fewer than one.
    """
    if num_threads < 1:
        raise BadInputError(f"num_threads: got {num_threads}, expected at least 1")
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(num_threads)
    try:
        yield faiss
    finally:
        faiss.omp_set_num_threads(before)
