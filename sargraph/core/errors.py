"""The errors a user can meet: one line that says what we got, what we expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SargraphError(Exception):
    """Something failed; `exit_code` is the status the command ends with."""

    exit_code = 1


class BadInputError(SargraphError):
    """What the user gave (an argument, a file, a configuration) cannot be used as it is."""

    exit_code = 2


class ConfigError(BadInputError):
    """A configuration has an unknown key or a value of the wrong kind."""


class RecipeError(BadInputError):
    """A recipe names something that is not there, or does not follow the recipe language."""


class DataError(BadInputError):
    """A file of raw logs cannot be read, or holds nothing that can be used."""


class ArtifactError(BadInputError):
    """A folder is not the artefact that was asked for, or its content does not fit its manifest."""


class UnknownIdError(BadInputError):
    """An id is not in the vocabulary it was looked up in."""


class ImpossibleResultError(SargraphError):
    """A result breaks an identity that every correct result obeys."""


class TrainingError(SargraphError):
    """Training cannot go on: the loss is not a finite number."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a mistyped name: "; did you mean X?" or the list of what is known.

    Cost: O(number of known names).
    """
    names = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    shown = ", ".join(sorted(names)[:20]) or "nothing"
    return f"known: {shown}"
