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
    "own_tastes": {"similar_users": False, "own_tastes": True},
    "communities": {"community_share": 0.95},
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
    "kuaisar": {
        "num_days": 20,
        "sessions_per_day": 0.22,
        "steps_per_session": 1.15,
        "search_share": 0.58,
        "persistence": 0.4,
        "s2r_strength": 0.65,
        "s2r_half_life_hours": 2.6,
        "r2s_probability": 0.018,
    },
}
"""What each preset changes. `null` plants nothing; in `own_tastes` users are as choosy as in
`planted`, each alone; in `communities` they are nearly copies of each other; `power_decay`,
`category_noise` and `seasonal` are mis-specified for whoever assumes otherwise. `kuaisar` is tuned
to the click rates and category overlaps published for KuaiSAR, and to nothing else: its users act
far less often than KuaiSAR's, whose overlaps would be near 100 % by any rule known to us."""
