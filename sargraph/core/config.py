"""Typed, frozen configuration: TOML files and `--set section.key=value` overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from sargraph.core.errors import ConfigError, nearest


class Config(BaseModel):
    """Base of every configuration: frozen, unknown keys refused, a doc line under each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


C = TypeVar("C", bound=Config)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises ConfigError for a missing file, bad encoding or bad syntax."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"no such configuration file: {path}; give the path of a TOML file"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is not readable TOML ({error}); mend the file") from None


def apply_overrides(data: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `data` with `section.key=value` overrides applied; values are read as TOML values.

    A value that is not TOML (a bare word) is taken as a string.
    Raises ConfigError when an override has no `=` or passes through a value that is not a section.
    """
    result = _copy(data)
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f"got override '{override}', expected section.key=value")
        *sections, key = path.strip().split(".")
        node = result
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise ConfigError(f"override '{override}': '{section}' is a value, not a section")
        node[key] = _toml_value(text.strip())
    return result


def parse_config(cls: type[C], data: dict[str, Any], where: str) -> C:
    """Build a configuration, turning a validation failure into one clear line.

    Raises ConfigError: unknown key (names the nearest known one) or wrong value.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(cls, error, where)) from None


def _explain(cls: type[Config], error: ValidationError, where: str) -> str:
    # A mistyped key is often also a missing one: name the mistyped key first.
    errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = errors[0]
    location = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{where}: '{location}' is missing; give it a value"
    if first["type"] == "extra_forbidden":
        known = _known_keys(cls, first["loc"][:-1])
        return f"{where}: unknown key '{location}'; {nearest(str(first['loc'][-1]), known)}"
    got = first.get("input")
    return f"{where}: '{location}' got {got!r}; {first['msg']}"


def _known_keys(cls: type[Config], location: tuple[int | str, ...]) -> list[str]:
    """Field names of the (possibly nested) configuration that `location` leads to."""
    current: Any = cls
    for part in location:
        fields = getattr(current, "model_fields", {})
        if part in fields:
            current = _config_in(fields[part].annotation)
    return list(getattr(current, "model_fields", {}))


def _config_in(annotation: Any) -> Any:
    """The Config class inside an annotation such as `dict[str, X]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _config_in(argument)
        if found is not None:
            return found
    return None


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in data.items()}
