"""Named worlds, each as changes of the default one."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "planted": {},
    "small": {"num_users": 400, "num_days": 20, "num_items": 1500, "num_topics": 12},
    "tiny": {"num_users": 150, "num_days": 10, "num_items": 600, "num_topics": 8},
    "no_s2r": {"s2r_effect": False},
    "no_r2s": {"r2s_effect": False},
    "no_transitions": {"s2r_effect": False, "r2s_effect": False},
    "no_demand_changes": {"demand_changes": False},
    "no_query_about_items": {"query_about_items": False},
    "no_similar_users": {"similar_users": False},
    "null": {
        "s2r_effect": False,
        "r2s_effect": False,
        "demand_changes": False,
        "query_about_items": False,
        "similar_users": False,
    },
    "power_decay": {"s2r_decay": "power"},
    "category_noise": {"category_noise": 0.3},
    "seasonal": {"seasonal_demand": True},
}
"""What each preset changes. `kuaisar` is tuned to published figures, `null` plants nothing,
`power_decay`, `category_noise` and `seasonal` are mis-specified for whoever assumes otherwise."""
