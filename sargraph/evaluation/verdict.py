"""The verdict in words: what the interval, p and the smallest detectable effect allow to say.

All figures are shares of the baseline's mean. The first line that fits decides:

| lower bound | p (Holm) | upper bound | smallest detectable effect | verdict |
|---|---|---|---|---|
| > 0 | < 5 % | any | any | shown |
| any | any | < +2 % | any | refuted |
| any | any | any | any | cannot tell |

*Shown* and *refuted* rest on bounds that hold at any power, so that a small experiment which
happens to be decisive may say so. *Cannot tell* is the rest: as a rule because the smallest
detectable effect is over 5 %, and where it is not, because the interval holds both zero and +2 %.
"""

from __future__ import annotations

import numpy as np

LEVEL = 0.05
"""Level of the tests."""

WORTHWHILE = 0.02
"""A claim is refuted when its gain is surely below this share of the baseline."""

SENSITIVE = 0.05
"""An experiment that could not see this gain (as a share) with 80 % power is too small."""


def verdict(low: float, high: float, p: float) -> str:
    """The verdict on a claimed gain whose 95 % interval, as shares of the baseline, is low .. high.

    `p` is corrected where there are several comparisons. A bound that is NaN (shares of a baseline
    of zero, an interval of one user) decides nothing; `low` may also be an absolute bound, as
    only its sign counts.
    """
    if low > 0 and p < LEVEL:
        return "shown"
    return "refuted" if high < WORTHWHILE else "cannot tell"


def reason(low: float, high: float, p: float, detectable: float) -> str:
    """Why the verdict is what it is, in a few words; see the table of this module."""
    word = verdict(low, high, p)
    if word == "shown":
        return "" if not high < WORTHWHILE else "a gain, but surely below +2 %"
    if word == "refuted":
        return "surely worse" if high < 0 else "any gain is surely below +2 %"
    if np.isnan(low):
        return "one user has no interval"
    if np.isnan(high):
        return "a baseline of 0 has no shares"
    if low > 0:
        return "the lower bound is above 0, but not after Holm's correction"
    if detectable > SENSITIVE:
        return "too small to see +5 %"
    return "neither 0 nor +2 % can be excluded"
