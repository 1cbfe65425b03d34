"""Join search and recommendation logs in one user-query-item graph."""

from __future__ import annotations

__version__ = "0.1.0"
