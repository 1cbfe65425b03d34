"""A small registry: names to things, with an error that lists what it knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from sargraph.core.errors import ConfigError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Named members of one family, such as the embedding models.

    `kind` is the word used in error messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._members: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a member to make it known as `name`. Raises ValueError if the name is taken."""

        def add(member: T) -> T:
            if name in self._members:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._members[name] = member
            return member

        return add

    def get(self, name: str) -> T:
        """The member called `name`. Raises ConfigError naming the nearest known one."""
        if name not in self._members:
            raise ConfigError(f"unknown {self.kind} '{name}'; {nearest(name, self._members)}")
        return self._members[name]

    def names(self) -> list[str]:
        """All known names, sorted."""
        return sorted(self._members)
