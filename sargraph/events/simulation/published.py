"""How far a log is from the figures published for KuaiSAR."""

from __future__ import annotations

import pandas as pd

from sargraph.events.events import Events
from sargraph.events.overlap import VARIANT, click_rates, nearest_variant, overlap

WORDS = {"R2S": "search after recommendation", "S2R": "recommendation after search"}


def compare_with_published(events: Events) -> pd.DataFrame:
    """The twelve published overlaps and two click rates beside those of a log.

    Overlaps are of the variant of `overlap` that is nearest to the published ones, because it is
    not published how they were computed; its name is in the column `variant`. Columns `figure`,
    `published`, `measured`, `points` (measured - published, in percentage points), `variant`.
    Raises DataError where the log has no clock times, categories or source. Cost: that of
    `overlap`.
    """
    table = overlap(events)
    best = nearest_variant(table)
    chosen = table[table["published"].notna()].set_index(VARIANT)
    chosen = chosen.loc[[(best.items, best.pairs, best.rule, best.users)]]
    name = f"{best.items} items, {best.pairs}, {best.rule}, users {best.users}"
    rows = [
        (f"{WORDS[str(r.transition)]}, level {r.level}, {r.days} d", r.published, r.share, name)
        for r in chosen.itertuples(index=False)
    ]
    rows += [
        (f"click rate of {r.source}", r.published, r.share, "chosen per shown item")
        for r in click_rates(events).itertuples(index=False)
    ]
    frame = pd.DataFrame(rows, columns=["figure", "published", "measured", "variant"])
    frame.insert(3, "points", 100 * (frame["measured"] - frame["published"]))
    return frame


def mean_distance(frame: pd.DataFrame) -> float:
    """Mean absolute difference of the overlaps of `compare_with_published`, in points."""
    overlaps = frame[~frame["figure"].str.startswith("click rate")]
    return float(overlaps["points"].abs().mean())
