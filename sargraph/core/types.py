"""Names for the array types that cross floors."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
CodeArray: TypeAlias = npt.NDArray[np.integer[Any]]
FloatArray: TypeAlias = npt.NDArray[np.float32]
DoubleArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Array: TypeAlias = npt.NDArray[np.generic]

NO_ROW = -1
"""Stands for "none" wherever a row is expected: no item, no query, no session."""

NO_TIME = np.iinfo(np.int64).min
"""The time of an event whose log has none: background, before every timed event."""
