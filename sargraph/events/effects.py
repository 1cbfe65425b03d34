"""`measure_effects`: which mechanisms a log shows, from the log alone."""

from __future__ import annotations

import pandas as pd

from sargraph.core.rng import make_rng
from sargraph.events.effect.closeness import measure_neighbours
from sargraph.events.effect.demand import measure_demand_change
from sargraph.events.effect.null import NOTHING
from sargraph.events.effect.steps import batches_of, searches_of, topic_of_item
from sargraph.events.effect.transitions import measure_r2s, measure_s2r
from sargraph.events.effect.wording import measure_wording
from sargraph.events.events import Events

EFFECTS = (
    "s2r",
    "r2s",
    "search demand change",
    "recommend demand change",
    "similar neighbours",
    "query about items",
)
"""Names of the effects, in the order of the table."""


def measure_effects(events: Events, seed: int = 0, num_draws: int = 299) -> pd.DataFrame:
    """Measure six mechanisms in a log; one row each, in the order of `EFFECTS`.

    `num_draws`: draws of each null distribution; fewer than 100 can find nothing at p < .01.
    `value`: what the log shows; `null_mean`, `low`, `high`: its mean and 99 % interval where the
    mechanism is absent; `p`: one-sided; `found`: p < .01; `users`, `pairs`: what it rests on.

    - s2r: share of a clicked batch that is of the topic searched right before it, against the
      user's other batches; r2s: the same right after it;
    - search / recommend demand change: share of neighbouring visits with the same topic, against
      the user's visits in any order;
    - similar neighbours: cosine in the last third of the log with the users nearest in the first,
      against users as active;
    - query about items: share of a query's terms in the text of the item chosen, against other
      queries.

    The topic of an item is its category; a log without categories shows NaN for all but the last
    effect, as it does wherever there is nothing to compare. What the tests cannot rule out: a
    season that moves both sources at once looks like transitions and like changing demand.
    Deterministic. Cost: seconds for a million events; O(events log events).
    """
    topic = topic_of_item(events)
    searches, batches = searches_of(events, topic), batches_of(events, topic)
    is_timed = events.time_kind == "ms"
    measured = (
        measure_s2r(searches, batches, num_draws, make_rng(seed, "s2r")),
        measure_r2s(searches, batches, num_draws, make_rng(seed, "r2s")),
        measure_demand_change(searches, num_draws, make_rng(seed, "search demand")),
        measure_demand_change(batches, num_draws, make_rng(seed, "recommend demand")),
        measure_neighbours(events, topic, num_draws, make_rng(seed, "neighbours")),
        measure_wording(events, num_draws, make_rng(seed, "wording")),
    )
    rows = []
    for name, found in zip(EFFECTS, measured, strict=True):
        # Windows and pauses are in ms: an order or no time at all says nothing about them.
        usable = is_timed or name == EFFECTS[-1]
        rows.append((found if usable else NOTHING).row(name))
    return pd.DataFrame(rows)
