"""A small registry: names to things, with an error that lists what it knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Generic, TypeVar

from sargraph.core.errors import ConfigError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Named members of one family, such as the embedding models.

    `kind` is the word used in error messages. `modules` are those that register members; they are
    imported when the registry is first asked, so that importing the registry costs nothing.
    """

    def __init__(self, kind: str, modules: Sequence[str] = ()) -> None:
        self.kind = kind
        self._modules = modules
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
        self._import_all()
        if name not in self._members:
            raise ConfigError(f"unknown {self.kind} '{name}'; {nearest(name, self._members)}")
        return self._members[name]

    def names(self) -> list[str]:
        """All known names, sorted."""
        self._import_all()
        return sorted(self._members)

    def _import_all(self) -> None:
        for module in self._modules:
            import_module(module)
